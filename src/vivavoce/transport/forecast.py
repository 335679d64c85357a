"""What loss a sender prepares for: how much, and in bursts of which lengths."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from vivavoce.transport.loss import LossModel, burst_ages

LONGEST = 64  # packets; a description reaches no further
COUNTED = 20_000  # packets of a model, some 400 s
USUAL_BURST = 2.0  # packets, where nobody knows better: the calls that traces were measured in have 1.3 to 4
LONG_SHARE, LONGER = 0.15, 4.0  # of the bursts, and how much more than one packet they have beside all


@dataclass(frozen=True)
class LossForecast:
    """Losses that are expected.

    Args:
        rate: Share of packets.
        survivors: Share of the bursts that last for 1, 2, ... packets at least; it begins with 1 and never grows.

    Raises:
        ValueError: They are no shares, or there is nothing that could be a burst.
    """

    rate: float
    survivors: tuple[float, ...]

    def __post_init__(self) -> None:
        shares = np.asarray((1.0, *self.survivors, 0.0))
        if not 0 <= self.rate <= 1 or len(self.survivors) == 0 or self.survivors[0] != 1 or (np.diff(shares) > 0).any():
            raise ValueError(f"no losses: rate {self.rate}, bursts {self.survivors}")

    @classmethod
    def usual(cls, rate: float, mean_burst: float = USUAL_BURST) -> LossForecast:
        """Bursts of which no more than the mean is known: most are short, and some go on, as in real calls.

        Args:
            rate: Share of packets.
            mean_burst: Packets, 1 or more.
        """
        beyond = max(0.0, mean_burst - 1)
        long, short = LONGER * beyond, beyond * (1 - LONG_SHARE * LONGER) / (1 - LONG_SHARE)
        lasting = [(mean / (1 + mean)) ** np.arange(LONGEST) for mean in (short, long)]
        return cls(rate, tuple(((1 - LONG_SHARE) * lasting[0] + LONG_SHARE * lasting[1]).tolist()))

    @classmethod
    def of(cls, model: LossModel | None) -> LossForecast:
        """What a model or a recording loses, counted; single losses if it never reaches its rate. None: the usual."""
        if model is None:
            return cls.usual(0.0)
        ages = burst_ages(np.fromiter(islice(model.stream(0), COUNTED), np.bool_, COUNTED))
        reached = np.bincount(np.minimum(ages, LONGEST), minlength=LONGEST + 1)[1:].astype(float)
        if not reached[0]:
            return cls.usual(model.loss_rate, 1.0)
        return cls(model.loss_rate, tuple(np.minimum.accumulate(np.minimum(reached / reached[0], 1)).tolist()))

    def at(self, rate: float) -> LossForecast:
        """The same bursts, more or fewer of them."""
        return LossForecast(rate, self.survivors)

    def burst(self, share: float) -> int:
        """Packets that a burst has at most, in which this share of what is lost lies."""
        lasting = np.asarray(self.survivors)
        lengths = np.arange(1, len(lasting) + 1)
        lost = np.cumsum(lengths * (lasting - np.append(lasting[1:], 0)))
        return int(lengths[np.searchsorted(lost, share * lost[-1])])

    def lost_again(self, packets: float) -> float:
        """Probability that a packet is lost which comes so many after one that arrived.

        As if bursts began and ended at any packet alike: E. N. Gilbert, "Capacity of a burst-noise channel" (1960).
        """
        if self.rate >= 1:
            return 1.0
        begin, end = self.rate / (1 - self.rate) / self.mean_burst, 1 / self.mean_burst
        return self.rate * (1 - max(0.0, 1 - begin - end) ** packets)

    @property
    def mean_burst(self) -> float:
        """Packets."""
        return sum(self.survivors)
