"""A mono 16-bit WAV file that is written while the sound goes on: constant memory, whole whenever it is finished.

The header's two lengths are only known at the end. Where the output cannot be rewound, as a pipe, they stay at their
largest value, which players take for "until the end".
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np

from vivavoce.audio import pcm16

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_UNKNOWN_BYTES = 0xFFFF_FFFF
_SAMPLE_BYTES = 2


class Recording:
    """Writes samples as they come.

    Args:
        file: Open for writing, at its beginning.
        sample_rate: Hz.

    Attributes:
        samples: Written so far.
    """

    def __init__(self, file: BinaryIO, sample_rate: int) -> None:
        self.samples = 0
        self._file, self._sample_rate = file, sample_rate
        file.write(self._header(_UNKNOWN_BYTES))

    def write(self, samples: np.ndarray) -> None:
        """Append samples of shape (samples,), float; what lies outside of [-1, 1) saturates."""
        self._file.write(pcm16(samples).astype("<i2").tobytes())
        self.samples += len(samples)

    def finish(self, samples: int | None = None) -> None:
        """Complete the header.

        Args:
            samples: Cut the recording to so many, where the output can be rewound.
        """
        if self._file.seekable():
            self.samples = self.samples if samples is None else min(samples, self.samples)
            data_bytes = _SAMPLE_BYTES * self.samples
            self._file.seek(0)
            self._file.write(self._header(data_bytes))
            self._file.truncate(_HEADER.size + data_bytes)  # also what an interrupted write left behind
        self._file.flush()

    def _header(self, data_bytes: int) -> bytes:
        rest = _HEADER.size - 8
        return _HEADER.pack(
            b"RIFF",
            min(rest + data_bytes, _UNKNOWN_BYTES),
            b"WAVE",
            b"fmt ",
            16,  # bytes of the format that follow
            1,  # PCM
            1,  # channel
            self._sample_rate,
            self._sample_rate * _SAMPLE_BYTES,
            _SAMPLE_BYTES,
            8 * _SAMPLE_BYTES,
            b"data",
            min(data_bytes, _UNKNOWN_BYTES),
        )
