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
    whole = positions.astype(np.intp)
    t = (positions - whole).astype(np.float32)
    a, b, c, d = (samples[tap:].take(whole, mode="clip") for tap in range(4))  # in range; without checks it is faster
    cubic = 3 * (b - c)
    cubic += d - a
    cubic *= t
    cubic += 2 * a - 5 * b + 4 * c - d
    cubic *= t
    cubic += c - a
    cubic *= 0.5 * t
    return cubic + b
