"""The preprocessor of speexdsp as Debian ships it (libspeexdsp1), with its defaults; frames of 10 ms at any rate."""

from __future__ import annotations

import ctypes

import numpy as np
from harness import Process, int16, run


def main() -> None:
    library = ctypes.CDLL("libspeexdsp.so.1")
    library.speex_preprocess_state_init.restype = ctypes.c_void_p
    library.speex_preprocess_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p]

    def open_stream(sample_rate: int) -> Process:
        state = library.speex_preprocess_state_init(sample_rate // 100, sample_rate)

        def process(frame: np.ndarray) -> np.ndarray:
            samples = int16(frame)
            library.speex_preprocess_run(state, samples.ctypes.data)
            return samples.astype(np.float32) / 32_768

        return process

    run(open_stream, None, frame_ms=10)


if __name__ == "__main__":
    main()
