"""The arithmetic behind RTCP: times (RFC 3550 section 4), jitter (6.4.1), round trips, bursts (RFC 3611 section 4.7.2).

Pure functions. What a receiver has to remember between packets is the receiver's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from vivavoce.transport.rtp import timestamp_delta

if TYPE_CHECKING:
    from vivavoce.transport.rtcp import ReportBlock

GMIN = 16  # RFC 3611 section 4.7.2 recommends it: a gap then loses at most one packet in 17

_NTP_EPOCH = 2_208_988_800  # seconds from 1900, where NTP begins, to 1970
_NTP_ERA = 1 << 32  # seconds; the present one ends in 2036
_JITTER_GAIN = 16  # RFC 3550 section 6.4.1


class BurstMetrics(NamedTuple):
    """Where losses crowd (bursts), and where they are rare (gaps).

    Attributes:
        burst_density: Share of the packets within bursts that was lost, 0 without bursts.
        gap_density: Share of the packets within gaps that was lost, 0 without gaps.
        burst_duration_ms: Mean length of a burst, 0 without bursts.
        gap_duration_ms: Mean length of a gap, 0 without gaps.
    """

    burst_density: float
    gap_density: float
    burst_duration_ms: float
    gap_duration_ms: float


def ntp_from_seconds(seconds: float) -> int:
    """Turn seconds since 1970 into a 64-bit NTP timestamp, era dropped."""
    return round((seconds + _NTP_EPOCH) * 2**32) & 0xFFFF_FFFF_FFFF_FFFF


def seconds_from_ntp(ntp: int) -> float:
    """Turn a 64-bit NTP timestamp into seconds since 1970.

    A clear upper bit means the era after 2036 (RFC 4330 section 3), so that the result lies in 1968..2104.
    """
    era = 0 if ntp >> 63 else _NTP_ERA
    return ntp / 2**32 + era - _NTP_EPOCH


def compact_ntp(ntp: int) -> int:
    """Take the middle 32 bits of an NTP timestamp, as a report block's `last_sr` has them: 1/65536 s."""
    return ntp >> 16 & 0xFFFF_FFFF


def round_trip_time(report_block: ReportBlock, now_ntp: int) -> float | None:
    """Seconds to the reporter and back (RFC 3550 section 6.4.1).

    Args:
        report_block: On ourselves.
        now_ntp: When it arrived, 64-bit NTP of the clock that stamped our sender reports.

    Returns:
        Seconds, not below 0; None where the reporter had no sender report of ours yet.
    """
    if not report_block.last_sr:
        return None
    ticks = timestamp_delta(compact_ntp(now_ntp), report_block.last_sr) - report_block.delay_since_last_sr
    return max(ticks, 0) / 65536


def interarrival_jitter(previous_jitter: float, transit_difference: float) -> float:
    """One step of the jitter estimate (RFC 3550 section 6.4.1).

    Args:
        previous_jitter: The estimate so far, in any one unit of time; 0 at first.
        transit_difference: Arrival minus timestamp of this packet, less the same of the one before, in that unit.

    Returns:
        The new estimate.
    """
    return previous_jitter + (abs(transit_difference) - previous_jitter) / _JITTER_GAIN


def fraction_byte(fraction: float) -> int:
    """Write a share in 0..1 as eight bits with the binary point on the left, 1 saturating (RFC 3550 section 6.4.1).

    Raises:
        ValueError: It is no share.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction must be in [0, 1], got {fraction}")
    return min(int(fraction * 256), 255)


def burst_metrics(lost: Sequence[bool], packet_ms: float, gmin: int = GMIN) -> BurstMetrics:
    """Split a trace into bursts and gaps (RFC 3611 section 4.7.2).

    A burst begins and ends with a lost packet and holds no run of `gmin` packets that arrived; a lost packet with such
    runs on both sides belongs to a gap, and so does everything outside bursts. Before and after the trace all is taken
    to arrive. Densities by counting are those of the Markov model in appendix A.2; durations follow the text of the
    section, for the appendix divides the gaps by the number of bursts.

    Args:
        lost: One flag a packet in sending order, True for lost or discarded.
        packet_ms: Duration of a packet.
        gmin: Packets in a row that must arrive to end a burst.

    Raises:
        ValueError: `gmin` or `packet_ms` is not positive.
    """
    if gmin < 1:
        raise ValueError(f"gmin must be at least 1, got {gmin}")
    if not packet_ms > 0:
        raise ValueError(f"packet_ms must be positive, got {packet_ms}")
    losses = [position for position, flag in enumerate(lost) if flag]
    bursts = _bursts(losses, gmin)
    edges = [0, *(edge for burst in bursts for edge in burst), len(lost)]
    gaps = [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if end > start]
    lost_in_bursts = sum(1 for start, end in bursts for position in range(start, end) if lost[position])
    burst_packets = sum(end - start for start, end in bursts)
    gap_packets = len(lost) - burst_packets
    return BurstMetrics(
        burst_density=_ratio(lost_in_bursts, burst_packets),
        gap_density=_ratio(len(losses) - lost_in_bursts, gap_packets),
        burst_duration_ms=_ratio(burst_packets * packet_ms, len(bursts)),
        gap_duration_ms=_ratio(gap_packets * packet_ms, len(gaps)),
    )


def _bursts(losses: list[int], gmin: int) -> list[tuple[int, int]]:
    """First packet, and the one after the last, of each burst."""
    bursts: list[tuple[int, int]] = []
    for before, after in pairwise(losses):
        if after - before - 1 >= gmin:
            continue
        if bursts and bursts[-1][1] == before + 1:
            bursts[-1] = (bursts[-1][0], after + 1)
        else:
            bursts.append((before, after + 1))
    return bursts


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
