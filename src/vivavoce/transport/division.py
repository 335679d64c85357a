"""How a rate is divided among Opus and what protects it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vivavoce.redundancy.dred_rate import DredPlan
from vivavoce.redundancy.payload import CHUNK_MS
from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.protection import Protection

MIN_OPUS_BITRATE_BPS, MAX_OPUS_BITRATE_BPS = 6_000, 512_000  # RFC 6716 section 2.1.1; of libopus, mono
USUAL_DELAY_MS = 200.0  # from capture to playout, where the peer has not said

# Descriptions of the past. By PLCMOS, PESQ and ESTOI on split val, rare ones that are fine beat many coarse ones, as
# long as one comes before what was lost has to be played.
DRED_SHARE, DRED_SHARE_PER_LOSS, MOST_DRED_SHARE = 0.1, 0.25, 0.5  # of the rate, where they come every USUAL_PERIOD_MS
SHORTEST_PERIOD_MS, USUAL_PERIOD_MS, LONGEST_PERIOD_MS = 40.0, 240.0, 320.0
PERIODS = 3  # for what is lost to be described in, behind the burst, at least
ALL_LOST = 0.01  # and so many that all of them are lost too with this probability
BURSTS = 0.8  # of what is lost, whose bursts are reckoned with


@dataclass(frozen=True)
class Division:
    """Shares of a rate, in b/s of RTP payload.

    Attributes:
        opus_bps: Of the primary, with its LBRR.
        dred_bps: Of descriptions of the past; 0 without.
        dred_every: Packets from one description to the next.
        dred_ms: How much each covers at most: what is further back has been played.
    """

    opus_bps: float
    dred_bps: float = 0.0
    dred_every: int = 1
    dred_ms: float = 0.0


def divide(
    bitrate_bps: float,
    protection: Protection,
    forecast: LossForecast,
    packet_ms: float,
    red_bitrate_bps: float | None = None,
    playout_delay_ms: float | None = None,
    *,
    dred_in_red: bool = False,
) -> Division:
    """Divide a rate.

    Args:
        bitrate_bps: All RTP payload.
        protection: What is in it.
        forecast: What loss is expected.
        packet_ms: Duration of a packet.
        red_bitrate_bps: Of RED copies by an encoder of their own; None: copies of the primary.
        playout_delay_ms: Of the receiver, from capture to playout; None: nobody knows.
        dred_in_red: Whether descriptions are blocks of RED, which all packets are then.

    Raises:
        ValueError: It leaves less than 6 kb/s for Opus, or more than 512.
    """
    copies = len(protection.red)
    rate = float(bitrate_bps)
    if copies or (dred_in_red and protection.dred_ms):  # RFC 2198 section 3: headers of 4 bytes a copy, and 1 more
        rate -= 8 * 1000 / packet_ms * (1 + 4 * copies)
        rate -= copies * (red_bitrate_bps or 0.0)
    dred_bps, every, reach_ms = 0.0, 1, 0.0
    if protection.dred_ms:
        spare = max(0.0, rate - MIN_OPUS_BITRATE_BPS * (1 if red_bitrate_bps is not None else 1 + copies))
        dred_bps, every, reach_ms = _describe(rate, spare, protection, forecast, packet_ms, playout_delay_ms)
        rate -= dred_bps
    if copies and red_bitrate_bps is None:
        rate /= 1 + copies
    if not MIN_OPUS_BITRATE_BPS <= round(rate, 3) <= MAX_OPUS_BITRATE_BPS:
        raise ValueError(
            f"{bitrate_bps:.0f} b/s with protection {protection} leaves {rate:.0f} b/s for Opus; "
            f"it needs {MIN_OPUS_BITRATE_BPS}, and takes {MAX_OPUS_BITRATE_BPS}"
        )
    return Division(rate, dred_bps, every, reach_ms)


def _describe(
    rate: float, spare: float, protection: Protection, forecast: LossForecast, packet_ms: float, delay_ms: float | None
) -> tuple[float, int, float]:
    """Rate of descriptions, as far as it can be spared, packets from one to the next, and what they cover, in ms."""
    delay_ms = USUAL_DELAY_MS if delay_ms is None else delay_ms
    reach_ms = min(max(delay_ms, CHUNK_MS), protection.dred_ms)
    burst_ms = min(packet_ms * forecast.burst(BURSTS), reach_ms / 2)
    period_ms = (reach_ms - burst_ms) / PERIODS
    if again := forecast.lost_again(period_ms / packet_ms):
        period_ms *= min(1.0, PERIODS * math.log(again) / math.log(ALL_LOST))
    period_ms = min(max(period_ms, SHORTEST_PERIOD_MS), LONGEST_PERIOD_MS)
    share = (DRED_SHARE + DRED_SHARE_PER_LOSS * forecast.rate) * math.sqrt(USUAL_PERIOD_MS / period_ms)
    dred_bps = min(min(MOST_DRED_SHARE, share) * rate, spare)
    if dred_bps <= 0:
        return 0.0, 1, reach_ms

    def most_bps(every: int) -> float:
        plan = DredPlan.of(dred_bps, forecast.survivors, reach_ms, packet_ms, every, forecast.lost_again(every))
        return plan.most_bps(packet_ms)

    every = max(1, round(period_ms / packet_ms))
    every = max(1, round(every * min(1.0, most_bps(every) / dred_bps)))  # finer has no use, more of them does
    return min(dred_bps, most_bps(every)), every, reach_ms
