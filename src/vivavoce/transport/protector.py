"""What a sender puts around each Opus packet against loss, and what that leaves of the rate for Opus."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vivavoce.codec.packet import is_dtx
from vivavoce.redundancy.dred import EXTENSION_ID, DredSender, checked_id, with_dred
from vivavoce.redundancy.dred_rate import DredPlan, DredRate, DredTally
from vivavoce.redundancy.red import MAX_OFFSET, RedBlock, RedHistory
from vivavoce.transport.division import Division, divide
from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.planner import choose
from vivavoce.transport.protection import Protection
from vivavoce.transport.rtp import OPUS_CLOCK_HZ

if TYPE_CHECKING:
    from vivavoce.transport.sender import SenderStats

MAX_RED_PAYLOAD_BYTES = 1000  # above it Chrome's receiver falls silent for good (crbug 1248479)


class Protector:
    """RED copies and descriptions of the past, for one stream.

    Args:
        asked: What to add; `auto` chooses whenever the rate or the forecast changes.
        bitrate_bps: Of all RTP payload.
        forecast: What loss is expected.
        frame_ms: Duration of a packet.
        red_bitrate_bps: Of RED copies by an encoder of their own.
        payload_type, red_payload_type: Of plain packets and of RED.
        dred_payload_type: Of descriptions as blocks of RED; None puts them into the padding of Opus packets.
        stats: Takes the counts.
        playout_delay_ms: Of the peer, from capture to playout; None: nobody knows.
        dred_extension_id: Of descriptions in the padding.
        reads_dred: Whether the peer does; where not, `auto` adds none.
        knows_loss: Whether anybody has said what is lost; where not, `auto` adds LBRR alone.

    Attributes:
        using: What is added at present.
        because: Why, where it was chosen.
        division: Of the rate.

    Raises:
        ValueError: A RED distance is too far for the packets, or the rate leaves less than 6 kb/s for Opus.
    """

    def __init__(
        self,
        asked: Protection,
        bitrate_bps: float,
        forecast: LossForecast,
        frame_ms: int,
        red_bitrate_bps: float | None,
        payload_type: int,
        red_payload_type: int,
        dred_payload_type: int | None,
        stats: SenderStats,
        playout_delay_ms: float | None = None,
        dred_extension_id: int = EXTENSION_ID,
        reads_dred: bool = True,
        knows_loss: bool = True,
    ) -> None:
        if any(distance * frame_ms * OPUS_CLOCK_HZ // 1000 > MAX_OFFSET for distance in asked.red):
            raise ValueError(f"RED distances {asked.red} of {frame_ms}-ms packets reach further back than 341 ms")
        self.asked, self.stats = asked, stats
        self._frame_ms, self._red_bitrate_bps = frame_ms, red_bitrate_bps
        self._payload_type, self._red_payload_type = payload_type, red_payload_type
        self._dred_payload_type, self._dred_extension_id = dred_payload_type, checked_id(dred_extension_id)
        self._reads_dred = reads_dred
        self._history: RedHistory | None = None
        self._dred_sender: DredSender | None = None
        self._dred: DredRate | None = None
        self._tally = DredTally()
        self.using, self.knows_loss = Protection(), knows_loss
        self.using, self.because, self.division = self._plan(bitrate_bps, forecast, playout_delay_ms, knows_loss)
        self.bitrate_bps, self.forecast, self.playout_delay_ms = bitrate_bps, forecast, playout_delay_ms

    def listen(self, sample_rate: int, delay_samples: int) -> None:
        """Get ready to hear frames, which a decoder plays later by so many samples."""
        if self.asked.dred_ms or (self.asked.auto and self._reads_dred):
            self._dred_sender = DredSender(sample_rate, delay_samples, sample_rate * self._frame_ms // 1000)
        self._apply()

    def replan(
        self,
        *,
        bitrate_bps: float | None = None,
        forecast: LossForecast | None = None,
        playout_delay_ms: float | None = None,
        knows_loss: bool | None = None,
    ) -> None:
        """Take another rate, forecast or delay, or that somebody has said what is lost; None leaves it as it is.

        Raises:
            ValueError: The rate leaves less than 6 kb/s for Opus; nothing is changed.
        """
        bitrate_bps = self.bitrate_bps if bitrate_bps is None else bitrate_bps
        forecast = self.forecast if forecast is None else forecast
        delay_ms = self.playout_delay_ms if playout_delay_ms is None else playout_delay_ms
        knows_loss = self.knows_loss if knows_loss is None else knows_loss
        self.using, self.because, self.division = self._plan(bitrate_bps, forecast, delay_ms, knows_loss)
        self.bitrate_bps, self.forecast, self.playout_delay_ms = bitrate_bps, forecast, delay_ms
        self.knows_loss = knows_loss
        self._apply()

    def hear(self, frame: np.ndarray) -> None:
        """Take the next frame, whatever becomes of its packet: shape (samples,), float32."""
        if self._dred_sender is not None:
            self._dred_sender.process(frame)

    def wrap(self, timestamp: int, packet: bytes, copy: bytes | None) -> tuple[int, bytes]:
        """Payload type and RTP payload of an Opus packet, of which later ones carry a copy, or the other one given."""
        stats, body, beside = self.stats, packet, ()
        beside_type = self._dred_payload_type
        dred = None if beside_type is None and is_dtx(packet) else self._dred  # receivers know a pause by the length
        if dred is not None and (description := dred.next(self._frame_ms * OPUS_CLOCK_HZ // 1000)):
            if beside_type is None:
                body = with_dred(packet, description, self._dred_extension_id)
            else:
                beside = (RedBlock(beside_type, 0, description),)
            stats.packets_with_dred += 1
            stats.dred_bytes_sent += len(body) - len(packet) + sum(4 + len(block.data) for block in beside)
        history = self._history
        if history is None:
            return self._payload_type, body
        left_out = history.left_out
        red = history.wrap(self._payload_type, timestamp, body, packet if copy is None else copy, beside)
        stats.packets_with_red += len(red.redundant) > len(beside)
        stats.red_copies_left_out += history.left_out - left_out
        return self._red_payload_type, red.serialize()

    def summary(self) -> dict[str, object]:
        """What was chosen and why, and what descriptions are like on average; for people and logs."""
        said: dict[str, object] = {"using": str(self.using), "opus_bps": round(self.division.opus_bps)}
        if self.because:
            said["because"] = self.because
        if self._dred is not None:
            said["dred"] = self._tally.summary() | {"every": self._dred.plan.every}
        elif self._tally.count:  # it was used before
            said["dred"] = self._tally.summary()
        return said

    def _plan(
        self, bitrate_bps: float, forecast: LossForecast, delay_ms: float | None, knows_loss: bool
    ) -> tuple[Protection, str, Division]:
        using, because = self.asked, ""
        if using.auto:
            seen = {"reads_dred": self._reads_dred, "knows_loss": knows_loss, "protects": self.using != Protection()}
            using, because = choose(bitrate_bps, forecast, delay_ms, **seen)

        def division(using: Protection) -> Division:
            in_red = self._dred_payload_type is not None
            return divide(
                bitrate_bps, using, forecast, self._frame_ms, self._red_bitrate_bps, delay_ms, dred_in_red=in_red
            )

        try:
            return using, because, division(using)
        except ValueError:
            if not (self.asked.auto and using.red):
                raise
        using = replace(using, red=())  # copies of a fixed rate leave too little
        return using, because, division(using)

    def _apply(self) -> None:
        using = self.using
        in_red = bool(using.red) or (using.dred_ms > 0 and self._dred_payload_type is not None)
        if in_red != (self._history is not None) or (
            self._history is not None and using.red != tuple(sorted(self._history.distances))
        ):
            self._history = RedHistory(using.red, MAX_RED_PAYLOAD_BYTES) if in_red else None
        if not using.dred_ms or self._dred_sender is None:
            self._dred = None
            return
        division = self.division
        plan = DredPlan.of(
            *(division.dred_bps, self.forecast.survivors, division.dred_ms, self._frame_ms, division.dred_every),
            self.forecast.lost_again(division.dred_every),
        )
        if self._dred is None:
            self._dred = DredRate(self._dred_sender, plan, self._frame_ms, self._tally)
        self._dred.plan = plan
