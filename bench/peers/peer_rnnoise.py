"""RNNoise 0.2 or later, from the library in the wheel of pyrnnoise: frames of 10 ms at 48 kHz."""

from __future__ import annotations

import ctypes

import numpy as np
from harness import Process, package_file, run


def main() -> None:
    library = ctypes.CDLL(package_file("pyrnnoise", "librnnoise.so"))
    library.rnnoise_create.restype = ctypes.c_void_p
    library.rnnoise_create.argtypes = [ctypes.c_void_p]
    library.rnnoise_process_frame.restype = ctypes.c_float
    library.rnnoise_process_frame.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]

    def open_stream(_: int) -> Process:
        state = library.rnnoise_create(None)

        def process(frame: np.ndarray) -> np.ndarray:
            samples = frame * np.float32(32_768)  # its floats are in the range of int16
            library.rnnoise_process_frame(state, samples.ctypes.data, samples.ctypes.data)
            return samples / np.float32(32_768)

        return process

    run(open_stream, 48_000, frame_ms=10)


if __name__ == "__main__":
    main()
