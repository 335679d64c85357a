"""When a slot is due: the map from the sender's RTP clock to the receiver's own, and the playout delay on top of it.

The fastest packets of the last ten seconds show where the sender's clock stands (their queueing delay is nearest to
zero), which also follows clocks that run apart. The delay is fixed, or adaptive: a quantile of how late payloads became
usable, where one recovered from a later packet counts with that packet's arrival, so that redundancy that is needed is
waited for (of descriptions, up to 400 ms: `patience.py`).
"""

from __future__ import annotations

from collections import deque

from vivavoce.transport.rtp import OPUS_CLOCK_HZ

WINDOW_BLOCKS = 10  # of one second: long enough to see a fast packet, 2 ms of drift at 200 ppm
BLOCK_S = 1.0
FAST_S = 0.1  # a packet faster than all others by more than this is odd ...
FAST_PACKETS = 3  # ... until so many in a row are: one forged timestamp must not move the call
HISTORY = 500  # payloads that the adaptive delay looks back on: 10 s
QUANTILE = 0.98  # one slot in fifty may come too late
MARGIN_S = 0.005  # half a frame of scheduling noise
MIN_DELAY_S, MAX_DELAY_S = 0.030, 1.1
FIRST_DELAY_S = 0.080  # until enough has been seen
WARM_UP = 25  # payloads, half a second
REVIEW_EVERY = 10  # payloads between two looks at the quantile
STEP_S = 0.010  # smaller wishes are ignored: each change costs a splice


class PlayoutClock:
    """Maps RTP timestamps to local time.

    Args:
        delay_s: From capture to playout of a slot; None adapts it.
        anchor: (timestamp, seconds): the capture time of one RTP timestamp on the local clock, where both ends share a
            clock. Without it the capture time is taken as the arrival of the fastest packet less its duration.
    """

    def __init__(self, delay_s: float | None, anchor: tuple[int, float] | None = None) -> None:
        self._adaptive = delay_s is None
        self.delay_s = FIRST_DELAY_S if delay_s is None else delay_s
        self._anchored = anchor is not None
        self._base = None if anchor is None else anchor[1] - anchor[0] / OPUS_CLOCK_HZ
        self._blocks: deque[tuple[float, float]] = deque(maxlen=WINDOW_BLOCKS)  # (began, least transit)
        self._lateness: deque[float] = deque(maxlen=HISTORY)
        self._seen = 0
        self._fast = 0
        self._noted: deque[int] = deque(maxlen=HISTORY)  # timestamps whose lateness is known
        self.lead_s = 0.0  # how long before it sounds a slot is decided: the block that is pulled

    @property
    def adaptive(self) -> bool:
        """The delay follows the network."""
        return self._adaptive

    @property
    def longest_delay_s(self) -> float:
        """What the delay can become."""
        return MAX_DELAY_S if self._adaptive else self.delay_s

    @property
    def anchored(self) -> bool:
        """Both ends share a clock."""
        return self._anchored

    @property
    def running(self) -> bool:
        """Enough is known to place a timestamp in time."""
        return self._base is not None

    def captured(self, timestamp: int) -> float:
        """Local time at which this timestamp was captured."""
        if self._base is None:
            raise ValueError("nothing has arrived yet")
        return self._base + timestamp / OPUS_CLOCK_HZ

    def due(self, timestamp: int) -> float:
        """Local time at which this timestamp is to be played."""
        return self.captured(timestamp) + self.delay_s

    def arrived(self, timestamp: int, ticks: int, arrival: float) -> None:
        """A primary arrived: learn where the sender's clock stands."""
        if self._anchored:
            return
        transit = arrival - (timestamp + ticks) / OPUS_CLOCK_HZ
        self._fast = self._fast + 1 if self._base is not None and transit < self._base - FAST_S else 0
        if 0 < self._fast < FAST_PACKETS:
            return
        if not self._blocks or not 0 <= arrival - self._blocks[-1][0] < BLOCK_S:
            self._blocks.append((arrival, transit))
        elif transit < self._blocks[-1][1]:
            self._blocks[-1] = (self._blocks[-1][0], transit)
        self._base = min(least for _, least in self._blocks)

    def usable(self, timestamp: int, arrival: float) -> None:
        """A slot became playable for the first time, by whatever packet: steer the adaptive delay."""
        if not self._adaptive or self._base is None or timestamp in self._noted:
            return
        self._noted.append(timestamp)
        lateness = arrival - self.captured(timestamp)
        if lateness > MAX_DELAY_S:  # no delay would have helped: the sender's clock stood still
            return
        self._lateness.append(lateness)
        self._seen += 1
        if self._seen >= WARM_UP and self._seen % REVIEW_EVERY == 0:
            ordered = sorted(self._lateness)
            wish = ordered[int(QUANTILE * (len(ordered) - 1))] + MARGIN_S + self.lead_s
            wish = min(max(wish, MIN_DELAY_S), MAX_DELAY_S)
            if abs(wish - self.delay_s) >= STEP_S:
                self.delay_s = wish
