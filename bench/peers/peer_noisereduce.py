"""noisereduce, non-stationary as by default; whole files at their own rate."""

from __future__ import annotations

import noisereduce
import numpy as np
from harness import Process, run


def open_stream(sample_rate: int) -> Process:
    return lambda samples: noisereduce.reduce_noise(y=samples, sr=sample_rate).astype(np.float32)


if __name__ == "__main__":
    run(open_stream, None)
