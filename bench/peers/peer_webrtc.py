"""WebRTC's noise suppression at level 3 of 4, as webrtc-noise-gain wraps it: 10 ms at 16 kHz, no gain."""

from __future__ import annotations

import numpy as np
from harness import Process, int16, run
from webrtc_noise_gain import AudioProcessor

LEVEL = 3


def open_stream(_: int) -> Process:
    processor = AudioProcessor(0, LEVEL)

    def process(frame: np.ndarray) -> np.ndarray:
        audio = processor.Process10ms(int16(frame).tobytes()).audio
        return np.frombuffer(audio, np.int16).astype(np.float32) / 32_768

    return process


if __name__ == "__main__":
    run(open_stream, 16_000, frame_ms=10)
