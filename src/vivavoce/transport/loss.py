"""Packet-loss models: which packets of a call never arrive.

A model is an endless, seeded stream of booleans, one per packet in sending order, True where the packet is lost:

- `RecordedTrace` plays a recording, and starts again at its first line when the call is longer;
- `Bernoulli` loses every packet with the same probability, whatever happened before;
- `GilbertElliott` is the two-state chain of E. N. Gilbert, "Capacity of a burst-noise channel" (BSTJ 39, 1960), in its
  packet-loss form: nothing is lost in the good state, everything in the bad one;
- `BurstAge` lets the probability of losing the next packet depend on how many were lost in a row before it. It is what
  recordings show: a burst that has lasted tends to last, where Gilbert's bursts forget their age.

The three random models begin in a state drawn from their stationary distribution, so that the first packet is lost as
often as any other, and short calls lose as much on average as long ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_TRACE_PACKETS = 10_000_000  # 55 hours of 20-ms packets; a longer file is no trace, and must not fill the memory
MIN_BURSTS = 50  # an age that fewer bursts reached gets no figure of its own: its standard error could exceed 0.07
_LINE_LIMIT = 64  # bytes; a line longer than this is no "0" or "1", so nothing longer is ever held


class LossModel(Protocol):
    """Anything that decides, packet after packet, what is lost."""

    @property
    def loss_rate(self) -> float:
        """Share of packets lost in the long run, in [0, 1]."""
        ...

    def stream(self, seed: int = 0) -> Iterator[bool]:
        """Yield True for a lost packet, for ever; the same seed gives the same losses."""
        ...


@dataclass(frozen=True, eq=False)
class RecordedTrace:
    """The losses of a recording, packet by packet, again from the first where the call is longer.

    Args:
        lost: Shape (packets,), True where lost; copied, at least one packet.
        start: Which packet of the recording the call begins with; taken modulo the length of the recording.

    Raises:
        ValueError: `lost` is empty or not one-dimensional.
    """

    lost: NDArray[np.bool_]
    start: int = 0

    def __post_init__(self) -> None:
        lost = _one_dimension(self.lost).copy()
        lost.setflags(write=False)
        object.__setattr__(self, "lost", lost)
        object.__setattr__(self, "start", self.start % len(lost))

    @property
    def loss_rate(self) -> float:
        """Share of lost packets in the whole recording, wherever the call begins."""
        return float(self.lost.mean())

    def stream(self, seed: int = 0) -> Iterator[bool]:
        """Yield the recording for ever; a recording has nothing random, so `seed` changes nothing."""
        lost = self.lost.tolist()
        yield from islice(lost, self.start, None)
        while True:
            yield from lost


@dataclass(frozen=True)
class Bernoulli:
    """Independent losses.

    Args:
        loss_rate: Probability of losing a packet, in [0, 1].

    Raises:
        ValueError: The probability is out of its range.
    """

    loss_rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.loss_rate <= 1:
            raise ValueError(f"loss_rate must be in [0, 1], got {self.loss_rate}")

    @classmethod
    def fit(cls, lost: ArrayLike) -> Bernoulli:
        """Fit the loss rate of a trace, shape (packets,), True where lost."""
        return cls(float(_one_dimension(lost).mean()))

    def stream(self, seed: int = 0) -> Iterator[bool]:
        random = np.random.default_rng(seed)
        while True:
            yield from (random.random(256) < self.loss_rate).tolist()


@dataclass(frozen=True)
class BurstAge:
    """Losses that depend on the age of the burst: on how many packets in a row were just lost.

    Args:
        after_received: Probability of losing the packet after a received one, in [0, 1].
        after_lost: Probability of losing the packet after exactly k lost ones, k = 1, 2, ..., each in [0, 1]; the last
            figure holds for all older bursts and must be below 1, or a burst might never end.

    Raises:
        ValueError: A probability is out of its range, or `after_lost` is empty.
    """

    after_received: float
    after_lost: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.after_lost:
            raise ValueError("after_lost must hold at least one probability")
        if not 0 <= self.after_received <= 1:
            raise ValueError(f"after_received must be in [0, 1], got {self.after_received}")
        for age, probability in enumerate(self.after_lost, start=1):
            if not 0 <= probability <= 1:
                raise ValueError(f"after_lost for age {age} must be in [0, 1], got {probability}")
        if self.after_lost[-1] == 1:
            raise ValueError("the last figure of after_lost must be below 1, or a burst might never end")

    @property
    def mean_burst(self) -> float:
        """Mean number of packets lost in a row."""
        return sum(self._age_weights())

    @property
    def loss_rate(self) -> float:
        """Share of lost packets: a mean burst against the mean run of received packets, 1 / `after_received`."""
        losses_per_gap_packet = self.after_received * self.mean_burst
        return losses_per_gap_packet / (1 + losses_per_gap_packet)

    @classmethod
    def fit(cls, lost: ArrayLike, min_bursts: int = MIN_BURSTS) -> BurstAge:
        """Fit the maximum-likelihood model to a trace, old ages pooled where too few bursts reached them.

        An age gets a figure of its own as long as `min_bursts` bursts reached it; the last such age shares one figure
        with all older ones. A trace with hardly any bursts so becomes the Gilbert-Elliott chain.

        Args:
            lost: Shape (packets,), True where lost.
            min_bursts: How many bursts must have reached an age, at least 1.

        Raises:
            ValueError: Nothing was received, or no burst came to an end, before the last packet.
        """
        if min_bursts < 1:
            raise ValueError(f"min_bursts must be at least 1, got {min_bursts}")
        lost = _one_dimension(lost)
        ages = burst_ages(lost)[:-1]
        after = lost[1:]
        if (ages > 0).all() or after[ages > 0].all():
            raise ValueError("a burst model needs a trace in which packets are received, and a burst of losses ends")
        reached = np.bincount(ages)
        continued = np.bincount(ages, weights=after)
        pooled_from = max(1, int(np.flatnonzero(reached[1:] >= min_bursts).max(initial=0)) + 1)
        own = continued[1:pooled_from] / reached[1:pooled_from]
        tail = continued[pooled_from:].sum() / reached[pooled_from:].sum()
        return cls(float(continued[0] / reached[0]), (*own.tolist(), float(tail)))

    def stream(self, seed: int = 0) -> Iterator[bool]:
        random = np.random.default_rng(seed)
        probabilities = (self.after_received, *self.after_lost)
        oldest = len(self.after_lost)
        age = self._stationary_age(random.random())
        while True:
            yield age > 0
            age = min(age + 1, oldest) if random.random() < probabilities[age] else 0

    def _age_weights(self) -> list[float]:
        """How often a burst is seen at age 1, 2, ...; the last figure stands for all older ages together."""
        weights = [1.0]
        for probability in self.after_lost[:-1]:
            weights.append(weights[-1] * probability)
        weights[-1] /= 1 - self.after_lost[-1]
        return weights

    def _stationary_age(self, uniform: float) -> int:
        """Draw the age of the burst at a random moment, 0 between bursts, from one uniform number in [0, 1)."""
        if uniform >= self.loss_rate:
            return 0
        weights = np.cumsum(self._age_weights())
        return 1 + int(np.searchsorted(weights[:-1], uniform / self.loss_rate * weights[-1], side="right"))


@dataclass(frozen=True)
class GilbertElliott:
    """Two-state Markov loss: every packet sent in the bad state is lost.

    Args:
        to_bad: Probability of entering the bad state after a received packet, in [0, 1].
        to_good: Probability of leaving it after a lost one, in (0, 1]; the mean burst is `1 / to_good` packets.

    Raises:
        ValueError: A probability is out of its range.
    """

    to_bad: float
    to_good: float

    def __post_init__(self) -> None:
        if not 0 <= self.to_bad <= 1:
            raise ValueError(f"to_bad must be in [0, 1], got {self.to_bad}")
        if not 0 < self.to_good <= 1:
            raise ValueError(f"to_good must be in (0, 1], got {self.to_good}")

    @property
    def mean_burst(self) -> float:
        """Mean number of packets lost in a row."""
        return 1 / self.to_good

    @property
    def loss_rate(self) -> float:
        """Stationary share of lost packets."""
        return self.to_bad / (self.to_bad + self.to_good)

    @classmethod
    def fit(cls, lost: ArrayLike) -> GilbertElliott:
        """Fit the maximum-likelihood chain to a trace, shape (packets,), True where lost.

        Raises:
            ValueError: Nothing was received, or no burst came to an end, before the last packet.
        """
        one_age = BurstAge.fit(lost, min_bursts=np.iinfo(np.int64).max)
        return cls(one_age.after_received, 1 - one_age.after_lost[0])

    def stream(self, seed: int = 0) -> Iterator[bool]:
        return BurstAge(self.to_bad, (1 - self.to_good,)).stream(seed)


# BurstAge.fit on real call traces ("measured") and on traces that a recurrent model, itself fitted to real calls, drew
# ("modelled", named by their loss in per cent); 12,000 packets each, but measured-high 5,523 and the others about 470.
BURST_MODELS: dict[str, BurstAge] = {
    "measured-1214": BurstAge(0.2536, (0.241,)),
    "measured-2307": BurstAge(0.0229, (0.677,)),
    "measured-54": BurstAge(1.0000, (0.991, 0.86, 0.435)),
    "measured-high": BurstAge(
        0.6081, (0.538, 0.667, 0.713, 0.847, 0.905, 0.93, 0.86, 0.887, 0.923, 0.893, 0.846, 0.899, 0.764, 0.775)
    ),
    "modelled-02": BurstAge(0.0140, (0.395,)),
    "modelled-05": BurstAge(0.0327, (0.273, 0.678)),
    "modelled-10": BurstAge(0.0523, (0.293, 0.503, 0.711, 0.855)),
    "modelled-15": BurstAge(0.0962, (0.326, 0.486, 0.558, 0.721, 0.837)),
    "modelled-20": BurstAge(0.1169, (0.347, 0.449, 0.582, 0.757, 0.679, 0.872)),
    "modelled-30": BurstAge(0.1984, (0.454, 0.497, 0.503, 0.688, 0.677, 0.739, 0.815, 0.84)),
    "modelled-40": BurstAge(0.3310, (0.465, 0.476, 0.516, 0.613, 0.706, 0.765, 0.75, 0.894, 0.825)),
    "modelled-50": BurstAge(
        0.3879, (0.518, 0.552, 0.555, 0.629, 0.709, 0.789, 0.855, 0.795, 0.921, 0.878, 0.903, 0.8, 0.873)
    ),
}


def burst_ages(lost: ArrayLike) -> NDArray[np.intp]:
    """How many packets in a row are lost up to and with each packet; 0 where it was received.

    Args:
        lost: Shape (packets,), True where lost.

    Returns:
        Shape (packets,).
    """
    lost = _one_dimension(lost)
    position = np.arange(1, len(lost) + 1)
    last_received = np.maximum.accumulate(np.where(lost, 0, position))
    return position - last_received


def read_trace(path: str | Path) -> NDArray[np.bool_]:
    r"""Read a recorded trace: one 0 or 1 a line, 1 for a lost packet.

    Line ends may be `\n` or `\r\n`; empty lines are allowed at the end only. Time is linear in the size of the file,
    and what is held in memory is one byte a packet.

    Returns:
        Shape (packets,), bool, at least one packet.

    Raises:
        ValueError: The content is not such a trace; the message names the file and the line.
        OSError: The file cannot be read.
    """
    lost = bytearray()
    blank = 0
    with open(path, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LINE_LIMIT), b""), start=1):
            entry = line.strip()
            if not entry:
                blank = blank or number
                if number - blank > _LINE_LIMIT:
                    raise ValueError(f"{path}, line {blank}: expected 0 or 1, got many empty lines")
                continue
            if blank:
                raise ValueError(f"{path}, line {blank}: expected 0 or 1, got an empty line")
            if entry not in (b"0", b"1"):
                got = entry[:20].decode("ascii", "backslashreplace")
                raise ValueError(f"{path}, line {number}: expected 0 or 1, got {got!r}")
            if number > MAX_TRACE_PACKETS:
                raise ValueError(f"{path}, line {number}: a trace has at most {MAX_TRACE_PACKETS} packets")
            lost.append(entry == b"1")
    if not lost:
        raise ValueError(f"{path}, line 1: expected 0 or 1, the file is empty")
    return np.frombuffer(lost, dtype=np.bool_)


def parse_loss(text: str) -> LossModel:
    """Find the loss model that a user names in one word.

    Args:
        text: An existing file (see `read_trace`) before anything else; or `20%` (independent losses),
            `gilbert:TO_BAD,TO_GOOD` (two probabilities), `burst:NAME` (a key of `BURST_MODELS`).

    Raises:
        ValueError: It is none of these, a probability is out of range, or the file is no trace.
        OSError: The file cannot be read.
    """
    if os.path.exists(text):
        return RecordedTrace(read_trace(text))
    kind, _, value = text.partition(":")
    if kind == "burst":
        if value not in BURST_MODELS:
            raise ValueError(f"no burst model is named {value!r}; there are: {', '.join(BURST_MODELS)}")
        return BURST_MODELS[value]
    try:
        if text.endswith("%"):
            return Bernoulli(float(text[:-1]) / 100)
        if kind == "gilbert":
            if value.count(",") != 1:
                raise ValueError("expected gilbert:TO_BAD,TO_GOOD")
            to_bad, to_good = map(float, value.split(","))
            return GilbertElliott(to_bad, to_good)
    except ValueError as error:
        raise ValueError(f"{text!r} is no loss model: {error}") from None
    raise ValueError(
        f"{text!r} is neither an existing file nor a loss model such as 20%, gilbert:0.05,0.4 or burst:NAME, "
        f"NAME being one of: {', '.join(BURST_MODELS)}"
    )


def _one_dimension(lost: ArrayLike) -> NDArray[np.bool_]:
    lost = np.asarray(lost, dtype=np.bool_)
    if lost.ndim != 1 or not len(lost):
        raise ValueError(f"losses must be an array of shape (packets,) with at least one packet, got {lost.shape}")
    return lost
