"""What a peer's reports say of the losses to come: how many, and in bursts of which length.

RFC 3550 section 6.4.1 has the share that was lost since the report before, RFC 3611 section 4.7.2 bursts and gaps. A
sender has to believe in losses at once and to forget them slowly: they come together, seconds apart, and what would
save the next of them must not be given up with the last.
"""

from __future__ import annotations

from vivavoce.transport.forecast import LONGEST, LossForecast
from vivavoce.transport.rtcp import VoipMetrics

FAST, SLOW = 0.5, 0.05  # weights of the newest report, seconds after the one before: for now, and for a minute or so


class LossFeedback:
    """Losses of one stream, as its receiver reports them.

    Args:
        packet_ms: Duration of a packet.

    Attributes:
        loss: Share of packets to be expected; None before the first report.
    """

    def __init__(self, packet_ms: float) -> None:
        self._packet_ms = packet_ms
        self._now, self._lately = 0.0, 0.0
        self._lost, self._runs = 0.0, 0.0  # shares of packets that are lost, and with which a burst begins
        self.loss: float | None = None

    def take_report(self, fraction_lost: float) -> None:
        """Note the share that was lost since the report before."""
        first = self.loss is None
        self._now += (1.0 if first else FAST) * (fraction_lost - self._now)
        self._lately += SLOW * (fraction_lost - self._lately)
        self.loss = max(self._now, self._lately)

    def take_metrics(self, metrics: VoipMetrics) -> None:
        """Note bursts and gaps; where nothing was lost there is nothing to be learned of them."""
        lost, runs = _losses(metrics, self._packet_ms)
        if runs:
            self._lost += SLOW * (lost - self._lost)
            self._runs += SLOW * (runs - self._runs)

    @property
    def mean_burst(self) -> float | None:
        """Packets that are lost in a row; None where nobody has said."""
        return min(max(1.0, self._lost / self._runs), LONGEST) if self._runs else None

    def forecast(self, rate: float) -> LossForecast:
        """The bursts that are to be expected, the usual ones where nobody has said, at a share of packets."""
        return LossForecast.usual(rate) if self.mean_burst is None else LossForecast.usual(rate, self.mean_burst)


def _losses(metrics: VoipMetrics, packet_ms: float) -> tuple[float, float]:
    """Shares of packets that are lost, and with which a row of lost ones begins.

    In gaps each is lost for itself. In bursts some arrive: rows are as long as if those were strewn among them, but no
    longer than the burst.
    """
    density = metrics.burst_density / 256
    lost, alone = (
        density * metrics.burst_duration / packet_ms,
        metrics.gap_density / 256 * metrics.gap_duration / packet_ms,
    )
    packets = (metrics.burst_duration + metrics.gap_duration) / packet_ms
    if not packets:  # whoever leaves out durations may say how dense bursts are
        return density, density * (1 - density)
    row = max(1.0, min(1 / (1 - density), lost))
    return (lost + alone) / packets, (lost / row + alone) / packets
