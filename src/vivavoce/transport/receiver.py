"""The receiving end of a call, without I/O: datagrams in whenever they arrive, samples out whenever they are asked for.

`receive` and `playout` may run in two threads. No thread, socket or clock lives in here: the caller passes the time, on
any steady clock, and always gets the samples he asked for. Nothing that arrives raises an error or grows memory without
bound.

Sources follow RFC 3550 appendix A.1, with one more condition: a new SSRC or sequence takes over after two packets in
sequence only when nothing of the old came for 60 ms. Payloads follow RFC 7587 and RFC 2198.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from vivavoce.codec.packet import has_lbrr, packet_samples
from vivavoce.concealment.concealer import Concealer, create_concealer
from vivavoce.errors import PacketError
from vivavoce.redundancy.dred import EXTENSION_ID, RELEASED, DredReceiver
from vivavoce.redundancy.red import RedPacket
from vivavoce.transport import rtcp
from vivavoce.transport.choice import Chooser
from vivavoce.transport.jitter_buffer import JitterBuffer, Payload
from vivavoce.transport.patience import Patience
from vivavoce.transport.player import Player, Slot
from vivavoce.transport.playout_clock import PlayoutClock
from vivavoce.transport.report import reception_report
from vivavoce.transport.rtcp_metrics import compact_ntp
from vivavoce.transport.rtp import (
    DRED_PAYLOAD_TYPE,
    OPUS_CLOCK_HZ,
    OPUS_PAYLOAD_TYPE,
    RED_PAYLOAD_TYPE,
    RtpPacket,
)
from vivavoce.transport.source import Source, Verdict
from vivavoce.transport.stats import ReceiverStats
from vivavoce.transport.timeline import Timeline

PAYLOAD_TYPES = {OPUS_PAYLOAD_TYPE: "opus", RED_PAYLOAD_TYPE: "red", DRED_PAYLOAD_TYPE: "dred"}
MAX_COPIES = 40  # RED blocks looked at per packet, the newest: 400 ms of 10-ms packets
STRAGGLERS_S = 1.0  # after a goodbye: packets that it overtook; later ones mean that the sender goes on after all
ANCHORED_LATE_S = (
    1.0  # where both ends share a clock the network may be slow; only later than this its clock stood still
)
LATE_RUN_S = 0.4  # nothing but late packets for so long: no burst after a stall, the delay has changed for good
TAKEOVER_S = 0.06  # a new source is believed when the old one has missed three packets, so that no stranger takes over
MAX_PENDING = 16
MAX_PLAYOUT_DELAY_MS = 10_000
MAX_PLAYOUT_SAMPLES = 1 << 22  # 87 s at 48 kHz: a larger request is a mistake


class Receiver:
    """One incoming stream of speech.

    Args:
        sample_rate: Of the samples that `playout` returns: 8, 12, 16, 24 or 48 kHz.
        playout_delay_ms: From capture to playout of a slot; None adapts it to the network. Without `anchor`, capture is
            taken as the arrival of the fastest recent packet, less its duration.
        conceal: One of `concealment.concealer.CONCEALERS`, or a `Concealer`.
        payload_types: RTP payload type to "opus", "red" or "dred", which is only of blocks inside RED.
        dred_extension_id: Of descriptions of the past in the padding of Opus packets.
        anchor: (RTP timestamp, seconds): when that timestamp was captured, on the clock of `arrival_time` and `now`;
            for two ends that share one (a simulation, or RTCP over synchronised clocks). Playout begins there even if
            the first packets are lost.
        ssrc: Of this receiver's own reports; drawn at random by default.
        cname: Canonical name of this end; None draws one (RFC 7022 section 4.2).

    Attributes:
        models: Names of those that may make what is heard.

    Raises:
        ValueError: A setting is out of range.
        CodecError: No libopus was found.
    """

    def __init__(
        self,
        sample_rate: int = 48_000,
        *,
        playout_delay_ms: float | None = 100.0,
        conceal: str | Concealer = "opus",
        payload_types: Mapping[int, str] | None = None,
        dred_extension_id: int = EXTENSION_ID,
        anchor: tuple[int, float] | None = None,
        ssrc: int | None = None,
        cname: str | None = None,
    ) -> None:
        if playout_delay_ms is not None and not 0 <= playout_delay_ms <= MAX_PLAYOUT_DELAY_MS:
            raise ValueError(f"playout_delay_ms must be between 0 and {MAX_PLAYOUT_DELAY_MS}, got {playout_delay_ms}")
        self.sample_rate = sample_rate
        self._payload_types = dict(PAYLOAD_TYPES if payload_types is None else payload_types)
        if unknown := set(self._payload_types.values()) - {"opus", "red", "dred"}:
            raise ValueError(f"payload types carry opus, red or dred, got {sorted(unknown)}")
        self._stats = ReceiverStats()
        self.models: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._buffer = JitterBuffer()
        self._clock = PlayoutClock(None if playout_delay_ms is None else playout_delay_ms / 1000, anchor)
        concealer = create_concealer(conceal, sample_rate) if isinstance(conceal, str) else conceal
        if concealer.listens:
            self.models = (*getattr(concealer, "model_names", ()), *RELEASED.values())
        start = None if anchor is None else anchor[0]
        chooser = Chooser(self._buffer, DredReceiver(dred_extension_id) if concealer.listens else None)
        waits = concealer.listens and self._clock.adaptive
        self._patience = Patience(self._clock, chooser.said_by) if waits else None
        self._player = Player(
            sample_rate, self._buffer, chooser, self._clock, concealer, self._stats, self._lock, start
        )
        self._ssrc = secrets.randbits(32) if ssrc is None else ssrc
        self._cname = secrets.token_urlsafe(12) if cname is None else cname
        self._source: Source | None = None
        self._lost_before = 0  # by the sources before this one
        self._timeline = Timeline(self._clock, start)
        self._pending: list[tuple[RtpPacket, float]] = []  # consecutive packets of what may be a new sequence
        self._accepted_at = -math.inf
        self._late_since: float | None = None
        self._goodbye_at = 0.0  # when it arrived; without meaning before
        self._last_report: tuple[int, float] | None = None  # compact NTP time of the peer's last sender report, arrival

    @property
    def stats(self) -> ReceiverStats:
        """A snapshot of the counters."""
        with self._lock:
            return replace(
                self._stats,
                restarts=self._stats.restarts + self._timeline.restarts,
                slot_ticks=self._stats.slot_ticks.copy(),
                reasons=self._stats.reasons.copy(),
            )

    @property
    def playout_delay_ms(self) -> float:
        """The delay aimed at, from capture to playout."""
        return 1000 * self._clock.delay_s

    @property
    def delay_changes(self) -> list[tuple[float, float]]:
        """The last changes of the delay: (seconds, delay in ms), the first being the start of playout."""
        with self._lock:
            return list(self._player.delay_changes)

    @property
    def ended(self) -> bool:
        """The sender said goodbye, and everything it sent has been played."""
        with self._lock:
            return self._player.ended

    def drain_slots(self) -> list[Slot]:
        """The slots played since the last call (at most the last 3,000), with their source and the reason for it."""
        with self._lock:
            slots = list(self._player.slots)
            self._player.slots.clear()
            return slots

    def receive(self, datagram: bytes, arrival_time: float) -> None:
        """Take a datagram, RTP or RTCP (RFC 5761). What cannot be used is counted and dropped, never raised.

        Args:
            datagram: As it came from the network.
            arrival_time: Seconds on the caller's steady clock.

        Raises:
            ValueError: `arrival_time` is not finite.
        """
        _check_time("arrival_time", arrival_time)
        try:
            if rtcp.is_rtcp(datagram):
                self._receive_rtcp(datagram, arrival_time)
                return
            packet = RtpPacket.parse(datagram)
        except PacketError:
            with self._lock:
                self._stats.packets_malformed += 1
            return
        with self._lock:
            if self._payload_types.get(packet.payload_type, "dred") == "dred":
                self._stats.packets_of_unknown_type += 1
                return
            self._accept(packet, arrival_time)

    def playout(self, samples: int, now: float) -> np.ndarray:
        """The next stretch of sound.

        Args:
            samples: How many, at `sample_rate`.
            now: When the first of them will sound, on the clock of `arrival_time`.

        Returns:
            Shape (samples,), float32 in [-1, 1]; silence until the stream begins.

        Raises:
            ValueError: `samples` is negative or absurd, or `now` is not finite.
        """
        _check_time("now", now)
        if not 0 <= samples <= MAX_PLAYOUT_SAMPLES:
            raise ValueError(f"samples must be between 0 and {MAX_PLAYOUT_SAMPLES}, got {samples}")
        if not self._clock.running:
            return np.zeros(samples, np.float32)
        return self._player.pull(samples, now)

    def report(self, now: float) -> bytes:
        """Receiver report and extended report (RFC 3550 section 6.4.2, RFC 3611 section 4.7) for the peer.

        Args:
            now: Seconds on the clock of `arrival_time`.
        """
        _check_time("now", now)
        with self._lock:
            packet_s = self._timeline.newest_ticks / OPUS_CLOCK_HZ
            return reception_report(
                self._ssrc, self._cname, self._source, self._last_report, self._clock, packet_s, now
            )

    # -- everything below runs with the lock held --

    def _accept(self, packet: RtpPacket, arrival: float) -> None:
        """Decide whether the packet belongs to the stream that is played, and pass it on."""
        source = self._source
        if source is None:
            source = self._source = Source(packet.ssrc, packet.sequence_number)
        elif packet.ssrc != source.ssrc:
            self._stats.packets_of_other_sources += 1
            self._gather(packet, arrival)
            return
        verdict, sequence = source.accept(packet.sequence_number)
        if verdict is Verdict.SUSPECT:
            self._gather(packet, arrival)
            return
        if verdict is Verdict.DUPLICATE:
            self._stats.packets_duplicated += 1
            return
        self._pending.clear()
        self._accepted_at = arrival
        self._stats.packets_received += 1
        self._stats.bytes_received += len(packet.payload)
        self._stats.header_bytes_received += packet.header_bytes + packet.padding_bytes
        self._stats.packets_lost = self._lost_before + source.lost
        self._place(source, packet, sequence, arrival)

    def _gather(self, packet: RtpPacket, arrival: float) -> None:
        """Keep what may be a new source or a restarted sequence, until two in a row are all that came lately."""
        pending = self._pending
        if pending and (
            packet.ssrc != pending[-1][0].ssrc or packet.sequence_number != pending[-1][0].sequence_number + 1 & 0xFFFF
        ):
            pending.clear()
        pending.append((packet, arrival))
        if len(pending) > 1 and arrival - self._accepted_at >= TAKEOVER_S:
            self._begin_anew(pending.copy())
        elif len(pending) > MAX_PENDING:
            del pending[0]

    def _begin_anew(self, packets: list[tuple[RtpPacket, float]]) -> None:
        first, arrival = packets[0]
        previous = self._source
        self._source = Source(first.ssrc, first.sequence_number)
        self._stats.restarts += 1
        if self._patience is not None:
            self._patience.begin()
        if previous is not None:
            self._lost_before += previous.lost
        if previous is None or previous.ssrc != first.ssrc:
            self._stats.packets_of_other_sources -= len(packets)  # they did belong here
            self._last_report = None
            self._join(first.timestamp, arrival)
        elif not self._timeline.continues(first.timestamp, arrival):
            self._join(first.timestamp, arrival)
        for packet, arrival in packets:
            self._accept(packet, arrival)

    def _join(self, time: int, arrival: float) -> int:
        self._player.ended_at = None
        self._late_since = None
        return self._timeline.join(time, arrival, self._player.position)

    def _place(self, source: Source, packet: RtpPacket, sequence: int, arrival: float) -> None:
        """Find the packet's time and store what it carries."""
        timestamp = self._timeline.place(packet.timestamp, arrival, self._player.position)
        if timestamp is None:
            self._stats.packets_discarded += 1
            return
        source.arrived(arrival, timestamp / OPUS_CLOCK_HZ)
        self._stats.jitter = source.jitter_s
        if arrival - self._goodbye_at > STRAGGLERS_S:
            self._player.ended_at = None
        if self._payload_types[packet.payload_type] == "opus":
            self._store(packet.payload, timestamp, "primary", sequence, arrival)
            return
        try:
            red = RedPacket.parse(packet.payload)
        except PacketError:
            self._stats.packets_malformed += 1
            return
        blocks = [(self._payload_types.get(block.payload_type), block) for block in red.redundant[-MAX_COPIES:]]
        if self._payload_types.get(red.payload_type) == "opus":
            dred = next((block.data for kind, block in blocks if kind == "dred" and not block.timestamp_offset), b"")
            self._store(red.data, timestamp, "primary", sequence, arrival, dred)
        for kind, block in blocks:
            if kind == "opus":
                self._stats.fec_packets_received += 1
                self._store(block.data, timestamp - block.timestamp_offset, "red", None, arrival)

    def _store(
        self, data: bytes, timestamp: int, kind: str, sequence: int | None, arrival: float, dred: bytes = b""
    ) -> None:
        if not data:  # an empty RED block: nothing was sent for its time
            return
        try:
            ticks = packet_samples(data)
            lbrr = has_lbrr(data)
        except PacketError:
            self._stats.packets_malformed += 1
            return
        payload = Payload(timestamp, ticks, data, kind, arrival, sequence, lbrr, dred)
        if sequence is not None:
            self._timeline.noted(timestamp, ticks)
            if self._player.ended_at is not None:
                self._player.ended_at = max(self._player.ended_at, timestamp + ticks)
            self._clock.arrived(timestamp, ticks, arrival)
            self._player.note_sequence(sequence, timestamp)
            self._stats.fec_packets_received += lbrr
        self._clock.usable(timestamp, arrival)
        if lbrr:
            self._clock.usable(timestamp - ticks, arrival)
        if sequence is not None and self._patience is not None:
            self._patience.arrived(payload, sequence)
        if self._player.has_played(timestamp + ticks):
            self._store_late(payload, arrival)
            return
        self._late_since = None
        if not self._buffer.insert(payload):
            self._stats.fec_packets_discarded += kind == "red"
            self._stats.packets_discarded += kind == "primary"  # another of the same time, or too far ahead to be held

    def _store_late(self, payload: Payload, arrival: float) -> None:
        self._player.note_late(payload)
        if payload.sequence is None:
            self._stats.fec_packets_discarded += 1
            return
        self._stats.packets_discarded += 1
        if self._source is not None:
            self._source.discard(payload.sequence)
        allowed = ANCHORED_LATE_S if self._clock.adaptive else ANCHORED_LATE_S + self._clock.delay_s
        if self._clock.anchored and arrival - self._clock.captured(payload.timestamp) < allowed:
            return
        if self._late_since is None:
            self._late_since = arrival
        elif arrival - self._late_since > LATE_RUN_S:
            self._stats.restarts += 1
            self._buffer.insert(replace(payload, timestamp=self._join(payload.timestamp, arrival)))

    def _receive_rtcp(self, datagram: bytes, arrival: float) -> None:
        for packet in rtcp.parse_compound(datagram):
            with self._lock:
                if self._source is None:
                    continue
                if isinstance(packet, rtcp.SenderReport) and packet.ssrc == self._source.ssrc:
                    self._last_report = (compact_ntp(packet.ntp_timestamp), arrival)
                elif (
                    isinstance(packet, rtcp.Goodbye)
                    and self._source.ssrc in packet.sources
                    and self._timeline.newest is not None
                ):
                    self._player.ended_at = self._timeline.newest + self._timeline.newest_ticks
                    self._goodbye_at = arrival


def _check_time(name: str, seconds: float) -> None:
    if not math.isfinite(seconds):
        raise ValueError(f"{name} must be finite, got {seconds}")
