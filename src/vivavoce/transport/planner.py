"""Which redundancy a call needs: `--protect auto`."""

from __future__ import annotations

from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.protection import MAX_DRED_MS, Protection

NO_LOSS = 0.005  # share of packets, below which redundancy costs more than it saves
TOO_LITTLE_BPS = 16_000
DRED_FROM_BPS = 20_000
LBRR_FROM_BPS = 28_000


def choose(bitrate_bps: float, forecast: LossForecast, packet_ms: float) -> tuple[Protection, str]:
    """The protection for a rate and a forecast, and why.

    Args:
        bitrate_bps: All RTP payload.
        forecast: What loss is expected.
        packet_ms: Duration of a packet.
    """
    loss = f"{100 * forecast.rate:.1f} % loss expected"
    if forecast.rate < NO_LOSS:
        return Protection(), "no loss expected"
    if bitrate_bps < TOO_LITTLE_BPS:
        return Protection(), f"{loss}, but the rate is too low for more than Opus"
    dred = MAX_DRED_MS if bitrate_bps >= DRED_FROM_BPS else 0
    return Protection(lbrr=bitrate_bps >= LBRR_FROM_BPS or not dred, dred_ms=dred), loss
