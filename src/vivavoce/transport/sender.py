"""The sending end of a call, without I/O: frames of speech in, RTP datagrams out.

RTP as RFC 3550 has it, Opus as RFC 7587 (48-kHz clock, DTX by not sending), RED as RFC 2198. The caller owns socket and
clock: he sends what `send` returns, and passes in what arrives from the peer.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np

from vivavoce.codec.opus import Bandwidth, OpusEncoder
from vivavoce.codec.packet import has_lbrr, is_dtx
from vivavoce.errors import PacketError
from vivavoce.redundancy.dred import EXTENSION_ID
from vivavoce.transport import rtcp
from vivavoce.transport.division import USUAL_DELAY_MS
from vivavoce.transport.feedback import LossFeedback
from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.protection import Protection
from vivavoce.transport.protector import Protector
from vivavoce.transport.rtcp_metrics import ntp_from_seconds, round_trip_time
from vivavoce.transport.rtp import OPUS_CLOCK_HZ, OPUS_PAYLOAD_TYPE, RED_PAYLOAD_TYPE, RtpPacket, check_bits

FRAME_MS = (10, 20, 40, 60)
UNREPORTED_LOSS_PCT = 10.0  # expected until the first report: enough for Opus to write LBRR


@dataclass
class SenderStats:
    """Counters since creation, named after W3C webrtc-stats (RTCOutboundRtpStreamStats).

    `bytes_sent` counts RTP payload: Opus, RED headers and padding, not RTP, UDP and IP headers; `dred_bytes_sent` what
    of it describes the past. `red_copies_left_out` counts copies that RED's fields, or a payload that Chrome still
    plays, had no room for.
    """

    packets_sent: int = 0
    bytes_sent: int = 0
    header_bytes_sent: int = 0
    frames_encoded: int = 0
    dtx_frames: int = 0
    packets_with_lbrr: int = 0
    packets_with_red: int = 0
    packets_with_dred: int = 0
    dred_bytes_sent: int = 0
    red_copies_left_out: int = 0
    reports_received: int = 0
    fraction_lost: float | None = None
    round_trip_time: float | None = None

    @property
    def protection(self) -> dict[str, float]:
        """Share of the packets sent that carried each kind of redundancy."""
        sent = max(1, self.packets_sent)
        counts = {"lbrr": self.packets_with_lbrr, "red": self.packets_with_red, "dred": self.packets_with_dred}
        return {name: count / sent for name, count in counts.items()}


class Sender:
    """One outgoing stream of speech.

    Args:
        sample_rate: Of the frames: 8, 12, 16, 24 or 48 kHz.
        frame_ms: Packet duration: 10, 20, 40 or 60.
        bitrate_bps: All RTP payload bytes together: Opus, its LBRR, RED copies and headers. The sender divides it.
        protection: What to add.
        expected_loss_pct: What the encoder prepares for, in percent; None follows the peer's RTCP reports, and is 10
            until the first, for which `auto` adds LBRR alone. At 0 Opus writes no LBRR.
        forecast: The bursts that losses are expected in, which decide how much of the past is described; the rate is
            `expected_loss_pct`, whatever it says. None: the usual ones, until the peer's extended reports tell.
        playout_delay_ms: Of the peer, from capture to playout, which decides how often the past is described; None: as
            his extended reports say. An adaptive one waits for descriptions.
        dtx: Stop sending in silence (RFC 7587 section 3.1.3); the first frame of a pause is still sent as its marker.
        vbr: Let the rate follow the signal; otherwise all packets are equally long, but for what describes the past.
        bandwidth: Audio bandwidth of Opus; None lets it choose.
        complexity: Of the encoder, 0 (fast) to 10.
        red_bitrate_bps: Make the RED copies by a second encoder of this rate; None copies the primary's own bytes.
        dred_payload_type: Of descriptions of the past as blocks of RED, for peers that read no padding of Opus packets;
            None: in the padding (`docs/dred-payload.md`).
        dred_extension_id: Of descriptions in the padding: from 32 to 127, and none of libopus's own.
        reads_dred: Whether the peer understands descriptions; where not, `auto` adds none.
        payload_type, red_payload_type: In the RTP header and inside RED, as the session description says.
        cname: Canonical name of this end; None draws one (RFC 7022 section 4.2).
        ssrc, sequence_number, timestamp: Where the stream starts; None draws them at random (RFC 3550 section 5.1).

    Raises:
        ValueError: A setting is out of range, two payload types are one, or the rate leaves less than 6 kb/s for Opus.
        CodecError: No libopus, or it refuses a setting.
    """

    def __init__(
        self,
        *,
        sample_rate: int = 48_000,
        frame_ms: int = 20,
        bitrate_bps: float = 32_000,
        protection: Protection = Protection(),  # noqa: B008 - frozen
        expected_loss_pct: float | None = None,
        forecast: LossForecast | None = None,
        playout_delay_ms: float | None = None,
        dtx: bool = False,
        vbr: bool = True,
        bandwidth: Bandwidth | None = None,
        complexity: int = 10,
        red_bitrate_bps: float | None = None,
        payload_type: int = OPUS_PAYLOAD_TYPE,
        red_payload_type: int = RED_PAYLOAD_TYPE,
        dred_payload_type: int | None = None,
        dred_extension_id: int = EXTENSION_ID,
        reads_dred: bool = True,
        ssrc: int | None = None,
        sequence_number: int | None = None,
        timestamp: int | None = None,
        cname: str | None = None,
    ) -> None:
        if expected_loss_pct is not None and not 0 <= expected_loss_pct <= 100:
            raise ValueError(f"expected_loss_pct must be between 0 and 100, got {expected_loss_pct}")
        if frame_ms not in FRAME_MS:
            raise ValueError(f"frame_ms must be one of {FRAME_MS}, got {frame_ms}")
        types = [kind for kind in (payload_type, red_payload_type, dred_payload_type) if kind is not None]
        if len(set(types)) < len(types):
            raise ValueError(f"payload types of Opus, RED and descriptions must differ, got {types}")
        for kind in types:
            check_bits("payload_type", kind, 7)
        check_bits("ssrc", ssrc or 0, 32)
        check_bits("sequence_number", sequence_number or 0, 16)
        check_bits("timestamp", timestamp or 0, 32)
        self.protection = protection
        self.frame_ms = frame_ms
        self.ssrc = secrets.randbits(32) if ssrc is None else ssrc
        self.stats = SenderStats()
        self._told_loss_pct, self._told_forecast = expected_loss_pct, forecast
        self._feedback, self._feedback_is_new = LossFeedback(frame_ms), False
        self._follows_delay, self._playout_delay_ms = playout_delay_ms is None, playout_delay_ms
        # below 2**15, so that no receiver misjudges an early roll-over (RFC 3711 section 3.3.1)
        self._sequence_number = secrets.randbits(15) if sequence_number is None else sequence_number
        self._timestamp = secrets.randbits(32) if timestamp is None else timestamp
        self._cname = secrets.token_urlsafe(12) if cname is None else cname
        self._in_dtx = False
        self._talkspurt_begins = True

        def encoder(rate_bps: float, inband_fec: bool) -> OpusEncoder:
            return OpusEncoder(
                sample_rate,
                frame_ms=frame_ms,
                bitrate_bps=round(rate_bps),
                vbr=vbr,
                bandwidth=bandwidth,
                complexity=complexity,
                inband_fec=inband_fec,
                expected_loss_pct=self._opus_loss_pct,
                dtx=dtx,
            )

        self._protector = Protector(
            *(protection, bitrate_bps, self._forecast, frame_ms),
            *(red_bitrate_bps, payload_type, red_payload_type, dred_payload_type, self.stats, playout_delay_ms),
            *(dred_extension_id, reads_dred, self._knows_loss),
        )
        self._encoder = encoder(self._protector.division.opus_bps, self._protector.using.lbrr)
        self._copy_encoder = None if red_bitrate_bps is None else encoder(red_bitrate_bps, inband_fec=False)
        self._protector.listen(sample_rate, self._encoder.delay_samples)

    @property
    def frame_samples(self) -> int:
        """Samples that `send` takes."""
        return self._encoder.frame_samples

    @property
    def delay_samples(self) -> int:
        """Delay of encoder and decoder together, beyond the frame itself."""
        return self._encoder.delay_samples

    @property
    def timestamp(self) -> int:
        """RTP timestamp of the next frame."""
        return self._timestamp

    @property
    def sequence_number(self) -> int:
        """Sequence number of the next packet."""
        return self._sequence_number

    @property
    def bitrate_bps(self) -> float:
        """Target for all RTP payload bytes; may be set at any time."""
        return self._protector.bitrate_bps

    @bitrate_bps.setter
    def bitrate_bps(self, bitrate_bps: float) -> None:
        self._protector.replan(bitrate_bps=bitrate_bps)
        self._prepare()

    @property
    def expected_loss_pct(self) -> float:
        """What the encoder prepares for, in percent."""
        if self._told_loss_pct is not None:
            return float(self._told_loss_pct)
        return UNREPORTED_LOSS_PCT if self._feedback.loss is None else 100 * self._feedback.loss

    @property
    def redundancy(self) -> dict[str, object]:
        """What is added at present and why, and what descriptions of the past are like on average."""
        self._heed_feedback()
        return self._protector.summary()

    @property
    def carried(self) -> dict[str, float]:
        """Share of the packets that carried each kind of redundancy: of what was asked for, or `auto` used."""
        asked = self.protection
        shares = self.stats.protection.items()
        return {name: share for name, share in shares if name in asked.names or (asked.auto and share)}

    def send(self, frame: np.ndarray) -> list[bytes]:
        """Encode one frame.

        Args:
            frame: Shape (frame_samples,), float32 in [-1, 1).

        Returns:
            Datagrams to send: one, or none inside a DTX pause.
        """
        self._heed_feedback()
        payload = self._encoder.encode(frame)
        self._protector.hear(frame)
        copy = None if self._copy_encoder is None else self._copy_encoder.encode(frame)
        timestamp = self._timestamp
        self._timestamp = (timestamp + self.frame_ms * OPUS_CLOCK_HZ // 1000) & 0xFFFF_FFFF
        self.stats.frames_encoded += 1
        if self._skipped(payload):
            return []
        return [self._packet(timestamp, payload, copy)]

    def receive_rtcp(self, datagram: bytes, now: float) -> None:
        """Take a compound RTCP packet of the peer: its loss report steers what the encoder expects.

        Args:
            datagram: As it arrived; what is malformed is dropped silently, a peer must not be able to stop a call.
            now: Seconds on the clock that `report` was given.
        """
        try:
            packets = rtcp.parse_compound(datagram)
        except PacketError:
            return
        # the newest of each kind, however many there are
        blocks = [block for packet in packets for block in _report_blocks(packet) if block.ssrc == self.ssrc]
        metrics = [metrics for packet in packets for metrics in _voip_metrics(packet) if metrics.ssrc == self.ssrc]
        if blocks:
            self._take_report(blocks[-1], now)
        if metrics:
            self._take_metrics(metrics[-1])

    def report(self, now: float, *, goodbye: bool = False) -> bytes:
        """Sender report and source description (RFC 3550 sections 6.4.1, 6.5), to be sent every few seconds.

        Args:
            now: Seconds on any steady clock: the peer only returns it.
            goodbye: The stream ends here (RFC 3550 section 6.6).
        """
        sender_report = rtcp.SenderReport(
            ssrc=self.ssrc,
            ntp_timestamp=ntp_from_seconds(now),
            rtp_timestamp=self._timestamp,
            packet_count=self.stats.packets_sent & 0xFFFF_FFFF,
            octet_count=self.stats.bytes_sent & 0xFFFF_FFFF,
        )
        packets = [sender_report, rtcp.SourceDescription.named(self.ssrc, self._cname)]
        if goodbye:
            packets.append(rtcp.Goodbye((self.ssrc,)))
        return rtcp.serialize_compound(packets)

    def _take_report(self, block: rtcp.ReportBlock, now: float) -> None:
        stats = self.stats
        stats.reports_received += 1
        fraction_lost = block.fraction_lost / 256
        stats.fraction_lost = fraction_lost
        stats.round_trip_time = round_trip_time(block, ntp_from_seconds(now))
        self._feedback.take_report(fraction_lost)
        self._feedback_is_new = True

    def _take_metrics(self, metrics: rtcp.VoipMetrics) -> None:
        self._feedback.take_metrics(metrics)
        if self._follows_delay and metrics.buffer_nominal:
            waits_ms = min(USUAL_DELAY_MS, metrics.buffer_limit) if metrics.adaptive else 0.0  # for what is sent
            self._playout_delay_ms = max(float(metrics.buffer_nominal), waits_ms)
        self._feedback_is_new = True

    @property
    def _knows_loss(self) -> bool:
        return self._told_loss_pct is not None or self._feedback.loss is not None

    @property
    def _opus_loss_pct(self) -> int:
        """In whole per cent, at 0 of which Opus writes no LBRR."""
        writes = self._protector.using.lbrr and self.expected_loss_pct > 0
        return max(round(self.expected_loss_pct), int(writes))

    @property
    def _forecast(self) -> LossForecast:
        rate = self.expected_loss_pct / 100
        return self._feedback.forecast(rate) if self._told_forecast is None else self._told_forecast.at(rate)

    def _heed_feedback(self) -> None:
        """Plan anew, once before a frame, however much the peer reports."""
        if self._feedback_is_new:
            self._feedback_is_new = False
            self._protector.replan(
                forecast=self._forecast, playout_delay_ms=self._playout_delay_ms, knows_loss=self._knows_loss
            )
            self._prepare()

    def _prepare(self) -> None:
        """Let Opus do its part of the plan."""
        self._encoder.bitrate_bps = round(self._protector.division.opus_bps)
        self._encoder.inband_fec = self._protector.using.lbrr
        self._encoder.expected_loss_pct = self._opus_loss_pct

    def _skipped(self, payload: bytes) -> bool:
        was_in_dtx = self._in_dtx
        self._in_dtx = is_dtx(payload)
        if self._in_dtx:
            self.stats.dtx_frames += 1
        self._talkspurt_begins |= was_in_dtx and not self._in_dtx
        return was_in_dtx and self._in_dtx

    def _packet(self, timestamp: int, payload: bytes, copy: bytes | None) -> bytes:
        payload_type, body = self._protector.wrap(timestamp, payload, copy)
        if self._protector.using.lbrr:
            self.stats.packets_with_lbrr += has_lbrr(payload)
        packet = RtpPacket(
            payload_type=payload_type,
            sequence_number=self._sequence_number,
            timestamp=timestamp,
            ssrc=self.ssrc,
            payload=body,
            marker=self._talkspurt_begins,
        ).serialize()
        self._talkspurt_begins = False
        self._sequence_number = (self._sequence_number + 1) & 0xFFFF
        self.stats.packets_sent += 1
        self.stats.bytes_sent += len(body)
        self.stats.header_bytes_sent += len(packet) - len(body)
        return packet


def _report_blocks(packet: object) -> tuple[rtcp.ReportBlock, ...]:
    return packet.reports if isinstance(packet, rtcp.SenderReport | rtcp.ReceiverReport) else ()


def _voip_metrics(packet: object) -> list[rtcp.VoipMetrics]:
    blocks = packet.blocks if isinstance(packet, rtcp.ExtendedReport) else ()
    return [block for block in blocks if isinstance(block, rtcp.VoipMetrics)]
