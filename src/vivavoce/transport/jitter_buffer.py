"""Opus payloads waiting for their turn, ordered by the time they describe and not by the packet that brought them.

A payload enters once, as primary or as RED copy; a primary replaces a copy of the same time. Memory is bounded whatever
arrives.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass

MAX_PAYLOADS = 1024  # 20 s of 20-ms packets: ten times the longest playout delay anyone configures
MAX_BYTES = 1 << 20  # 20 s at 400 kb/s; only garbage is larger


@dataclass(frozen=True, slots=True)
class Payload:
    """One Opus packet at its place in time.

    Attributes:
        timestamp: Extended RTP timestamp (48-kHz ticks) of its first sample.
        ticks: Its duration.
        data: The Opus packet.
        source: "primary" or "red".
        arrival: Seconds, local clock.
        sequence: Extended sequence number of the packet that carried it as primary, else None.
        lbrr: It also carries a coarse copy of the packet before it.
        dred: A description of the past that came beside it; one may be in its padding too.
    """

    timestamp: int
    ticks: int
    data: bytes
    source: str
    arrival: float
    sequence: int | None = None
    lbrr: bool = False
    dred: bytes = b""

    @property
    def size(self) -> int:
        """Bytes held."""
        return len(self.data) + len(self.dred)


class JitterBuffer:
    """Payloads by timestamp."""

    def __init__(self) -> None:
        self._payloads: dict[int, Payload] = {}
        self._order: list[int] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._order)

    @property
    def first(self) -> Payload | None:
        """The earliest payload."""
        return self._payloads[self._order[0]] if self._order else None

    def insert(self, payload: Payload) -> bool:
        """Keep a payload unless its time is already covered as well or better.

        Returns:
            False where it was not needed.
        """
        held = self._payloads.get(payload.timestamp)
        if held is not None:
            if held.source == "primary" or payload.source != "primary":
                return False
            self._bytes -= held.size
        else:
            insort(self._order, payload.timestamp)
        self._payloads[payload.timestamp] = payload
        self._bytes += payload.size
        while len(self._order) > MAX_PAYLOADS or self._bytes > MAX_BYTES:
            self._remove(len(self._order) - 1)  # the furthest in the future is the least likely to be real
        return payload.timestamp in self._payloads

    def at(self, timestamp: int) -> Payload | None:
        """The payload that begins exactly here."""
        return self._payloads.get(timestamp)

    def covering(self, timestamp: int) -> Payload | None:
        """The latest payload that begins before this time and reaches beyond it."""
        place = bisect_left(self._order, timestamp) - 1
        if place < 0:
            return None
        payload = self._payloads[self._order[place]]
        return payload if payload.timestamp + payload.ticks > timestamp else None

    def after(self, timestamp: int) -> Payload | None:
        """The first payload that begins later than this time."""
        place = bisect_right(self._order, timestamp)
        return self._payloads[self._order[place]] if place < len(self._order) else None

    def payloads_after(self, timestamp: int, count: int) -> list[Payload]:
        """The first payloads that begin later than this time, so many at most."""
        place = bisect_right(self._order, timestamp)
        return [self._payloads[each] for each in self._order[place : place + count]]

    def run_after(self, timestamp: int, ticks: int) -> list[Payload]:
        """The first payloads that begin later than this time and follow each other, until they last so long."""
        run: list[Payload] = []
        place = bisect_right(self._order, timestamp)
        for following in self._order[place:]:
            if run and (run[-1].timestamp + run[-1].ticks != following or following - run[0].timestamp >= ticks):
                break
            run.append(self._payloads[following])
        return run

    def remove(self, timestamp: int) -> None:
        """Drop the payload that begins here: it could not be decoded."""
        if timestamp in self._payloads:
            self._remove(bisect_left(self._order, timestamp))

    def drop_before(self, timestamp: int) -> list[Payload]:
        """Remove and return what ends at or before this time."""
        dropped = []
        while self._order and (first := self._payloads[self._order[0]]).timestamp + first.ticks <= timestamp:
            dropped.append(first)
            self._remove(0)
        return dropped

    def _remove(self, place: int) -> None:
        payload = self._payloads.pop(self._order.pop(place))
        self._bytes -= payload.size
