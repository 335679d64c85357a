"""Noises that are made, not recorded: white, pink, brown and randomly coloured, and the hum of mains and motors."""

from __future__ import annotations

import numpy as np

from vivavoce.training.spectrum import draw_colour

SAMPLE_RATE = 48_000
SLOPES = (0.0, 1.0, 2.0)  # power falls by f^-slope: white, pink, brown
LOWEST_HZ = 20.0  # the slope stops there: below is no sound
COLOUR_RANGE_DB = 20.0
HUM_HZ = (50.0, 60.0, 100.0, 120.0)  # mains and its rectified double; a motor turns at any other rate
MOTOR_HZ = (30.0, 400.0)
HUM_PROBABILITY, COLOUR_PROBABILITY = 0.2, 0.4


def synthetic_noise(random: np.random.Generator, samples: int) -> np.ndarray:
    """A random noise of a random kind.

    Args:
        random: Decides everything.
        samples: How many, even, at least 2; the noise joins its own end without a seam.

    Returns:
        Shape (samples,), float32, of any level.
    """
    frequencies = np.arange(samples // 2 + 1, dtype=np.float32) * np.float32(SAMPLE_RATE / samples)
    spectrum = random.standard_normal(samples + 2, np.float32).view(np.complex64)
    kind = random.random()
    if kind < HUM_PROBABILITY:
        spectrum = _hum(random, spectrum)
    elif kind < HUM_PROBABILITY + COLOUR_PROBABILITY:
        spectrum *= draw_colour(random, samples, COLOUR_RANGE_DB)
    else:
        slope = SLOPES[random.integers(len(SLOPES))]
        spectrum *= np.maximum(frequencies, np.float32(LOWEST_HZ)) ** np.float32(-slope / 2)
    spectrum[0] = 0
    return np.fft.irfft(spectrum, samples).astype(np.float32, copy=False)


def _hum(random: np.random.Generator, floor: np.ndarray) -> np.ndarray:
    """Lines at the multiples of one frequency, each weaker than the last on the whole, over a faint white floor."""
    bins = len(floor)
    pitch_hz = random.uniform(*MOTOR_HZ) if random.random() < 0.5 else HUM_HZ[random.integers(len(HUM_HZ))]
    lines = np.arange(1, 1 + int(random.integers(3, 40)))
    at = np.rint(lines * pitch_hz / (SAMPLE_RATE / 2) * (bins - 1)).astype(int)
    lines, at = lines[at < bins], at[at < bins]
    heights = 10 ** (random.uniform(-15, 0, len(at)) / 20) / lines ** random.uniform(0.3, 1.5)
    spectrum = floor * np.float32(0.01 * np.sqrt(1 / bins))  # -40 dB in all against a line of height 1
    spectrum[at] += (heights * np.exp(2j * np.pi * random.random(len(at)))).astype(np.complex64)
    return spectrum
