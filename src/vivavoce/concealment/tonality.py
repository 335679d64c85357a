"""Whether tones stand still, as those of music, alarms and hum do: what a vocoder of one voice cannot go on with.

The fine structure of the spectrum, its logarithm without its smooth part, is compared between two moments. Harmonics of a
voice move, those of an instrument do not, and noise has none that lasts. On split val: 949 places in speech (16 readers),
median .08, of which 0.6 % are above the threshold; chords of one to five notes, 80 %, the others where a note has just
begun. There, gaps of 60 ms filled by Opus are 1 to 2 dB nearer to the spectrum than those filled by the vocoder. In noise
(ESC-50, 73 sounds) the vocoder is nearer in all but bells and sirens, which stand still as well.
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
