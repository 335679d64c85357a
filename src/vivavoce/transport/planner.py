"""Which redundancy a call needs: `--protect auto`.

Chosen by PLCMOS, then PESQ and ESTOI, on clips of split val at 24, 32, 40 and 72 kb/s over traces of 2 to 78 % loss,
and at playout delays of 80 to 1100 ms.
"""

from __future__ import annotations

from vivavoce.transport.division import USUAL_DELAY_MS
from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.protection import MAX_DRED_MS, Protection

NO_LOSS = 0.005  # share of packets, below which redundancy costs more than it saves
NO_LOSS_ANY_MORE = 0.002  # the same where there is redundancy already: whose losses come and go keeps it
LEAST_BPS = 14_000  # below it Opus needs all of it
SHORT_DELAY_MS = 100.0  # of a receiver, for which descriptions come too late
LONG_DELAY_MS = 600.0  # of a receiver, for which few descriptions do, which leave room for LBRR
# LBRR restores the last packet of each burst, RED the last two: their worth goes with the share of packets with which a
# burst begins, their price is a share of the rate.
LBRR_BPS, LBRR_HASTY_BPS = 30_000, 45_000
LBRR_WORTH_BPS = 1_500  # of the rate, times that share
RED_BPS, RED_BURSTS = 60_000, 0.12
LBRR_LOSS_BPS, RED_LOSS_BPS = 95_000, 120_000  # times the loss: with less, what they take from the rest is worth more


def choose(
    bitrate_bps: float,
    forecast: LossForecast,
    playout_delay_ms: float | None = None,
    *,
    reads_dred: bool = True,
    knows_loss: bool = True,
    protects: bool = False,
) -> tuple[Protection, str]:
    """The protection for a rate and a forecast, and why.

    Args:
        bitrate_bps: All RTP payload.
        forecast: What loss is expected.
        playout_delay_ms: Of the receiver, from capture to playout; None: nobody knows.
        reads_dred: Whether the receiver does.
        knows_loss: Whether anybody has said what is lost; else there is LBRR, which costs little.
        protects: Whether there is redundancy already.
    """
    if not knows_loss:
        return Protection(lbrr=bitrate_bps >= LEAST_BPS), "nobody has reported losses yet"
    loss = f"{100 * forecast.rate:.1f} % loss expected"
    if forecast.rate < (NO_LOSS_ANY_MORE if protects else NO_LOSS):
        return Protection(), "no loss expected"
    if bitrate_bps < LEAST_BPS:
        return Protection(), f"{loss}, but the rate is too low for more than Opus"
    delay_ms = USUAL_DELAY_MS if playout_delay_ms is None else playout_delay_ms
    if delay_ms < SHORT_DELAY_MS:
        return Protection(lbrr=True), f"{loss}, and the receiver waits too short for more"
    why = f"{loss}, in bursts of {forecast.mean_burst:.1f} packets"
    bursts = forecast.rate / forecast.mean_burst
    dred_ms = MAX_DRED_MS if reads_dred else 0
    if bitrate_bps >= max(RED_BPS, RED_LOSS_BPS * forecast.rate) and bursts >= RED_BURSTS:
        return Protection(red=(2,), dred_ms=dred_ms), why
    if not reads_dred:
        return Protection(lbrr=True), why
    enough_bps = LBRR_BPS if delay_ms >= LONG_DELAY_MS else LBRR_HASTY_BPS
    lbrr = bitrate_bps >= max(enough_bps, LBRR_LOSS_BPS * forecast.rate) and bitrate_bps * bursts >= LBRR_WORTH_BPS
    return Protection(lbrr=lbrr, dred_ms=dred_ms), why
