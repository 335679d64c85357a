"""What a slot is played from: the best that is here of primary, RED, LBRR, deep redundancy and concealment."""

from __future__ import annotations

from typing import NamedTuple

from vivavoce.codec.packet import is_dtx
from vivavoce.redundancy.dred import DredReceiver, DredRedundancy
from vivavoce.transport.jitter_buffer import JitterBuffer, Payload
from vivavoce.transport.stats import SLOT_TICKS

PLC_STEP_TICKS = 120  # libopus conceals multiples of 2.5 ms
MAX_DESCRIBING = 60  # packets that are asked for what they say of a slot: more than a second of them
PAUSE = "the sender pauses"
MIDDLE = "came in its middle"


class Choice(NamedTuple):
    """What a slot is made from.

    Attributes:
        timestamp, ticks: The slot; it begins where it was asked for, or less than 2.5 ms later.
        source: "primary", "red", "lbrr", "dred", "plc" or "dtx".
        reason: Why, in words.
        payload: What is decoded.
        redundancy: What describes it.
    """

    timestamp: int
    ticks: int
    source: str
    reason: str
    payload: Payload | None = None
    redundancy: DredRedundancy | None = None


class Chooser:
    """Chooses from a jitter buffer, slot by slot.

    Args:
        buffer: Of the stream.
        dred: What reads descriptions; None where they are of no use.

    Attributes:
        last_sequence: Of the packet that was played last from its own payload.
    """

    def __init__(self, buffer: JitterBuffer, dred: DredReceiver | None) -> None:
        self.last_sequence: int | None = None
        self._buffer, self._dred = buffer, dred
        self._slot_ticks = SLOT_TICKS
        self._paused = False

    def played(self, payload: Payload) -> None:
        """Note that this payload was played."""
        self._paused = is_dtx(payload.data)
        self.last_sequence = payload.sequence
        self._slot_ticks = payload.ticks

    def choose(self, position: int) -> Choice:
        """The best for the slot that begins at this time."""
        while remnant := self._remnant(position):
            position += remnant
        if (payload := self._buffer.at(position)) is not None:
            reason = "in time" if payload.source == "primary" else "primary missing, copy in a later packet"
            return Choice(position, payload.ticks, payload.source, reason, payload)
        if (payload := self._buffer.covering(position)) is not None:
            rest = payload.timestamp + payload.ticks - position
            return Choice(position, rest, payload.source, MIDDLE, payload)
        ticks = min(self._slot_ticks, SLOT_TICKS)
        following = self._buffer.after(position)
        paused = self._paused
        if following is not None:
            paused = self._pauses_until(following, position)
            if following.lbrr and following.timestamp - following.ticks == position and not paused:
                return Choice(position, following.ticks, "lbrr", "no copy, but the next packet describes it", following)
            room = following.timestamp - position
            if room < ticks:
                ticks = room // PLC_STEP_TICKS * PLC_STEP_TICKS
        if paused:
            return Choice(position, ticks, "dtx", PAUSE)
        if (redundancy := self._describing(position + ticks // 2)) is not None:
            return Choice(position, ticks, "dred", "no copy, but a later packet describes it", None, redundancy)
        reason = "nothing usable arrived" if following is None else "lost, later packets are here"
        return Choice(position, ticks, "plc", reason)

    def _remnant(self, position: int) -> int:
        """Ticks that are too few to be played, less than 2.5 ms; 0 where there are more, or a payload begins."""
        if self._buffer.at(position) is not None:
            return 0
        if (payload := self._buffer.covering(position)) is not None:
            ticks = payload.timestamp + payload.ticks - position
        else:
            following = self._buffer.after(position)
            ticks = 0 if following is None else following.timestamp - position
        return ticks if ticks < PLC_STEP_TICKS else 0

    def said_by(self, payload: Payload) -> DredRedundancy | None:
        """What a packet says of the time before it, as far as that is of use."""
        return self._dred and self._dred.redundancy_of(payload.timestamp, payload.data, payload.dred)

    def _describing(self, time: int) -> DredRedundancy | None:
        """What the first packet after this time that describes it says of it: it is the finest."""
        if self._dred is None:
            return None
        for payload in self._buffer.payloads_after(time, MAX_DESCRIBING):
            redundancy = self.said_by(payload)
            if redundancy is not None and redundancy.begin <= time < redundancy.end:
                return redundancy
        return None

    def _pauses_until(self, following: Payload, position: int) -> bool:
        """Whether this slot belongs to a pause of the sender, and not to the packets lost before `following`."""
        if following.sequence is None or self.last_sequence is None:
            return self._paused
        missing = following.sequence - self.last_sequence - 1
        if missing <= 0:
            return missing == 0
        return self._paused and following.timestamp - position > missing * following.ticks
