"""Whether tones stand still, as those of music and alarms do: what a vocoder of one voice cannot go on with.

The fine structure of the spectrum, its logarithm without its smooth part, is compared between two moments. Harmonics of
a voice move, those of an instrument do not, and noise has none that lasts. Measured on split val, gaps of 60 ms:

- at 949 places in the speech of 16 readers the median is .08, and 0.9 % are above the threshold;
- in chords of one to five notes 80 % are, the others where a note has just begun: there the spectrum of what Opus fills
  the gap with is nearer to the truth by 0.6 to 2.6 dB than that of the vocoder;
- in noise (ESC-50, 73 sounds of 36 kinds) the vocoder's is nearer but for siren, vacuum cleaner, crickets and pig.
"""

from __future__ import annotations

import numpy as np

WINDOW_S, APART_S = 0.096, 0.064
HISTORY_S = WINDOW_S + APART_S
TONAL = 0.65  # from here on
RANGE_HZ = (150.0, 3500.0)
SMOOTHING_HZ = 88.0  # to either side
FLOOR = 1e-5  # of the power: between tones there is nothing to compare
QUIET = 1e-9


def tonality(samples: np.ndarray, sample_rate: int) -> float:
    """Correlation of the fine structures of two windows, 64 ms apart.

    Args:
        samples: At least HISTORY_S of them, the newest last; shape (samples,), float.
        sample_rate: In Hz.

    Returns:
        From -1 to 1; 0 for silence.
    """
    length, apart = round(WINDOW_S * sample_rate), round(APART_S * sample_rate)
    window = np.hanning(length)
    bins_per_hz = length / sample_rate
    low, high = (round(hertz * bins_per_hz) for hertz in RANGE_HZ)
    half = round(SMOOTHING_HZ * bins_per_hz)
    smooth = np.full(2 * half + 1, 1 / (2 * half + 1))
    structures = []
    for end in (len(samples), len(samples) - apart):
        power = np.abs(np.fft.rfft(window * samples[end - length : end])) ** 2
        level = np.log(power + FLOOR * power.mean() + QUIET)
        structures.append((level - np.convolve(level, smooth, "same"))[low:high])
    energy = np.prod([structure @ structure for structure in structures])
    return float(structures[0] @ structures[1] / np.sqrt(energy)) if energy > 0 else 0.0
