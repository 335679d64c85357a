"""Sound files of any format, read block by block with all their channels: hours need not fit into memory.

soundfile reads what libsndfile knows; PyAV, where the `opus` extra is installed, the rest (mp4, aac, video). What a
pipe brings is kept on disk until its end: most formats cannot be read without seeking.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np

from vivavoce.errors import AudioFileError

PIPE = "-"
BLOCK_SAMPLES = 1 << 16  # of a channel, decoded at a time
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 768_000  # outside of it a header is damaged, not a choice
# what float32, which holds 24 bits, has more than 16 bits of
_FINE_SUBTYPES = {"PCM_24": "PCM_24", "PCM_32": "PCM_24", "FLOAT": "FLOAT", "DOUBLE": "FLOAT"}
_FINE_FORMATS = {"s32": "PCM_24", "s32p": "PCM_24"}  # the same of PyAV


class AudioReader:
    """A sound file that is open for reading.

    Attributes:
        path: "-" for standard input.
        sample_rate: Hz.
        channels: At least one.
        subtype: "FLOAT" or "PCM_24" where samples have more than 16 bits, else "PCM_16", as for lossy formats.
        expected_samples: Of a channel, as the header has it; 0 where it does not say.
    """

    path: str | Path
    sample_rate: int
    channels: int
    subtype: str
    expected_samples: int

    def blocks(self) -> Iterator[np.ndarray]:
        """The samples in order, once: blocks of shape (channels, samples), float32, none of them empty.

        Raises:
            AudioFileError: The rest cannot be decoded, there is nothing, or a sample is not finite.
        """
        count = 0
        for block in self._decoded():
            finite = np.isfinite(block).all(axis=0)
            if not finite.all():
                raise AudioFileError(self.path, f"sample {count + int(np.argmin(finite))} is NaN or infinite")
            count += block.shape[1]
            yield block
        if not count:
            raise AudioFileError(self.path, "no samples in it")

    def _decoded(self) -> Iterator[np.ndarray]:
        raise NotImplementedError


@contextmanager
def open_audio(path: str | Path) -> Iterator[AudioReader]:
    """Open a sound file for reading.

    Args:
        path: Any file that soundfile or PyAV reads; "-" is standard input.

    Raises:
        AudioFileError: No such sound.
        OSError: The file cannot be opened.
    """
    with _open(path) as file:
        try:
            reader = _SoundfileReader(path, file)
        except _UndecodableError as error:
            reader = _AvReader(path, file, error)
        yield _plausible(reader)


def read_blocks(path: str | Path, keep: Callable[[np.ndarray], np.ndarray]) -> tuple[list[np.ndarray], int]:
    """Read a whole file; what soundfile gives up halfway is decoded from the start with PyAV.

    Args:
        path: Any file that soundfile or PyAV reads; "-" is standard input.
        keep: What is made of a block of shape (channels, samples) at once, so that not all of it need be kept.

    Returns:
        What `keep` made, at least one; and the rate in Hz.

    Raises:
        AudioFileError: No such sound, no samples, or samples that are not finite.
        OSError: The file cannot be opened.
    """
    with _open(path) as file:
        try:
            reader = _plausible(_SoundfileReader(path, file))
            return [keep(block) for block in reader.blocks()], reader.sample_rate
        except _UndecodableError as error:
            reader = _plausible(_AvReader(path, file, error))
            return [keep(block) for block in reader.blocks()], reader.sample_rate


def for_libsndfile(file: IO[bytes]) -> Any:
    """What soundfile is best given for an open file: a descriptor.

    It would read or write a file object of Python by calling back into Python, where errors, interruptions too, are
    printed and forgotten. Windows has no descriptors that two libraries understand.
    """
    return file.fileno() if os.name == "posix" else file


class _UndecodableError(AudioFileError):
    """A library does not know the format, or lost its way in the file.

    Attributes:
        reason: What it said.
    """

    def __init__(self, path: str | Path, reason: str, hint: str = "") -> None:
        super().__init__(path, f"no sound file that can be read ({reason}){hint}")
        self.reason = reason


class _SoundfileReader(AudioReader):
    def __init__(self, path: str | Path, file: IO[bytes]) -> None:
        import soundfile

        self.path = path
        with self._translated():
            self._sound = soundfile.SoundFile(for_libsndfile(file), closefd=False)
        self.sample_rate, self.channels = self._sound.samplerate, self._sound.channels
        self.subtype = _FINE_SUBTYPES.get(self._sound.subtype, "PCM_16")
        self.expected_samples = self._sound.frames

    def _decoded(self) -> Iterator[np.ndarray]:
        with self._translated(), self._sound as sound:
            for block in sound.blocks(BLOCK_SAMPLES, dtype="float32", always_2d=True):
                if len(block):
                    yield block.T

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import soundfile

        try:
            yield
        except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
            reason = str(error).partition(": ")[2] or str(error)
            raise _UndecodableError(self.path, reason.strip().rstrip(".")) from None


class _AvReader(AudioReader):
    """Reads what soundfile refused; where PyAV cannot either, soundfile's reason is the one that is told."""

    def __init__(self, path: str | Path, file: IO[bytes], refused: _UndecodableError) -> None:
        self.path, self._refused = path, refused
        file.seek(0)
        with self._translated():
            import av

            self._container = av.open(file, "r")
            stream: Any = self._container.streams.audio[0]
            self._stream, self._to_float = stream, av.AudioResampler(format="fltp")
            self.sample_rate, self.channels = int(stream.rate), int(stream.channels)
            is_float = stream.codec_context.name.startswith("pcm_f")
            self.subtype = "FLOAT" if is_float else _FINE_FORMATS.get(stream.format.name, "PCM_16")
            length_s = (stream.duration or 0) * (stream.time_base or 0)
            self.expected_samples = round(max(0, length_s) * self.sample_rate)

    def _decoded(self) -> Iterator[np.ndarray]:
        with self._translated(), self._container:
            for frame in self._container.decode(self._stream):
                for part in self._to_float.resample(frame):
                    if part.samples:
                        yield part.to_ndarray()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ImportError:
            hint = "; more formats come with: pip install 'vivavoce[opus]'"
            raise _UndecodableError(self.path, self._refused.reason, hint) from None
        except Exception:  # FFmpeg's errors derive from many classes, and all mean the same here
            raise self._refused from None


def _plausible(reader: AudioReader) -> AudioReader:
    if not MIN_RATE_HZ <= reader.sample_rate <= MAX_RATE_HZ:
        raise AudioFileError(reader.path, f"a sample rate of {reader.sample_rate} Hz is no sound")
    return reader


def _open(path: str | Path) -> io.FileIO:
    """Something to read and seek in: the file itself, or all that a pipe brings. Unbuffered, for libsndfile."""
    if str(path) != PIPE and Path(path).is_file():
        file = io.FileIO(path)
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by who asked for it, as above
        whole = io.BufferedWriter(file)
        with _pipe(path) as pipe:
            shutil.copyfileobj(pipe, whole)
        whole.flush()
        whole.detach()
    if not file.seek(0, os.SEEK_END):
        file.close()
        raise AudioFileError(path, "the file is empty")
    file.seek(0)
    return file


def _pipe(path: str | Path) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(sys.stdin.buffer) if str(path) == PIPE else open(path, "rb")
