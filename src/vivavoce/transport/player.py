"""The pulling side of a receiver: for each slot the best source, decoded, concealed and fitted to the clock.

A slot is played from its primary payload, else from a RED copy, else from the LBRR of the packet after it, else it is
made from what deep redundancy in a later packet says of it, else concealed. Nothing here reacts to an arrival; what is
late leads the concealment by what it says of the time before it, and repairs the decoder before that goes on.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

import numpy as np

from vivavoce.codec.opus import OpusDecoder
from vivavoce.concealment.concealer import Concealer
from vivavoce.errors import PacketError
from vivavoce.redundancy.dred import DredRedundancy
from vivavoce.transport.choice import MIDDLE, PAUSE, PLC_STEP_TICKS, Choice, Chooser
from vivavoce.transport.gap import Gap
from vivavoce.transport.jitter_buffer import JitterBuffer, Payload
from vivavoce.transport.pace import Pace
from vivavoce.transport.playout_clock import PlayoutClock
from vivavoce.transport.rtp import OPUS_CLOCK_HZ
from vivavoce.transport.stats import SLOT_TICKS, ReceiverStats

FORESEEN_TICKS = 2_880  # 60 ms: enough to tell a pitch
FORESEEN_WITHIN_TICKS = 48_000  # of the beginning of a gap: longer ones have long faded
RESYNC_S = 0.5  # further off than this the position jumps; nearer, it slides
LEAD_DECAY = 0.999  # per slot: a block size that is no longer used is forgotten in twenty seconds
FADE_S = 0.005  # from the concealed course to the repaired one
RECENT_SLOTS = 3000  # one minute
SYNTHESISED = ("dred", "plc", "dtx")  # sources that are no waveform of the sender's
TOLD_BEFORE = 960  # ticks before a gap


class Slot(NamedTuple):
    """How one stretch of the sender's time was played.

    Attributes:
        timestamp: Extended RTP timestamp of its first tick.
        ticks: 48-kHz ticks.
        source: "primary", "red", "lbrr", "dred", "plc" or "dtx".
        reason: Why this source, in words.
    """

    timestamp: int
    ticks: int
    source: str
    reason: str


class Player:
    """Turns buffered payloads into an endless signal.

    The receiving thread calls `note_late` and `note_sequence`, the playing one `pull`. Both hold `lock` while they
    touch what is shared; decoding happens outside of it.
    """

    def __init__(
        self,
        sample_rate: int,
        buffer: JitterBuffer,
        chooser: Chooser,
        clock: PlayoutClock,
        concealer: Concealer,
        stats: ReceiverStats,
        lock: threading.Lock,
        start: int | None,
    ) -> None:
        self.sample_rate = sample_rate
        self.position = start or 0  # extended timestamp that is played next
        self._begun = start is not None
        self.slots: deque[Slot] = deque(maxlen=RECENT_SLOTS)
        self.delay_changes: deque[tuple[float, float]] = deque(maxlen=RECENT_SLOTS)
        self.ended_at: int | None = None
        self._buffer, self._clock, self._concealer, self._stats, self._lock = buffer, clock, concealer, stats, lock
        self._chooser = chooser
        self._decoder = OpusDecoder(sample_rate)
        self._pending = np.zeros(0, np.float32)
        self._playing = False
        self._gap: Gap | None = None
        self._pace = Pace(sample_rate, clock)

    @property
    def ended(self) -> bool:
        """The sender said goodbye, and the last sample of what it sent has been handed out."""
        return self.ended_at is not None and self.position >= self.ended_at and not len(self._pending)

    # -- called by the receiving thread, lock held --

    def has_played(self, end: int) -> bool:
        """Whether the time up to `end` is over."""
        return self._begun and (self._playing or self._clock.anchored) and end <= self.position

    def note_late(self, payload: Payload) -> None:
        """Keep a payload whose time is over if its slot was concealed: it can still lead and repair."""
        if self._gap is not None:
            self._gap.note_late(payload)

    def note_sequence(self, sequence: int, timestamp: int) -> None:
        """A primary arrived; if it follows the last one played without a gap in sequence, the sender had paused."""
        gap = self._gap
        if gap is None or gap.sequence_before is None or sequence != gap.sequence_before + 1 or timestamp < gap.start:
            return
        if gap.ticks and timestamp >= gap.start + gap.ticks:
            gap.count_as_pause(self._stats, PAUSE)

    # -- called by the playing thread --

    def pull(self, samples: int, now: float) -> np.ndarray:
        """Exactly `samples` samples that begin to sound at `now`."""
        played = np.empty(samples, np.float32)
        filled = 0
        while filled < samples:
            if not len(self._pending):
                self._clock.lead_s = max(filled / self.sample_rate, LEAD_DECAY * self._clock.lead_s)
                self._pending = self._next(now + filled / self.sample_rate, samples - filled)
            count = min(len(self._pending), samples - filled)
            played[filled : filled + count] = self._pending[:count]
            self._pending = self._pending[count:]
            filled += count
        return played

    def _next(self, time: float, wanted: int) -> np.ndarray:
        """The next stretch: silence where it is not time yet, else one slot."""
        with self._lock:
            idle = self._idle_samples(time, wanted)
            if idle:
                return np.zeros(idle, np.float32)
            choice = self._choose()
        pcm, choice = self._decode(choice)
        with self._lock:
            self._count(choice, pcm, time)
            fitted = self._pace.fit(pcm, time - self._clock.due(self.position), time, choice.source in SYNTHESISED)
            if (change := len(fitted) - len(pcm)) != 0:
                self._stats.inserted_samples_for_deceleration += max(0, change)
                self._stats.removed_samples_for_acceleration += max(0, -change)
                self._note_delay(time + change / self.sample_rate)
            self.position += choice.ticks
            for payload in self._buffer.drop_before(self.position):
                if payload is not choice.payload:  # came while its slot was being made up
                    self._drop_unplayed(payload)
        return fitted

    def _drop_unplayed(self, payload: Payload) -> None:
        self.note_late(payload)
        if payload.sequence is None:
            self._stats.fec_packets_discarded += 1
        else:
            self._stats.packets_discarded += 1

    def _idle_samples(self, time: float, wanted: int) -> int:
        """How long to stay silent: the stream has not begun, is over, or is ahead of its time. 0: play."""
        first = self._buffer.first
        if first is not None and not self._playing and not self._clock.anchored:
            self.position, self._begun = first.timestamp, True  # again and again: an earlier packet may still come
        if not self._begun:
            return wanted
        if self.ended_at is not None and self.position >= self.ended_at:
            return wanted
        error = time - self._clock.due(self.position)
        if self._playing and abs(error) > RESYNC_S:
            self._playing = False
            self._pending = self._pending[:0]
            if error > 0:  # whoever pulls has been away: go on where the sender is now
                self.position += round(error * OPUS_CLOCK_HZ / SLOT_TICKS) * SLOT_TICKS
                for payload in self._buffer.drop_before(self.position):
                    self._drop_unplayed(payload)
                error = time - self._clock.due(self.position)
        if not self._playing:
            wait = round(-error * self.sample_rate)
            if wait > 0:
                return min(wait, wanted)
            self._playing = True
            self._pace.start()
            self._note_delay(time)
        return 0

    def _choose(self) -> Choice:
        choice = self._chooser.choose(self.position)
        self.position = choice.timestamp
        return choice

    def _decode(self, choice: Choice) -> tuple[np.ndarray, Choice]:
        """The slot's sound; a payload that cannot be decoded is dropped and the next best source tried."""
        while choice.payload is not None:
            try:
                return self._decode_payload(choice, choice.payload), choice
            except PacketError:
                with self._lock:
                    self._stats.packets_malformed += 1
                    self._buffer.remove(choice.payload.timestamp)
                    choice = self._choose()
        if choice.source in ("plc", "dred") and self._gap is None:
            gap = Gap(self.position, self._chooser.last_sequence, self._decoder.snapshot())
            with self._lock:
                self._gap = gap
        count = self._samples(choice.ticks)
        if choice.source == "plc" and self._concealer.foresees:
            self._foresee()
        if (redundancy := choice.redundancy or self._said_late(choice)) is not None:
            self._tell(redundancy)
        if choice.source == "dtx":
            return self._decoder.conceal(count), choice
        samples = self._concealer.conceal(self._decoder, count)
        remark = self._concealer.remark
        return samples, choice._replace(reason=f"{choice.reason}; {remark}") if remark else choice

    def _said_late(self, choice: Choice) -> DredRedundancy | None:
        """What the newest packet that came too late says of a gap whose rest nobody describes."""
        gap = self._gap
        if gap is None or choice.source != "plc":
            return None
        with self._lock:
            said = (self._chooser.said_by(gap.late[timestamp]) for timestamp in sorted(gap.late, reverse=True))
            return next((each for each in said if each is not None and each.end > gap.start), None)

    def _tell(self, redundancy: DredRedundancy) -> None:
        """Let the concealer know what a packet says of the gap, from here on."""
        gap = self._gap
        if gap is None or gap.told is redundancy:
            return
        gap.told = redundancy
        # what it says of the time before is compared with what was heard
        features, time = redundancy.features_from(max(min(self.position, gap.start) - TOLD_BEFORE, redundancy.begin))
        self._concealer.tell(features, self._samples(time - gap.start))

    def _foresee(self) -> None:
        """Let the concealer hear what follows the gap, once a packet from behind it is here."""
        gap = self._gap
        if gap is None or gap.foreseen:
            return
        with self._lock:
            payloads = self._buffer.run_after(self.position, FORESEEN_TICKS)
        if not payloads or payloads[0].timestamp - gap.start > FORESEEN_WITHIN_TICKS:
            return
        gap.foreseen = True
        state = self._decoder.snapshot()
        try:  # without concealment before it, after which libopus would fade in
            heard = [self._decoder.decode(payload.data) for payload in payloads]
        except PacketError:
            return
        finally:
            self._decoder.restore(state)
        self._concealer.foresee(np.concatenate(heard), self._samples(payloads[0].timestamp - gap.start))

    def _decode_payload(self, choice: Choice, payload: Payload) -> np.ndarray:
        count = self._samples(choice.ticks)
        if choice.source == "lbrr":
            pcm = self._decoder.decode_lbrr(payload.data, count)
        else:
            late = self._late_run()
            course = self._concealed_course() if late or choice.reason == MIDDLE else None
            if late and self._gap is not None and self._gap.repair(self._decoder, late):
                with self._lock:
                    self._stats.late_payloads_used += len(late)
            pcm = self._decoder.decode(payload.data)
            pcm = pcm[len(pcm) - count :]
            if course is not None:
                course = course[:count]  # a packet may be as short as 2.5 ms
                fade = (np.arange(len(course), dtype=np.float32) + 0.5) / len(course)
                pcm[: len(course)] = (1 - fade) * course + fade * pcm[: len(course)]
            self._chooser.played(payload)
        with self._lock:
            self._gap = None
        return self._concealer.receive(pcm)

    def _late_run(self) -> list[Payload]:
        with self._lock:
            return [] if self._gap is None else self._gap.late_run(self.position)

    def _concealed_course(self) -> np.ndarray | None:
        """How a gap would have gone on, to fade from; None for a concealer that fades at its own joins."""
        if self._concealer.smooths_joins:
            return None
        state = self._decoder.snapshot()
        course = self._decoder.conceal(self._samples(4 * PLC_STEP_TICKS))[: round(FADE_S * self.sample_rate)]
        self._decoder.restore(state)
        return course

    def _count(self, choice: Choice, pcm: np.ndarray, time: float) -> None:
        stats, source, count = self._stats, choice.source, len(pcm)
        self.slots.append(Slot(self.position, choice.ticks, source, choice.reason))
        stats.slot_ticks[source] += choice.ticks
        stats.reasons[source, choice.reason] += 1
        stats.total_samples_received += count
        stats.total_samples_duration += count / self.sample_rate
        energy = float(np.dot(pcm, pcm))
        stats.total_audio_energy += energy / self.sample_rate
        if choice.payload is not None:
            stats.jitter_buffer_emitted_count += count
            stats.jitter_buffer_delay += count * max(0.0, time - choice.payload.arrival)
            capture = choice.payload.ticks / OPUS_CLOCK_HZ  # which our delay counts in, and W3C's does not
            stats.jitter_buffer_target_delay += count * max(0.0, self._clock.delay_s - capture)
        if source == "plc" and self._gap is not None:
            self._gap.count(stats, choice.ticks, count, energy == 0, choice.reason)

    def _note_delay(self, time: float) -> None:
        self.delay_changes.append((time, 1000 * (time - self._clock.captured(self.position))))

    def _samples(self, ticks: int) -> int:
        return ticks * self.sample_rate // OPUS_CLOCK_HZ
