"""Filters as frequency responses: a mixture multiplies spectra, so that room, tilt and low-pass cost one transform."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SAMPLE_RATE = 48_000
TILT_RANGE = 3 / 8  # of each coefficient: RNNoise's training has the same, about +-10 dB from end to end
COLOUR_POINTS, COLOUR_LOWEST_HZ = 10, 40.0
TRANSITION = 1 / 16  # of the cutoff: as steep as the resamplers through which band-limited sound comes


@lru_cache(maxsize=1024)
def fast_length(samples: int) -> int:
    """The smallest even length, not below `samples`, whose transform is fast: with no prime factor above 5."""
    best = 1 << max(1, (samples - 1).bit_length())
    five = 1
    while five < best:
        three = five
        while three < best:
            length = three * 2
            while length < samples:
                length *= 2
            best = min(best, length)
            three *= 3
        five *= 5
    return best


def draw_tilt(random: np.random.Generator) -> np.ndarray:
    """Coefficients b1, b2, a1, a2 of a random filter with two zeros and two poles, shape (4,)."""
    return random.uniform(-TILT_RANGE, TILT_RANGE, 4)


def tilt_response(coefficients: np.ndarray, samples: int) -> np.ndarray:
    """Response of (1 + b1/z + b2/z^2) / (1 + a1/z + a2/z^2) on the bins of `samples`, even; complex64.

    Every filter that `draw_tilt` draws is stable: its poles are within 0.83 of the origin.
    """
    once, twice = _delays(samples)
    b1, b2, a1, a2 = (np.float32(coefficient) for coefficient in coefficients)
    return (1 + b1 * once + b2 * twice) / (1 + a1 * once + a2 * twice)


def draw_colour(random: np.random.Generator, samples: int, range_db: float) -> np.ndarray:
    """A smooth random response over the logarithm of the frequency, on the bins of `samples`, even; float32."""
    frequencies = np.arange(samples // 2 + 1, dtype=np.float32) * np.float32(SAMPLE_RATE / samples)
    points = np.geomspace(COLOUR_LOWEST_HZ, SAMPLE_RATE / 2, COLOUR_POINTS)
    gains = 10 ** (random.uniform(-range_db, range_db, COLOUR_POINTS) / 20)
    return np.interp(frequencies, points, gains).astype(np.float32)


def low_pass_response(cutoff_hz: float, samples: int) -> np.ndarray:
    """Response of a low-pass without delay on the bins of `samples`, even; float32.

    1 up to 15/16 of the cutoff, half a cosine from there, 0 from the cutoff on.
    """
    frequencies = np.arange(samples // 2 + 1, dtype=np.float32) * np.float32(SAMPLE_RATE / samples)
    position = np.clip((cutoff_hz - frequencies) / np.float32(TRANSITION * cutoff_hz), 0, 1)
    return (0.5 - 0.5 * np.cos(np.float32(np.pi) * position)).astype(np.float32)


@lru_cache(maxsize=8)
def _delays(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """1/z and 1/z^2 on the bins of `samples`, complex64."""
    once = np.exp(-2j * np.pi * np.arange(samples // 2 + 1) / samples)
    return once.astype(np.complex64), (once**2).astype(np.complex64)
