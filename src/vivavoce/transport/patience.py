"""Which lost packets come back in descriptions, and when: what an adaptive playout delay has to wait for.

Any later packet may describe a lost one, while a better copy of it may still be on its way: when it became usable is
known only when nothing more is waited for.
"""

from __future__ import annotations

from collections.abc import Callable

from vivavoce.redundancy.dred import DredRedundancy
from vivavoce.transport.jitter_buffer import Payload
from vivavoce.transport.playout_clock import PlayoutClock

PATIENCE_TICKS = 19_200  # 400 ms: with more delay people cannot converse (ITU-T G.114)


class Patience:
    """Tells the clock of lost packets that were described.

    Args:
        clock: Whose delay is adaptive.
        said_by: What a packet says of the time before it.
    """

    def __init__(self, clock: PlayoutClock, said_by: Callable[[Payload], DredRedundancy | None]) -> None:
        self._clock, self._said_by = clock, said_by
        self.begin()

    def begin(self) -> None:
        """A sequence begins."""
        self._newest: tuple[int, int] | None = None  # sequence number and time
        self._lost: dict[int, float | None] = {}  # by time, rising: when the first packet came that describes it

    def arrived(self, payload: Payload, sequence: int) -> None:
        """A primary arrived, with an extended sequence number."""
        time, ticks, newest = payload.timestamp, payload.ticks, self._newest
        if newest is not None and sequence <= newest[0]:
            self._lost.pop(time, None)
            return
        self._newest = sequence, time
        if newest is not None and time <= newest[1]:  # the sender's clock was set back
            self._lost.clear()
        elif newest is not None:
            missing = sequence - newest[0] - 1
            if time - newest[1] == (missing + 1) * ticks:  # else the sender paused, or nobody knows
                lost = range(time - min(missing, PATIENCE_TICKS // ticks) * ticks, time, ticks)
                self._lost |= dict.fromkeys(lost)
        waiting = [each for each, arrival in self._lost.items() if arrival is None]
        if waiting and (said := self._said_by(payload)) is not None:
            found = (each for each in waiting if said.begin <= each + ticks // 2 < said.end)
            self._lost |= dict.fromkeys(found, payload.arrival)
        self._settle(time - PATIENCE_TICKS)

    def _settle(self, end: int) -> None:
        """Nothing more is waited for of what was lost before this time."""
        for time in [time for time in self._lost if time < end]:
            if (arrival := self._lost.pop(time)) is not None:
                self._clock.usable(time, arrival)
