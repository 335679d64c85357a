"""Keeps playout at its distance from the sender's clock, by stretching or shortening what nobody listens to.

The distance changes because two clocks run apart, or because an adaptive delay wants another one. It is mended inside
concealed or quiet slots. Only drift under a fixed delay has to be mended anywhere, where for seconds there was no quiet
place: otherwise the delay would leave its target by more than a packet.
"""

from __future__ import annotations

import numpy as np

from vivavoce.transport.playout_clock import PlayoutClock
from vivavoce.transport.splice import splice

TOO_LATE_S = 0.010  # the delay may be longer than it should by half a slot before a quiet place is used to mend it,
TOO_EARLY_S = 0.002  # but hardly shorter: that loses packets
LIMIT_S = 0.018  # a fixed delay may stray by this much, just under a packet, where for
PATIENCE_S = 5.0  # ... this long there was no quiet place: then the best lag of a loud one has to do
SMOOTHING = 0.1  # of the clock error: callbacks jitter by a few milliseconds
QUIET_DB = -30.0  # below the recent peak level a slot counts as silence
PEAK_DECAY = 0.998  # per slot: the peak is forgotten in ten seconds


class Pace:
    """The error of one stream's playout, and its mending.

    Args:
        sample_rate: Of the sound, in Hz.
        clock: What says when a slot is due; its wanted delay may change at any time.
    """

    def __init__(self, sample_rate: int, clock: PlayoutClock) -> None:
        self._sample_rate, self._clock = sample_rate, clock
        self._peak = 0.0
        self.start()

    def start(self) -> None:
        """Playout begins, or begins again, on time."""
        self._error = 0.0  # seconds, smoothed; positive: the delay is longer than it should be
        self._wanted_delay = self._clock.delay_s
        self._strayed_since: float | None = None

    def fit(self, samples: np.ndarray, error_s: float, time: float, concealed: bool) -> np.ndarray:
        """Play a slot a little longer or shorter, if it is time to and nobody will notice.

        Args:
            samples: Shape (samples,), float32: the slot.
            error_s: By how much it is played later than due.
            time: When it is played, in seconds.
            concealed: It was made up.

        Returns:
            Shape (about samples,), float32; `samples` itself where nothing was changed.
        """
        self._error -= self._clock.delay_s - self._wanted_delay
        self._wanted_delay = self._clock.delay_s
        self._error += SMOOTHING * (error_s - self._error)
        level = float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
        self._peak = max(level, self._peak * PEAK_DECAY)
        if -TOO_EARLY_S <= self._error <= TOO_LATE_S:
            self._strayed_since = None
            return samples
        if self._strayed_since is None:
            self._strayed_since = time
        quiet = concealed or level <= self._peak * 10 ** (QUIET_DB / 20)
        if not quiet and not self._must_move(time - self._strayed_since):
            return samples
        fitted = splice(samples, -round(self._error * self._sample_rate), self._sample_rate)
        self._error += (len(fitted) - len(samples)) / self._sample_rate
        return fitted

    def _must_move(self, strayed_s: float) -> bool:
        return not self._clock.adaptive and abs(self._error) > LIMIT_S and strayed_s > PATIENCE_S
