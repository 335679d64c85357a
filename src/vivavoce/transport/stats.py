"""What a receiver counts, under the names of W3C webrtc-stats (RTCInboundRtpStreamStats) in snake_case."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field

SLOT_TICKS = 960  # 20 ms of the 48-kHz clock: the unit in which sources are counted


@dataclass
class ReceiverStats:
    """Counters since creation. Samples count at the receiver's sample rate, times are in seconds.

    Names that W3C has mean what W3C says; the others say what they count. Samples that RED or LBRR recovered are not
    concealed: they were received; nor are those that deep redundancy described. `fec_packets_received` counts copies
    (RED blocks, and packets that carried LBRR), `fec_packets_discarded` RED blocks whose time was already covered or
    over.

    Attributes:
        slot_ticks: 48-kHz ticks played per source: primary, red, lbrr, dred, plc, dtx.
        reasons: Slots decided per (source, reason).
        late_payloads_used: Payloads too late to be heard that still repaired the decoder's state.
    """

    packets_received: int = 0
    packets_lost: int = 0
    packets_discarded: int = 0
    bytes_received: int = 0
    header_bytes_received: int = 0
    jitter: float = 0.0
    fec_packets_received: int = 0
    fec_packets_discarded: int = 0
    jitter_buffer_delay: float = 0.0
    jitter_buffer_target_delay: float = 0.0
    jitter_buffer_emitted_count: int = 0
    total_samples_received: int = 0
    concealed_samples: int = 0
    silent_concealed_samples: int = 0
    concealment_events: int = 0
    inserted_samples_for_deceleration: int = 0
    removed_samples_for_acceleration: int = 0
    total_audio_energy: float = 0.0
    total_samples_duration: float = 0.0
    packets_duplicated: int = 0
    packets_malformed: int = 0
    packets_of_unknown_type: int = 0
    packets_of_other_sources: int = 0
    restarts: int = 0
    late_payloads_used: int = 0
    slot_ticks: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def slots(self) -> dict[str, int]:
        """20-ms slots per source, rounded."""
        return {source: round(ticks / SLOT_TICKS) for source, ticks in sorted(self.slot_ticks.items()) if ticks}

    def as_dict(self) -> dict[str, object]:
        """Everything, as JSON takes it."""
        values = asdict(self)
        del values["slot_ticks"]
        values["slots"] = self.slots
        values["reasons"] = {f"{source}: {reason}": count for (source, reason), count in sorted(self.reasons.items())}
        return values
