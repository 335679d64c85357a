"""Recordings played faster or slower: another voice, another machine."""

from __future__ import annotations

import math

import numpy as np


def draw_rate(random: np.random.Generator, lowest: float, highest: float) -> float:
    """A playback rate, even over the logarithm."""
    return math.exp(random.uniform(math.log(lowest), math.log(highest)))


def samples_for(count: int, rate: float) -> int:
    """How many samples `play` needs to give `count`."""
    return math.ceil(count * rate) + 3


def play(samples: np.ndarray, rate: float, count: int) -> np.ndarray:
    """Play a recording at another rate, by cubic (Catmull-Rom) interpolation.

    Args:
        samples: Shape (samples,), float32.
        rate: 2 is twice as fast, and an octave higher.
        count: How many samples to return at most.

    Returns:
        Shape (<= count,), float32: fewer where the recording ends.
    """
    if rate == 1 or len(samples) < 4:
        return samples[:count]
    positions = np.arange(min(count, int((len(samples) - 3) / rate) + 1)) * rate
    whole = positions.astype(np.int32)
    t = (positions - whole).astype(np.float32)
    a, b, c, d = (samples[whole + tap] for tap in range(4))
    slope_b, slope_c = 0.5 * (c - a), 0.5 * (d - b)
    rise = c - b
    return b + t * (slope_b + t * (3 * rise - 2 * slope_b - slope_c + t * (slope_b + slope_c - 2 * rise)))
