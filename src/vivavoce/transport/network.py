"""A network that loses, delays, reorders and duplicates datagrams, on a virtual clock.

`Network.send` says when copies of a datagram arrive; it never sleeps and owns no socket. The same arguments and seed
give the same arrivals. Each impairment draws from a random stream of its own, and draws for every datagram whether or
not it is lost, so that turning one impairment on or off leaves what the others do unchanged.

Delays are those above the fastest packet: a constant propagation time changes nothing that a receiver can know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vivavoce.transport.loss import MAX_TRACE_PACKETS, LossModel

HELD_BACK_MS = (20.0, 60.0)  # a packet that takes another route comes one to three 20-ms packets late
DUPLICATE_MS = (0.0, 20.0)  # the second copy follows within one packet, as link-layer retransmissions do
_LINE_LIMIT = 64  # bytes; a number of milliseconds is shorter


class JitterModel(Protocol):
    """Anything that decides how long each datagram is under way."""

    def stream(self, seed: int | np.random.SeedSequence = 0) -> Iterator[float]:
        """Yield delays in milliseconds, at least 0, for ever; the same seed gives the same delays."""
        ...


@dataclass(frozen=True)
class GammaJitter:
    """Independent delays of a gamma distribution, a usual model of the queues along a path.

    Args:
        mean_ms: Mean delay above the fastest packet, at least 0; the standard deviation is `mean_ms / sqrt(shape)`.
        shape: Shape of the distribution, above 0: 1 is exponential, larger is narrower.

    Raises:
        ValueError: An argument is out of its range.
    """

    mean_ms: float
    shape: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.mean_ms < float("inf"):
            raise ValueError(f"mean_ms must be finite and at least 0, got {self.mean_ms}")
        if not 0 < self.shape < float("inf"):
            raise ValueError(f"shape must be finite and above 0, got {self.shape}")

    @classmethod
    def fit(cls, delays_ms: NDArray[np.floating]) -> GammaJitter:
        """Fit mean and variance to measured delays.

        Args:
            delays_ms: Shape (packets,), at least 0, not all equal.

        Raises:
            ValueError: The delays have no such distribution.
        """
        delays_ms = _delays(delays_ms)
        mean, variance = float(delays_ms.mean()), float(delays_ms.var())
        if variance == 0:
            raise ValueError(f"delays that are all {mean} ms fit no gamma distribution")
        return cls(mean, mean**2 / variance)

    def stream(self, seed: int | np.random.SeedSequence = 0) -> Iterator[float]:
        random = np.random.default_rng(seed)
        while True:
            yield from random.gamma(self.shape, self.mean_ms / self.shape, 256).tolist()


@dataclass(frozen=True, eq=False)
class JitterTrace:
    """Recorded delays, packet by packet, again from the first where the call is longer.

    Args:
        delays_ms: Shape (packets,), at least 0; copied.

    Raises:
        ValueError: A delay is negative or not finite, or there is none.
    """

    delays_ms: NDArray[np.float64]

    def __post_init__(self) -> None:
        delays_ms = _delays(self.delays_ms).copy()
        delays_ms.setflags(write=False)
        object.__setattr__(self, "delays_ms", delays_ms)

    def stream(self, seed: int | np.random.SeedSequence = 0) -> Iterator[float]:
        """Yield the recording for ever; `seed` changes nothing."""
        delays_ms = self.delays_ms.tolist()
        while True:
            yield from delays_ms


class Network:
    """One direction of a path between two hosts.

    Delayed datagrams queue: none overtakes another, save those that are held back. A datagram that is held back comes
    `HELD_BACK_MS` later than its place in the queue, and blocks nobody; its neighbours so overtake it.

    Args:
        loss: Which datagrams are lost; None loses none.
        jitter: How long each is under way; None is no time at all.
        reorder: Probability that a datagram is held back, in [0, 1].
        duplicate: Probability that a datagram arrives twice, in [0, 1].
        seed: Of all that is random. The losses are those of `loss.stream(seed)`.

    Attributes:
        lost: One bool per datagram sent, in sending order.

    Raises:
        ValueError: A probability is out of its range.
    """

    def __init__(
        self,
        loss: LossModel | None = None,
        jitter: JitterModel | None = None,
        reorder: float = 0.0,
        duplicate: float = 0.0,
        seed: int = 0,
    ) -> None:
        for name, probability in (("reorder", reorder), ("duplicate", duplicate)):
            if not 0 <= probability <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {probability}")
        jitter_seed, reorder_seed, duplicate_seed = np.random.SeedSequence(seed).spawn(3)
        self.lost: list[bool] = []
        self._losses = None if loss is None else loss.stream(seed)
        self._delays_ms = None if jitter is None else jitter.stream(jitter_seed)
        self._held_back_ms = _now_and_then(reorder, HELD_BACK_MS, reorder_seed)
        self._second_copy_ms = _now_and_then(duplicate, DUPLICATE_MS, duplicate_seed)
        self._queue_end_s = float("-inf")

    def send(self, datagram: bytes, time_s: float) -> list[tuple[float, bytes]]:
        """Send a datagram.

        Args:
            datagram: What is sent; its bytes are never changed.
            time_s: When, in seconds; never earlier than the datagram before.

        Returns:
            When each copy arrives, earliest first, with the datagram; empty where it is lost.
        """
        lost = self._losses is not None and next(self._losses)
        delay_ms = 0.0 if self._delays_ms is None else next(self._delays_ms)
        held_back_ms = next(self._held_back_ms)
        second_copy_ms = next(self._second_copy_ms)
        self.lost.append(lost)
        if lost:
            return []
        arrival_s = max(self._queue_end_s, time_s + delay_ms / 1000)
        if held_back_ms is None:
            self._queue_end_s = arrival_s
        else:
            arrival_s += held_back_ms / 1000
        arrivals = [(arrival_s, datagram)]
        if second_copy_ms is not None:
            arrivals.append((arrival_s + second_copy_ms / 1000, datagram))
        return arrivals


def read_jitter(path: str | Path) -> NDArray[np.float64]:
    """Read recorded delays: one number of milliseconds a line, in sending order.

    Returns:
        Shape (packets,), finite, at least 0.

    Raises:
        ValueError: The content is no such trace; the message names the file and the line.
        OSError: The file cannot be read.
    """
    delays_ms: list[float] = []
    with open(path, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LINE_LIMIT), b""), start=1):
            try:
                delay_ms = float(line)
            except ValueError:
                delay_ms = -1.0
            if not 0 <= delay_ms < float("inf"):
                got = line[:20].rstrip(b"\r\n").decode("ascii", "backslashreplace")
                raise ValueError(f"{path}, line {number}: expected milliseconds, at least 0, got {got!r}")
            if number > MAX_TRACE_PACKETS:
                raise ValueError(f"{path}, line {number}: a trace has at most {MAX_TRACE_PACKETS} packets")
            delays_ms.append(delay_ms)
    if not delays_ms:
        raise ValueError(f"{path}, line 1: expected milliseconds, the file is empty")
    return np.array(delays_ms)


def _now_and_then(
    probability: float, range_ms: tuple[float, float], seed: np.random.SeedSequence
) -> Iterator[float | None]:
    """Yield for each datagram a time from the range with the given probability, and None otherwise, for ever."""
    random = np.random.default_rng(seed)
    while True:
        happens, time_ms = random.random(256) < probability, random.uniform(*range_ms, 256)
        yield from (time if hit else None for hit, time in zip(happens.tolist(), time_ms.tolist(), strict=True))


def _delays(delays_ms: NDArray[np.floating]) -> NDArray[np.float64]:
    delays_ms = np.asarray(delays_ms, dtype=np.float64)
    if delays_ms.ndim != 1 or not len(delays_ms):
        raise ValueError(f"delays_ms must have shape (packets,) with at least one packet, got {delays_ms.shape}")
    if not (np.isfinite(delays_ms) & (delays_ms >= 0)).all():
        raise ValueError("delays_ms must be finite and at least 0")
    return delays_ms
