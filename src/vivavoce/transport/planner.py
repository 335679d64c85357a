"""Which redundancy a call needs: `--protect auto`.

Chosen by PLCMOS, then PESQ and ESTOI, on clips of split val at 24, 32, 40 and 72 kb/s over traces of 5 to 30 % loss.
"""

from __future__ import annotations

from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.protection import MAX_DRED_MS, Protection

NO_LOSS = 0.005  # share of packets, below which redundancy costs more than it saves
LEAST_BPS = 14_000  # below it Opus needs all of it
SHORT_DELAY_MS = 60.0  # of a receiver, for which descriptions come too late
LBRR_BPS, LITTLE_LOSS, LBRR_LITTLE_LOSS_BPS = 30_000, 0.08, 36_000
LONG_BURST = 3.0  # packets, on average: LBRR restores the last of each alone
RED_BPS, RED_LOSS = 60_000, 0.25


def choose(bitrate_bps: float, forecast: LossForecast, playout_delay_ms: float | None = None) -> tuple[Protection, str]:
    """The protection for a rate and a forecast, and why.

    Args:
        bitrate_bps: All RTP payload.
        forecast: What loss is expected.
        playout_delay_ms: Of the receiver, from capture to playout; None: nobody knows.
    """
    loss = f"{100 * forecast.rate:.1f} % loss expected"
    if forecast.rate < NO_LOSS:
        return Protection(), "no loss expected"
    if bitrate_bps < LEAST_BPS:
        return Protection(), f"{loss}, but the rate is too low for more than Opus"
    if playout_delay_ms is not None and playout_delay_ms < SHORT_DELAY_MS:
        return Protection(lbrr=True), f"{loss}, and the receiver waits too short for more"
    why = f"{loss}, in bursts of {forecast.mean_burst:.1f} packets"
    if bitrate_bps >= RED_BPS and forecast.rate >= RED_LOSS:
        return Protection(red=(2,), dred_ms=MAX_DRED_MS), why
    enough_bps = LBRR_LITTLE_LOSS_BPS if forecast.rate < LITTLE_LOSS else LBRR_BPS
    lbrr = bitrate_bps >= enough_bps and forecast.mean_burst < LONG_BURST
    return Protection(lbrr=lbrr, dred_ms=MAX_DRED_MS), why
