"""Shortening and lengthening a few milliseconds of sound without a click.

Overlap-add at the lag where the sound resembles itself most (WSOLA: Verhelst and Roelands, ICASSP 1993), on one slot at
a time: what a receiver needs when its delay has to change by less than a packet.
"""

from __future__ import annotations

import numpy as np

SEARCH_S = 0.004  # how far from the wish a better joining lag is looked for: half a pitch cycle of a low voice


def splice(samples: np.ndarray, change: int, sample_rate: int) -> np.ndarray:
    """Make a stretch of sound longer or shorter.

    Args:
        samples: Shape (count,), float32.
        change: Wanted change of length in samples; bounded to half of the length. The nearest lag at which the sound
            joins best is taken, so that the result may differ from the wish by 4 ms.
        sample_rate: In Hz.

    Returns:
        Shape (about count + change,), float32.
    """
    count = len(samples)
    bound = count // 2
    change = max(-bound, min(bound, change))
    if change == 0:
        return samples
    lag = _best_lag(samples, abs(change), round(SEARCH_S * sample_rate), bound)
    overlap = count - lag
    fade = (np.arange(overlap, dtype=np.float32) + 0.5) / overlap
    if change > 0:  # the head, then the same again from its beginning
        joined = samples[lag:] * (1 - fade) + samples[:overlap] * fade
        return np.concatenate([samples[:lag], joined, samples[overlap:]])
    return samples[:overlap] * (1 - fade) + samples[lag:] * fade


def _best_lag(samples: np.ndarray, wish: int, search: int, bound: int) -> int:
    candidates = range(max(1, wish - search), min(bound, wish + search) + 1)
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    best, best_match = wish, -np.inf
    for lag in candidates:
        overlap = len(samples) - lag
        norm = np.sqrt(energy[overlap] * (energy[-1] - energy[lag]))
        match = float(np.dot(samples[lag:], samples[:overlap])) / norm if norm > 0 else 0.0
        # where nothing joins better, as in silence, the wish is taken
        match -= 1e-3 * abs(lag - wish) / search
        if match > best_match:
            best, best_match = lag, match
    return best
