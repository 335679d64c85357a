"""Equal rates: the target at which a configuration really sends what its column says.

An encoder of variable rate misses its target by some percent, and the redundancy in a packet comes and goes with the
speech, so that configurations with the same target do not cost the same. Before they are compared, each target
is moved until the mean rate measured over all clips is that of the column.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

RATE_TOLERANCE = 0.03  # what counts as the same rate in a published table
AIM = 0.01  # where the search stops: within this of the column, the search costs more than it gains
MAX_PASSES = 8
MAX_STEP = 2.0  # no guess is more than this factor away from a target that was tried


@dataclass(frozen=True)
class EqualRate:
    """A target, and what it gives.

    Attributes:
        target_bps: What the sender is told.
        measured_bps: Mean rate over the clips at that target.
        reached: Whether that is within 3 % of the column.
    """

    target_bps: int
    measured_bps: float
    reached: bool


def equal_rate(column_bps: float, measure: Callable[[int], float], start_bps: float | None = None) -> EqualRate:
    """Find the target at which the measured rate is the column's.

    Args:
        column_bps: The rate to reach, above 0.
        measure: Mean rate in b/s at a target in b/s; it should grow with the target, and may jump. ValueError says that
            the target is out of the encoder's range.
        start_bps: First guess; the column itself where there is none.

    Returns:
        The best of the targets tried.

    Raises:
        ValueError: The first guess is out of the encoder's range, or the column is not above 0.
    """
    if not column_bps > 0:
        raise ValueError(f"column_bps must be above 0, got {column_bps}")
    tried: dict[int, float] = {}
    target = round(start_bps or column_bps)
    while len(tried) < MAX_PASSES and target not in tried:
        try:
            tried[target] = measure(target)
        except ValueError:
            if not tried:
                raise
            break
        if abs(tried[target] / column_bps - 1) <= AIM:
            break
        target = _next_target(tried, column_bps)
    best = min(tried, key=lambda target: abs(tried[target] - column_bps))
    return EqualRate(best, tried[best], abs(tried[best] / column_bps - 1) <= RATE_TOLERANCE)


def _next_target(tried: dict[int, float], column_bps: float) -> int:
    """Guess from what was tried.

    While all of it lies on one side of the column, go in proportion to what is missing. Between two sides,
    interpolation is best for a smooth encoder and proportion for one that jumps: they take turns, and halving helps.
    """
    below = max((target for target in tried if tried[target] < column_bps), default=None)
    above = min((target for target in tried if tried[target] >= column_bps), default=None)
    nearest = min(tried, key=lambda target: abs(tried[target] - column_bps))
    missing = column_bps / max(tried[nearest], 1.0)
    proportional = round(nearest * min(max(missing, 1 / MAX_STEP), MAX_STEP))
    if below is None or above is None:
        return proportional
    share = (column_bps - tried[below]) / (tried[above] - tried[below])
    guess = round(below + share * (above - below)) if len(tried) % 2 == 0 else proportional
    return guess if below < guess < above else round((below + above) / 2)
