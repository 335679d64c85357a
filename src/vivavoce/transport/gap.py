"""A run of slots for which nothing was played that the sender's encoder made, and what mends its traces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from vivavoce.codec.opus import OpusDecoder
from vivavoce.errors import PacketError
from vivavoce.redundancy.dred import DredRedundancy
from vivavoce.transport.jitter_buffer import Payload
from vivavoce.transport.stats import ReceiverStats

MAX_LATE = 8  # late payloads that are kept: more than 160 ms later nobody hears the difference


@dataclass
class Gap:
    """What is known of the gap that lasts.

    Attributes:
        start: Extended RTP timestamp.
        sequence_before: Of the packet that was played last.
        snapshot: The decoder's state at the start.
        foreseen: The concealer has heard what comes behind it.
        told: The last that the concealer was told of it.
        late: What came too late to be heard, by timestamp.
        ticks, samples, silent_samples, reasons: Of the slots that were counted as concealed.
    """

    start: int
    sequence_before: int | None
    snapshot: bytes
    foreseen: bool = False
    told: DredRedundancy | None = None
    late: dict[int, Payload] = field(default_factory=dict)
    ticks: int = 0
    samples: int = 0
    silent_samples: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def note_late(self, payload: Payload) -> None:
        """Keep a payload of the gap, the newest `MAX_LATE`."""
        if payload.timestamp < self.start or payload.timestamp in self.late:
            return
        if len(self.late) == MAX_LATE:
            del self.late[min(self.late)]
        self.late[payload.timestamp] = payload

    def late_run(self, end: int) -> list[Payload]:
        """What came late, as far as it leads up to `end` without a hole, oldest first."""
        run: list[Payload] = []
        for timestamp in sorted(self.late, reverse=True):
            if timestamp + self.late[timestamp].ticks != end:
                break
            run.insert(0, self.late[timestamp])
            end = timestamp
        return run

    def repair(self, decoder: OpusDecoder, late: Sequence[Payload]) -> bool:
        """Decode a `late_run` behind the gap, so that the decoder's state is the sender's again; whether it could."""
        concealed = decoder.snapshot()
        if late[0].timestamp == self.start:
            decoder.restore(self.snapshot)
        try:
            for payload in late:
                decoder.decode(payload.data)
        except PacketError:
            decoder.restore(concealed)
            return False
        return True

    def count(self, stats: ReceiverStats, ticks: int, samples: int, silent: bool, reason: str) -> None:
        """Count a slot that was concealed."""
        stats.concealment_events += not self.ticks
        silent_samples = samples if silent else 0
        stats.concealed_samples += samples
        stats.silent_concealed_samples += silent_samples
        self.ticks += ticks
        self.samples += samples
        self.silent_samples += silent_samples
        self.reasons[reason] += 1

    def count_as_pause(self, stats: ReceiverStats, pause: str) -> None:
        """The sender had paused: take back what was counted."""
        stats.slot_ticks["plc"] -= self.ticks
        stats.slot_ticks["dtx"] += self.ticks
        stats.concealed_samples -= self.samples
        stats.silent_concealed_samples -= self.silent_samples
        stats.concealment_events -= 1
        for reason, count in self.reasons.items():
            stats.reasons["plc", reason] -= count
            stats.reasons["dtx", pause] += count
        self.reasons.clear()
        self.ticks = self.samples = self.silent_samples = 0
