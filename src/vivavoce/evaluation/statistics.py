"""Means over clips with their confidence intervals.

The interval is a bootstrap of the mean: B. Efron, "Bootstrap methods: another look at the jackknife" (Annals of
Statistics 7, 1979), percentiles of 10,000 resamples drawn with a fixed seed, so that a table is the same each time. The
plain percentile interval is too narrow for few clips, because a resample varies like the sample's standard deviation
with divisor n instead of n - 1; resampled means are therefore spread by sqrt(n / (n - 1)) about the mean, as T.
Hesterberg recommends ("What teachers should know about the bootstrap", American Statistician 69, 2015). On normal data
it then covers the mean in 95 % of the cases for 70 clips, in 93 % for 12; scores need not be normal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 10_000  # the ends of a 95 % interval then repeat within about 2 % of its width under another seed
BOOTSTRAP_SEED = 0
_BLOCK = 4_000_000  # indices held at a time


@dataclass(frozen=True)
class Interval:
    """A mean and the confidence interval around it.

    Attributes:
        mean: NaN where nothing was measured.
        low: Lower end; NaN where fewer than two values were measured.
        high: Upper end, likewise.
        count: How many values were measured.
    """

    mean: float
    low: float
    high: float
    count: int

    @property
    def half_width(self) -> float:
        """Half the length of the interval; its ends need not lie at the same distance from the mean."""
        return (self.high - self.low) / 2


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean of one figure per clip, and the interval that holds the mean over all such clips.

    Args:
        values: Shape (clips,); NaN where a clip has no figure, which is left out.
        confidence: In (0, 1).

    Raises:
        ValueError: The values have another shape, or `confidence` is out of its range.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"values must have shape (clips,), got {values.shape}")
    values = values[~np.isnan(values)]
    count = len(values)
    mean = float(values.mean()) if count else float("nan")
    if count < 2:
        return Interval(mean, float("nan"), float("nan"), count)
    deviations = _resampled_means(values - mean) * np.sqrt(count / (count - 1))
    low, high = np.quantile(deviations, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean, mean + float(low), mean + float(high), count)


def paired_interval(values: ArrayLike, baseline: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean difference from a baseline on the same clips, with its interval.

    Args:
        values: Shape (clips,).
        baseline: Shape (clips,), in the same order; a clip that has no figure in either is left out.
        confidence: In (0, 1).
    """
    values, baseline = np.asarray(values, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if values.shape != baseline.shape:
        raise ValueError(f"values {values.shape} and baseline {baseline.shape} must be of the same clips")
    return mean_interval(values - baseline, confidence)


def _resampled_means(values: np.ndarray) -> np.ndarray:
    """Draw means of as many values as there are, with replacement: shape (RESAMPLES,)."""
    random = np.random.default_rng(BOOTSTRAP_SEED)
    count = len(values)
    rows = max(1, _BLOCK // count)
    blocks = [min(rows, RESAMPLES - first) for first in range(0, RESAMPLES, rows)]
    return np.concatenate([values[random.integers(0, count, (size, count))].mean(axis=1) for size in blocks])
