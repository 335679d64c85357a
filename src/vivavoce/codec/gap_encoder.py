"""Packets of what was never sent: they take a decoder through a gap as if what fills it had arrived.

Opus frames say what changes: SILK's excitation refers to that of the past, CELT's energies and overlap to the last
frame's. A decoder that conceals for itself holds other samples than were played, and decodes the packets after the gap
against them. Here what fills the gap is encoded for the decoder of the stream, by the coder that the stream uses; the
next packet that arrives finds the state that the listener heard.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from vivavoce.codec.library import Libopus
from vivavoce.codec.opus import BANDWIDTHS, FRAME_MS, Bandwidth, OpusEncoder
from vivavoce.codec.packet import OpusPacket

WARM_UP_MS = 30  # of the past, after which the encoder's state resembles the decoder's
COMPLEXITY = 5  # half the time of the highest

# High, so that what is coded twice does not sound so, but below those at which libopus leaves SILK.
_SPEECH_RATE, _CELT_RATE = 56_000, 96_000
_WIDEST: dict[int, Bandwidth] = {
    8000: "narrowband",
    12000: "mediumband",
    16000: "wideband",
    24000: "superwideband",
    48000: "fullband",
}
_BANDWIDTHS = list(BANDWIDTHS)


class GapEncoder:
    """Encodes what fills gaps of one stream. `create` makes one, `begin` starts a gap.

    Attributes:
        frame_samples: Length of a frame.
        delay_samples: So much later the decoder says what the encoder was given.
        past_samples: Length of the past that `begin` needs, without the delay.
    """

    def __init__(self, encoder: OpusEncoder) -> None:
        self._encoder = encoder
        self.frame_samples = encoder.frame_samples
        self.delay_samples = encoder.delay_samples
        warm_up = encoder.sample_rate * WARM_UP_MS // 1000
        self.past_samples = -(-warm_up // self.frame_samples) * self.frame_samples - self.delay_samples

    @classmethod
    def create(cls, toc: int, sample_rate: int, frame_samples: int, library: Libopus | None = None) -> Self | None:
        """An encoder for the decoder that decoded a packet of this kind last.

        Args:
            toc: First byte of that packet.
            sample_rate: Of decoder and encoder.
            frame_samples: Length of the slots of the gap.
            library: That of the decoder.

        Returns:
            None where no packet goes on in the coder of the stream: of two channels, or of another length than Opus
            knows, or where the decoder's rate is below that of the stream's SILK.
        """
        stream = OpusPacket(toc >> 3, bool(toc & 4), (b"",))
        frame_ms = 1000 * frame_samples / sample_rate
        bandwidth = min(stream.bandwidth, _WIDEST[sample_rate], key=_BANDWIDTHS.index)
        celt = stream.mode == "celt"
        if stream.stereo or frame_ms not in FRAME_MS:
            return None
        encoder = OpusEncoder(
            sample_rate,
            frame_ms=frame_ms,
            bitrate_bps=_CELT_RATE if celt else _SPEECH_RATE,
            bandwidth=bandwidth,
            complexity=COMPLEXITY,
            # not voip: its high-pass turns the phase of low voices, and the past would not fit any more
            application="lowdelay" if celt else "audio",
            signal=None if celt else "voice",
            library=library,
        )
        made = cls(encoder)
        coder = OpusPacket.parse(encoder.encode(np.zeros(frame_samples, np.float32)))
        return made if _coder(coder) == _coder(stream) else None

    def begin(self, past: np.ndarray) -> None:
        """Start a gap.

        Args:
            past: Shape (past_samples + delay_samples,), float32: what was played last, and the first `delay_samples` of
                what fills the gap.
        """
        self._encoder.reset()
        for frame in past.reshape(-1, self.frame_samples):
            self._encoder.encode(frame)

    def encode(self, samples: np.ndarray) -> bytes:
        """The packet of the next frame, from samples `delay_samples` ahead of it: shape (frame_samples,), float32."""
        return self._encoder.encode(samples)


def _coder(packet: OpusPacket) -> tuple[str, str]:
    """What decides whether a decoder keeps its state from one packet to another: CELT, or the rate of SILK."""
    if packet.mode == "celt":
        return "celt", ""
    return "silk", packet.bandwidth if packet.mode == "silk" else "wideband"
