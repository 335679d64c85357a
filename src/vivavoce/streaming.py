"""The contract of everything that runs in a call: fixed frames in, as many samples out, a declared delay."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Processor(Protocol):
    """A streaming stage. Offline processing is the loop over the stream, nothing else.

    Attributes:
        sample_rate: Hz, of input and output.
        frame_samples: Samples that `process` takes and returns.
        delay_samples: Constant delay of the output against the input, at `sample_rate`.
    """

    sample_rate: int
    frame_samples: int
    delay_samples: int

    def process(self, frame: np.ndarray) -> np.ndarray:
        """Shape (frame_samples,), float32 in [-1, 1), in and out."""
        ...

    def flush(self) -> np.ndarray:
        """The tail that the delay still holds, shape (delay_samples,)."""
        ...

    def reset(self) -> None:
        """Forget the signal."""
        ...
