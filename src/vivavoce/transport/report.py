"""What a receiver tells its sender: loss, jitter, and how the losses cluster (RFC 3550 section 6.4.2, RFC 3611)."""

from __future__ import annotations

from dataclasses import replace

from vivavoce.transport.playout_clock import PlayoutClock
from vivavoce.transport.rtcp import ExtendedReport, ReceiverReport, ReportBlock, SourceDescription, serialize_compound
from vivavoce.transport.rtcp_metrics import fraction_byte
from vivavoce.transport.rtcp_xr import ADAPTIVE, FIXED, VoipMetrics
from vivavoce.transport.rtp import OPUS_CLOCK_HZ
from vivavoce.transport.source import Source


def reception_report(
    ssrc: int,
    cname: str,
    source: Source | None,
    last_report: tuple[int, float] | None,
    clock: PlayoutClock,
    packet_s: float,
    now: float,
) -> bytes:
    """One RTCP compound: receiver report, source description, VoIP metrics.

    Args:
        ssrc: Of the receiver.
        cname: Of the receiver.
        source: What is received; None: nothing was heard yet.
        last_report: Compact NTP time of the sender's last report and its arrival in seconds.
        clock: Of the playout.
        packet_s: What one packet lasts, for the durations of bursts and gaps.
        now: Seconds on the clock of the arrivals.
    """
    description = SourceDescription.named(ssrc, cname)
    if source is None:
        return serialize_compound([ReceiverReport(ssrc), description])
    since_report = 0.0 if last_report is None else max(0.0, now - last_report[1])
    block = ReportBlock(
        ssrc=source.ssrc,
        fraction_lost=fraction_byte(source.fraction_lost_since_report()),
        cumulative_lost=source.lost,
        highest_sequence=source.highest & 0xFFFF_FFFF,
        jitter=min(round(source.jitter_s * OPUS_CLOCK_HZ), 0xFFFF_FFFF),
        last_sr=0 if last_report is None else last_report[0],
        delay_since_last_sr=min(round(since_report * 65_536), 0xFFFF_FFFF),
    )
    delay_ms, limit_ms = (min(round(1000 * delay_s), 0xFFFF) for delay_s in (clock.delay_s, clock.longest_delay_s))
    expected = max(1, source.expected)
    metrics = replace(
        VoipMetrics.measured(source.ssrc, source.lost_flags(), 1000 * packet_s),  # bursts and gaps: of the last 20 s
        loss_rate=fraction_byte(max(0, source.lost) / expected),
        discard_rate=fraction_byte(min(1.0, source.discarded / expected)),
        end_system_delay=delay_ms,
        receiver_config=ADAPTIVE if clock.adaptive else FIXED,
        buffer_nominal=delay_ms,
        buffer_maximum=delay_ms,
        buffer_limit=limit_ms,
    )
    return serialize_compound([ReceiverReport(ssrc, (block,)), description, ExtendedReport(ssrc, (metrics,))])
