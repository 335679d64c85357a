"""Sound in and out: files of any format, rate and channel count to mono float32, and back to files.

`audio_reader` decodes. Files are written whole or not at all: mono 16-bit WAV at once, or any number of channels block
by block as WAV, FLAC or Ogg Opus.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from vivavoce.audio_reader import BLOCK_SAMPLES, PIPE, for_libsndfile, read_blocks
from vivavoce.errors import AudioFileError

CONTAINERS = {".wav": "WAV", ".flac": "FLAC", ".opus": "OGG", ".ogg": "OGG"}  # by suffix, as soundfile calls them
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # Hz, of libopus
_SAMPLE_BYTES = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}
_WAV_LIMIT_BYTES = 0xFFF0_0000  # 4 GiB and room for a header: beyond it a WAV file becomes an RF64 file


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
    blocks, rate = read_blocks(path, lambda block: block.mean(axis=0, dtype=np.float32))
    samples = np.concatenate(blocks)
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
    integers = np.empty(samples.shape, np.int16)
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


def container_of(path: str | Path) -> str:
    """Format of a sound file that is to be written, as its suffix has it: "WAV", "FLAC" or "OGG", which holds Opus.

    What is no file, such as a pipe, gets WAV.

    Raises:
        ValueError: Another suffix.
    """
    if str(path) == PIPE or _is_device(path):
        return "WAV"
    container = CONTAINERS.get(Path(path).suffix.lower())
    if container is None:
        raise ValueError(f"{path}: a sound file that is written must end in {', '.join(CONTAINERS)}")
    return container


def write_audio(
    path: str | Path,
    blocks: Iterable[np.ndarray],
    sample_rate: int,
    channels: int,
    *,
    subtype: str = "PCM_16",
    expected_samples: int = 0,
    force: bool = False,
) -> None:
    """Write sound while it is made, whole or not at all: WAV, FLAC or Ogg Opus, as `container_of` has it.

    Args:
        path: Where; "-" is standard output, which gets everything at the end.
        blocks: Shape (channels, samples), float32, of any lengths.
        sample_rate: Hz; Opus has those of `OPUS_RATES`.
        channels: Of all blocks.
        subtype: "PCM_16", "PCM_24" or "FLOAT", of which FLAC makes "PCM_24", and nothing makes a difference to Opus.
            Integers are rounded to the nearest and saturate.
        expected_samples: How many there will be, if it is known: from 4 GiB on WAV becomes RF64.
        force: Replace an existing file.

    Raises:
        AudioFileError: The format does not hold so many channels or this rate, or the file may not be written.
        ValueError: The suffix of `path` names none of the formats.
        OSError: It cannot be written.
    """
    container = container_of(path)
    if container == "OGG":
        subtype = "OPUS"
    elif container == "FLAC" and subtype == "FLOAT":
        subtype = "PCM_24"
    elif container == "WAV" and _SAMPLE_BYTES[subtype] * channels * expected_samples > _WAV_LIMIT_BYTES:
        container = "RF64"

    def write(file: IO[bytes]) -> None:
        _encode(path, file, blocks, (container, subtype), sample_rate, channels)

    if str(path) != PIPE and not _is_device(path):
        check_writable(path, force=force)
        write_whole(path, write)
        return
    with tempfile.TemporaryFile() as file:  # the header's lengths are known at the end
        write(file)
        file.seek(0)
        if str(path) != PIPE:
            check_writable(path, force=force)
            write_whole(path, lambda device: shutil.copyfileobj(file, device))
            return
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _encode(
    path: str | Path,
    file: IO[bytes],
    blocks: Iterable[np.ndarray],
    form: tuple[str, str],
    sample_rate: int,
    channels: int,
) -> None:
    import soundfile

    container, subtype = form
    try:
        target = for_libsndfile(file)
        sound = soundfile.SoundFile(target, "w", sample_rate, channels, subtype, format=container, closefd=False)
    except soundfile.SoundFileError:
        name = "Ogg Opus" if subtype == "OPUS" else container
        raise AudioFileError(path, f"{name} does not hold {channels} channels at {sample_rate} Hz") from None
    try:
        for block in blocks:
            stored = _stored(np.ascontiguousarray(block.T), subtype)
            with _explained(path, file):
                sound.write(stored)
    finally:
        with _explained(path, file):
            sound.close()


@contextmanager
def _explained(path: str | Path, file: IO[bytes]) -> Iterator[None]:
    """Tell why libsndfile failed to write, which does not say it: the disk is asked again."""
    import soundfile

    try:
        yield
    except (soundfile.SoundFileError, AssertionError):
        file.write(bytes(BLOCK_SAMPLES))
        file.flush()
        raise AudioFileError(path, "cannot be written") from None


def _stored(samples: np.ndarray, subtype: str) -> np.ndarray:
    """float32 samples as libsndfile stores them without a change."""
    if subtype == "PCM_16":
        return pcm16(samples)
    if subtype == "PCM_24":  # the upper 24 of 32 bits
        scaled = np.rint(samples.astype(np.float64) * 2**23)
        return np.clip(scaled, -(2**23), 2**23 - 1).astype(np.int32) << 8
    return samples


def _is_device(path: str | Path) -> bool:
    """Whether there is something that is neither a file nor a folder."""
    path = Path(path)
    return path.exists() and not path.is_file() and not path.is_dir()


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
        if _is_device(path):  # nothing to replace
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
