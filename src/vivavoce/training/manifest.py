"""A corpus on disk: a manifest, and the sound files that it names.

The manifest is `NAME.jsonl`, one JSON object a file: `id`, `file`, and where known `speaker`, `category` and `split`.
The files are in `NAME.tar`, or in the folder `NAME` where that tar has been unpacked.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vivavoce.errors import AudioFileError

_MISSING = "is missing; --data or VIVAVOCE_DATA names the folder that holds the corpora"
_LINE_LIMIT = 1_000_000  # bytes; a manifest line is a few hundred, and nothing longer is ever held


@dataclass(frozen=True)
class ManifestEntry:
    """One file of a corpus.

    Attributes:
        id: Names it within the corpus.
        file: Its name in the tar.
        speaker: Who speaks; empty where unknown.
        category: What sounds; empty where unknown.
        split: "train", "val" or "test"; empty where the corpus is not split.
    """

    id: str
    file: str
    speaker: str = ""
    category: str = ""
    split: str = ""


def read_manifest(path: str | Path) -> list[ManifestEntry]:
    """Read a corpus's manifest.

    Raises:
        ValueError: A line is no such object; the message names the file and the line.
        OSError: The file cannot be read.
    """
    entries = []
    with open(path, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LINE_LIMIT), b""), start=1):
            try:
                entries.append(_entry(json.loads(line)))
            except (ValueError, RecursionError) as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise ValueError(f"{path}, line {number}: {reason}") from None
    if not entries:
        raise ValueError(f"{path}, line 1: expected a JSON object, the file is empty")
    return entries


def corpus_entries(data_dir: str | Path, name: str) -> list[ManifestEntry]:
    """The manifest of a corpus.

    Raises:
        AudioFileError: It is missing.
        ValueError: It is none; the message names the file and the line.
    """
    path = Path(data_dir, f"{name}.jsonl")
    if not path.is_file():
        raise AudioFileError(path, _MISSING)
    return read_manifest(path)


class CorpusFiles:
    """The sound files of a corpus, in its tar or unpacked.

    Args:
        directory: Holds `NAME.tar` or the folder `NAME`; the folder wins where there are both.
        name: Of the corpus.

    Raises:
        AudioFileError: There is neither, or the tar is none.
    """

    def __init__(self, directory: str | Path, name: str) -> None:
        self._folder, self._tar = Path(directory, name), Path(directory, f"{name}.tar")
        self._members: dict[str, tarfile.TarInfo] = {}
        if self._folder.is_dir():
            return
        if not self._tar.is_file():
            raise AudioFileError(self._tar, _MISSING)
        try:
            with tarfile.open(self._tar) as archive:
                self._members = {member.name.removeprefix("./"): member for member in archive if member.isfile()}
        except (tarfile.TarError, EOFError) as error:
            raise AudioFileError(self._tar, f"is no readable tar file: {error}") from None

    def size(self, file: str) -> int:
        """Bytes of a file.

        Raises:
            AudioFileError: There is no such file.
        """
        if self._folder.is_dir():
            if not self._unpacked(file).is_file():
                raise AudioFileError(self._folder, f"holds no file {file!r}, which the manifest names")
            return self._unpacked(file).stat().st_size
        if file not in self._members:
            raise AudioFileError(self._tar, f"holds no file {file!r}, which the manifest names")
        return self._members[file].size

    def decode(self, files: Iterable[str]) -> Iterator[tuple[np.ndarray, int]]:
        """Decode files, one after the other.

        Yields:
            Samples of shape (channels, samples), float32, and their rate in Hz.

        Raises:
            AudioFileError: A file is missing or cannot be decoded.
        """
        if self._folder.is_dir():
            for file in files:
                self.size(file)
                yield _decode(self._unpacked(file), self._unpacked(file).read_bytes())
            return
        with open(self._tar, "rb") as archive:
            for file in files:
                size = self.size(file)
                archive.seek(self._members[file].offset_data)
                yield _decode(f"{self._tar}:{file}", archive.read(size))

    def _unpacked(self, file: str) -> Path:
        return self._folder / file


def _entry(fields: object) -> ManifestEntry:
    if not isinstance(fields, dict):
        raise ValueError("expected a JSON object")
    for name in ("id", "file"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise ValueError(f"expected a text called {name!r}")
    speaker = fields.get("speaker") or ""
    if not isinstance(speaker, str | int):
        raise ValueError(f"expected the speaker's name, got {speaker!r}")
    category = fields.get("category") or ""
    if not isinstance(category, str):
        raise ValueError(f"expected the category's name, got {category!r}")
    split = fields.get("split") or ""
    if split not in ("", "train", "val", "test"):
        raise ValueError(f"expected the split 'train', 'val' or 'test', got {split!r}")
    return ManifestEntry(fields["id"], fields["file"], str(speaker), category, split)


def _decode(path: str | Path, data: bytes) -> tuple[np.ndarray, int]:
    import soundfile

    try:
        samples, sample_rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise AudioFileError(path, str(error).partition(": ")[2] or str(error)) from None
    if not len(samples):
        raise AudioFileError(path, "no samples in it")
    if not np.isfinite(samples).all():
        raise AudioFileError(path, "a sample is NaN or infinite")
    return samples.T, sample_rate
