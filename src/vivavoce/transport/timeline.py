"""One axis of time for everything that is received: the RTP clocks of successive sources, unwrapped and joined.

A sender may restart its clock, hand over to another source, or mute without letting its timestamps run on. The axis
that is played goes on through it all: the new clock is joined where the network's delay puts it, on the grid of slots.
"""

from __future__ import annotations

import math

from vivavoce.transport.playout_clock import PlayoutClock
from vivavoce.transport.rtp import OPUS_CLOCK_HZ, unwrap
from vivavoce.transport.stats import SLOT_TICKS

EARLY_S, LATE_S = 3.0, 30.0  # a packet further from its time than this tells of another clock, not of the network
CLOCK_JUMP_PACKETS = 3  # so many in a row before it is believed


class Timeline:
    """Places packets on the axis that is played.

    Args:
        clock: When the axis is due.
        start: Where it begins, if that is known before the first packet.

    Attributes:
        newest: The latest time on the axis of which a packet was seen.
        newest_ticks: How long that packet is.
        restarts: How often a clock was joined because its timestamps jumped.
    """

    def __init__(self, clock: PlayoutClock, start: int | None) -> None:
        self.newest_ticks = SLOT_TICKS
        self.restarts = 0
        self._clock = clock
        self._newest = start  # on the sender's own clock, unwrapped
        self._offset = 0  # from there to the axis
        self._jumps = 0

    @property
    def newest(self) -> int | None:
        return None if self._newest is None else self._newest + self._offset

    def place(self, timestamp: int, arrival: float, position: int) -> int | None:
        """The time of a packet on the axis.

        Args:
            timestamp: As in the packet, 32 bits.
            arrival: Seconds.
            position: What is being played.

        Returns:
            None while the timestamp is too far from its time to be believed.
        """
        unwrapped = timestamp if self._newest is None else unwrap(timestamp, self._newest, 32)
        if self._clock.running and not -EARLY_S <= self._age(unwrapped, arrival) <= LATE_S:
            self._jumps += 1
            if self._jumps < CLOCK_JUMP_PACKETS:
                return None
            self.restarts += 1
            return self.join(timestamp + self._offset, arrival, position)
        self._jumps = 0
        self._newest = unwrapped if self._newest is None else max(self._newest, unwrapped)
        return unwrapped + self._offset

    def noted(self, time: int, ticks: int) -> None:
        """A packet at this time on the axis lasts so long."""
        if time == self.newest:
            self.newest_ticks = ticks

    def continues(self, timestamp: int, arrival: float) -> bool:
        """Whether a restarted sequence has kept its clock: the packet is near its time."""
        if self._newest is None or not self._clock.running:
            return True
        return abs(self._age(unwrap(timestamp, self._newest, 32), arrival)) <= EARLY_S

    def join(self, time: int, arrival: float, position: int) -> int:
        """Let the packet that would be at this time on the axis lie where it is due if it was not delayed.

        Returns:
            Its new time.
        """
        own = time - self._offset
        self._newest = own
        self._jumps = 0
        if self._clock.running:
            captured = round((arrival - self._clock.captured(0)) * OPUS_CLOCK_HZ) - self.newest_ticks
            self._offset = position + math.ceil((captured - position) / SLOT_TICKS) * SLOT_TICKS - own
        else:
            self._offset = 0
        return own + self._offset

    def _age(self, unwrapped: int, arrival: float) -> float:
        return arrival - self._clock.captured(unwrapped + self._offset)
