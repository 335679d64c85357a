"""Which redundancy a call needs: `--protect auto`.

Chosen by PLCMOS, then PESQ and ESTOI, on clips of split val at 24, 32, 40 and 72 kb/s over traces of 5 to 30 % loss.
"""

from __future__ import annotations

from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.protection import MAX_DRED_MS, Protection

NO_LOSS = 0.005  # share of packets, below which redundancy costs more than it saves
LEAST_BPS = 14_000  # below it Opus needs all of it
SHORT_DELAY_MS = 60.0  # of a receiver, for which descriptions come too late
# LBRR restores the last packet of each burst, RED the last two: their worth goes with the share of packets with which a
# burst begins, their price is a share of the rate.
LBRR_BPS, LBRR_WORTH_BPS = 30_000, 1_500  # the latter times that share
RED_BPS, RED_BURSTS = 60_000, 0.12


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
    bursts = forecast.rate / forecast.mean_burst
    if bitrate_bps >= RED_BPS and bursts >= RED_BURSTS:
        return Protection(red=(2,), dred_ms=MAX_DRED_MS), why
    lbrr = bitrate_bps >= LBRR_BPS and bitrate_bps * bursts >= LBRR_WORTH_BPS
    return Protection(lbrr=lbrr, dred_ms=MAX_DRED_MS), why
