"""Sound in and out: files of any format, rate and channel count to mono float32, and back to 16-bit WAV.

soundfile reads what libsndfile knows; PyAV, where the `opus` extra is installed, the rest (mp4, aac, video). Files are
written whole or not at all.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vivavoce.errors import AudioFileError

PIPE = "-"
BLOCK_SAMPLES = 1 << 16  # read and mixed at a time: hours of many channels need not fit into memory
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 768_000  # outside of it a header is damaged, not a choice


def read_audio(path: str | Path, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
    """Read a sound file, mixed to mono by the mean of its channels.

    Args:
        path: Any file that soundfile or PyAV reads; "-" is standard input.
        sample_rate: Resample to it; None keeps the file's.

    Returns:
        Samples of shape (samples,), float32, at least one; and their rate in Hz. Resampled length is the nearest to
        `samples * sample_rate / file_rate`.

    Raises:
        AudioFileError: No such sound, no samples, or samples that are not finite.
        OSError: The file cannot be opened.
    """
    file = _open(path)
    samples, rate = _decode(path, file)
    if not samples.size:
        raise AudioFileError(path, "no samples in it")
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise AudioFileError(path, f"a sample rate of {rate} Hz is no sound")
    if not np.isfinite(samples).all():
        raise AudioFileError(path, f"sample {int(np.argmin(np.isfinite(samples)))} is NaN or infinite")
    if sample_rate is None:
        return samples, rate
    return resample(samples, rate, sample_rate), sample_rate


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resample without delay (soxr, high quality).

    Args:
        samples: Shape (samples,), float32.
        from_rate: Hz.
        to_rate: Hz.

    Returns:
        Shape (round(samples * to_rate / from_rate),) but at least one sample, float32.
    """
    if from_rate == to_rate:
        return samples
    import soxr

    count = max(1, round(len(samples) * to_rate / from_rate))
    resampled = soxr.resample(samples, from_rate, to_rate)[:count]
    return np.pad(resampled, (0, count - len(resampled))).astype(np.float32, copy=False)


def wav_bytes(samples: np.ndarray, sample_rate: int) -> bytes:
    """A mono 16-bit PCM WAV file; what lies outside of [-1, 1) saturates."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, pcm16(samples), sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def pcm16(samples: np.ndarray) -> np.ndarray:
    """Samples as int16, rounded to the nearest; what lies outside of [-1, 1) saturates."""
    integers = np.empty(len(samples), np.int16)
    for at in range(0, len(samples), BLOCK_SAMPLES):  # float32 holds 24 bits, more than are kept
        scaled = np.rint(samples[at : at + BLOCK_SAMPLES] * np.float32(32_768))
        integers[at : at + BLOCK_SAMPLES] = np.clip(scaled, -32_768, 32_767)
    return integers


def write_wav(path: str | Path, samples: np.ndarray, sample_rate: int, *, force: bool = False) -> None:
    """Write a mono 16-bit PCM WAV file, whole or not at all.

    Args:
        path: Where; "-" is standard output.
        samples: Shape (samples,), float.
        sample_rate: Hz.
        force: Replace an existing file.

    Raises:
        AudioFileError: The file exists and `force` is not set.
        OSError: It cannot be written.
    """
    data = wav_bytes(samples, sample_rate)
    if str(path) == PIPE:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    check_writable(path, force=force)
    write_whole(path, lambda file: file.write(data))


def check_writable(path: str | Path, *, force: bool) -> None:
    """Find out before the work whether its result may be written.

    Raises:
        AudioFileError: The file exists and `force` is not set, it is a folder, or its folder is missing.
    """
    path = Path(path)
    if path.is_dir():
        raise AudioFileError(path, "is a folder")
    if path.exists() and not force:
        raise AudioFileError(path, "exists already; --force replaces it")
    if not path.parent.is_dir():
        raise AudioFileError(path, f"the folder {path.parent} does not exist")


def write_whole(path: str | Path, write: Callable[[io.BufferedWriter], object]) -> None:
    """Let `write` fill a file that appears under its name only when it is complete.

    Raises:
        OSError: The disk is full, or the folder may not be written; nothing is left behind.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a device or a named pipe: nothing to replace
            with path.open("wb") as file:
                write(file)
        else:
            _write_and_rename(path, write)
    except OSError as error:
        error.filename = str(path)  # a full disk does not say which file it was
        raise


def _write_and_rename(path: Path, write: Callable[[io.BufferedWriter], object]) -> None:
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:32]}.", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(partial, 0o666 & ~_umask())  # mkstemp gives 0600
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _open(path: str | Path) -> io.BufferedReader | io.BytesIO:
    """Something to read and seek in: the file itself, or all that a pipe brings."""
    if str(path) == PIPE:
        file = io.BytesIO(sys.stdin.buffer.read())
    elif Path(path).is_file():
        file = open(path, "rb")  # noqa: SIM115 - closed when the caller drops it
    else:
        file = io.BytesIO(Path(path).read_bytes())
    if not file.read(1):
        raise AudioFileError(path, "the file is empty")
    file.seek(0)
    return file


def _decode(path: str | Path, file: io.BufferedReader | io.BytesIO) -> tuple[np.ndarray, int]:
    """Samples of shape (samples,), float32, channels mixed, and their rate."""
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:
            blocks = [
                block.mean(axis=1, dtype=np.float32)
                for block in sound.blocks(BLOCK_SAMPLES, dtype="float32", always_2d=True)
            ]
            return np.concatenate([*blocks, np.zeros(0, np.float32)]), sound.samplerate
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        reason = str(error).partition(": ")[2] or str(error)
    try:
        file.seek(0)
        return _decode_with_av(file)
    except ImportError:
        hint = "; more formats come with: pip install 'vivavoce[opus]'"
    except Exception:  # FFmpeg's errors derive from many classes, and all mean the same here
        hint = ""
    raise AudioFileError(path, f"no sound file that can be read ({reason.strip().rstrip('.')}){hint}")


def _decode_with_av(file: io.BufferedReader | io.BytesIO) -> tuple[np.ndarray, int]:
    import av

    with av.open(file, "r") as container:
        stream = container.streams.audio[0]
        to_float = av.AudioResampler(format="fltp")
        frames = (part for frame in container.decode(stream) for part in to_float.resample(frame))
        blocks = [part.to_ndarray().mean(axis=0, dtype=np.float32) for part in frames if part.samples]
        return np.concatenate(blocks), int(stream.rate)
