"""How much of the past each packet describes, and how finely, within a rate.

What a chunk is worth falls with its age: it is needed only where the packets behind it were lost too. Levels are equal
steps of the logarithm of lambda, bits against distortion, so that the best level of a chunk rises with that of its
worth. The level of the newest chunk alone is left to move until the packets have their rate.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from vivavoce.redundancy.dred import DredSender
from vivavoce.redundancy.payload import CHUNK_MS, LAMBDA_RATIO, LEVELS, MAX_CHUNKS, SLOPES, LevelSchedule

LEVELS_PER_E = (LEVELS - 1) / math.log(LAMBDA_RATIO)
COARSER_THAN_ALL = 3  # levels: a chunk that would have to be so much coarser than the coarsest is not worth its bits
EASY = (0.3, 0.6, 0.8)  # what describing the first packets of a burst brings, beside later ones: PLC does well there
AUDIBLE = 17.0  # of the first cepstral coefficient: 40 dB under the speech is silence
SILENT = -10.0  # of the same: the dither of 16 bits, which is silence whatever the speech is like
FORGET = 0.01  # of that a step: how fast loud speech is forgotten
MAX_SILENT_STEPS = 20
CREDIT_S = 0.5  # of the rate, saved up in silence
SPEND = 0.15  # of what is saved, for one description
TRIES, FINER = 3, 1.08  # of other levels; the next finer one is worth none where so many times the bytes do not fit
MOST_BYTES = 1000  # of a description: a block of RED holds 1023
OVERHEAD = 6  # bytes that an extension adds to a packet of one frame, at most; a block of RED 4
HEAD_BITS = 120  # of a description beside its chunks: its header, and a state
CHUNK_BITS, CHUNK_BITS_A_LEVEL = 95, 0.13  # of speech, at level 0, and the logarithm of how they fall

_Description = tuple[bytes, LevelSchedule, int]  # and how many chunks


@dataclass(frozen=True)
class DredPlan:
    """What descriptions are to be like.

    Attributes:
        bitrate_bps: Of all that they add to packets.
        every: Packets from one description to the next.
        chunks: At most described.
        slope: Index into SLOPES: how much coarser chunks are than those after them.
        coarser: By how many levels the best level of each chunk lies above the first one's.
    """

    bitrate_bps: float
    every: int
    chunks: int
    slope: int
    coarser: tuple[float, ...]

    @classmethod
    def of(
        cls,
        bitrate_bps: float,
        survivors: Sequence[float],
        max_ms: float,
        packet_ms: float,
        every: int,
        lost_too: float = 0.0,
    ) -> DredPlan:
        """The plan for a rate and for losses.

        Args:
            bitrate_bps: Of the descriptions.
            survivors: How many of the bursts of losses last for 1, 2, ... packets at least: from 1 on, falling.
            max_ms: No more is described.
            packet_ms: Duration of a packet.
            every: Packets from one description to the next.
            lost_too: Share of the descriptions behind a burst that are lost in another one, below 1.
        """
        worth = np.log(_worth(survivors, packet_ms, every, lost_too))
        coarser = np.maximum.accumulate(LEVELS_PER_E * (worth[0] - worth))
        useful = max(2, int(np.searchsorted(coarser, LEVELS + COARSER_THAN_ALL)))
        ages = np.arange(min(useful, MAX_CHUNKS))
        slope = float(ages @ coarser[: len(ages)] / (ages @ ages))
        index = int(np.argmin(np.abs(np.array(SLOPES) / 16 - slope)))
        chunks = min(MAX_CHUNKS, max(1, int(max_ms // CHUNK_MS)))
        return cls(bitrate_bps, every, chunks, index, tuple(coarser.tolist()))

    def schedule(self, first: int) -> tuple[LevelSchedule, int]:
        """Levels, and how many chunks are worth being described, where the newest has this level, from 0 to 15."""
        return self._schedules[first]

    @cached_property
    def _schedules(self) -> dict[int, tuple[LevelSchedule, int]]:
        reached = [bisect_right(self.coarser, LEVELS - 1 + COARSER_THAN_ALL - first) for first in range(LEVELS)]
        worth = (max(1, min(chunks, self.chunks)) for chunks in reached)
        return {first: (LevelSchedule(first, self.slope), chunks) for first, chunks in enumerate(worth)}

    def most_bps(self, packet_ms: float) -> float:
        """What its descriptions need where all are as fine as can be; Opus can have the rest of `bitrate_bps`."""
        levels, chunks = self.schedule(0)
        bits = sum(CHUNK_BITS * math.exp(-CHUNK_BITS_A_LEVEL * levels.level(chunk)) for chunk in range(chunks))
        return 1000 * (8 * OVERHEAD + HEAD_BITS + bits) / (self.every * packet_ms)


def _worth(survivors: Sequence[float], packet_ms: float, every: int, lost_too: float) -> np.ndarray:
    """Of each chunk: how often it is needed, the beginnings of bursts counting less."""
    lasting = np.asarray(survivors, dtype=float)
    ends = lasting - np.append(lasting[1:], 0)  # how many last for exactly 1, 2, ...
    gain = np.ones(len(ends))
    gain[: len(EASY)] = EASY[: len(ends)]
    # distance to the packet behind the burst, 1, 2, ...: of a burst of n, the one at distance k is its (n - k + 1)th
    needed = np.array([ends[k:] @ gain[: len(ends) - k] for k in range(len(ends))])
    needed = np.convolve(needed, np.full(every, 1 / every))  # until a packet with a description comes
    turns = lost_too ** np.arange(math.ceil(MAX_CHUNKS * CHUNK_MS / (every * packet_ms)))
    later = np.zeros(every * (len(turns) - 1) + 1)  # and until one of those arrives
    later[::every] = turns
    needed = np.convolve(needed, later)
    centres = (np.arange(MAX_CHUNKS) + 0.5) * CHUNK_MS / packet_ms - 0.5
    return np.maximum(np.interp(centres, np.arange(len(needed)), needed, right=0), 1e-9)


@dataclass
class DredTally:
    """What descriptions were like.

    Attributes:
        count: Of them.
        size, covered_ms, levels: Sums over them: bytes that packets became longer by, at most; time; first levels.
        silent, crowded: Turns that passed because there was nothing to say, or no room to say anything.
    """

    count: int = 0
    size: int = 0
    covered_ms: int = 0
    levels: int = 0
    silent: int = 0
    crowded: int = 0

    def summary(self) -> dict[str, object]:
        """Means, and why there was none how often."""
        none = {"silence": self.silent, "rate too low": self.crowded}
        said: dict[str, object] = {"descriptions": self.count, "none": {why: n for why, n in none.items() if n}}
        if self.count:
            said["bytes"] = round(self.size / self.count, 1)
            said["covered_ms"] = round(self.covered_ms / self.count)
            said["first_level"] = round(self.levels / self.count, 1)
        return said


class DredRate:
    """Writes descriptions that keep a rate.

    Args:
        sender: What hears.
        plan: What they are to be like.
        packet_ms: Duration of a packet.
        tally: Takes the counts; a new one by default.

    Attributes:
        plan: May be changed at any time.
        tally: What was written so far.
    """

    def __init__(self, sender: DredSender, plan: DredPlan, packet_ms: float, tally: DredTally | None = None) -> None:
        self._sender, self._packet_ms = sender, packet_ms
        self._first, self._loudest, self._since = 9, -math.inf, 0
        self._credit, self._heard = 0.0, 0
        self._loudness: deque[float] = deque(maxlen=2 * MAX_CHUNKS)  # of steps, the newest first
        self.plan, self.tally = plan, DredTally() if tally is None else tally

    def next(self, start: int) -> bytes | None:
        """What the next packet says of the past; None: nothing, as it is not its turn or there was only silence.

        Args:
            start: Ticks between the beginning of the packet's own frame and the end of what was heard.
        """
        a_packet = self.plan.bitrate_bps * self._packet_ms / 8000
        self._credit = min(self._credit + a_packet, self.plan.bitrate_bps / 8 * CREDIT_S + a_packet)
        self._since += 1
        self._listen()
        if self._since < self.plan.every:
            return None
        allowed = self.plan.every * a_packet
        allowed = min(self._credit, allowed + SPEND * max(0.0, self._credit - allowed)) - OVERHEAD
        allowed = min(allowed, MOST_BYTES)
        payload = self._fitting(start, allowed)
        if payload is not None:
            self._credit -= len(payload) + OVERHEAD
            self._since = 0
        return payload

    def _listen(self) -> None:
        steps = self._sender.steps
        for age in range(min(steps - self._heard, 2 * MAX_CHUNKS) - 1, -1, -1):
            loudness = self._sender.loudness(age)
            self._loudness.appendleft(loudness)
            self._loudest = max(self._loudest - FORGET, loudness)
        self._heard = steps

    def _fitting(self, start: int, allowed: float) -> bytes | None:
        """The finest that fits, or fewer chunks of a coarser one; None where nothing does, or nothing is there."""
        said = self._description(start, self._first) if self._spoken() else None
        passes = self._since % self.plan.every == 0  # a turn; packets behind one that passed try again
        if said is None:
            self.tally.silent += passes and self._heard > 1
            return None
        fits = len(said[0]) <= allowed
        for _ in range(0 if fits and FINER * len(said[0]) > allowed else TRIES):
            level = said[1].first + (-1 if fits else 1)
            other = self._description(start, level) if 0 <= level < LEVELS else None
            if other is None or (fits and len(other[0]) > allowed):
                break
            said = other
            if not fits and len(said[0]) <= allowed:
                break
        payload, levels, chunks = said
        self._first = levels.first
        while len(payload) > allowed and chunks > 1:
            chunks = max(1, min(chunks - 1, int(chunks * allowed / len(payload))))
            payload = self._sender.payload(start, levels, chunks) or payload
        if len(payload) > allowed:
            self.tally.crowded += passes
            return None
        self.tally.count += 1
        self.tally.size += len(payload) + OVERHEAD
        self.tally.covered_ms += CHUNK_MS * chunks
        self.tally.levels += levels.first
        return payload

    def _description(self, start: int, first: int) -> _Description | None:
        """What could be said, at which levels, of how many chunks, up to the oldest in which there is something."""
        levels, chunks = self.plan.schedule(first)
        silence, newest = self._silence, self._sender.inside(start)
        oldest = min(newest + 2 * chunks, self._known) - 1
        while oldest >= newest and self._loudness[oldest] <= silence:
            oldest -= 1
        if oldest < newest:
            return None
        chunks = min(chunks, (oldest - newest) // 2 + 1, (self._heard - newest) // 2)
        payload = self._sender.payload(start, levels, chunks)
        return None if payload is None else (payload, levels, chunks)

    def _spoken(self) -> bool:
        """Whether there was something lately. Silence that came after speech is described: a receiver would go on."""
        lately = islice(self._loudness, min(MAX_SILENT_STEPS + 1, self._known))
        return max(lately, default=-math.inf) > self._silence

    @property
    def _silence(self) -> float:
        return max(self._loudest - AUDIBLE, SILENT)

    @property
    def _known(self) -> int:
        """Steps that may be described: the very first is not."""
        return min(max(0, self._heard - 1), len(self._loudness))
