"""Clips to evaluate on: a folder of sound files, or a corpus cut into pieces of equal length.

A corpus is `NAME.tar` with sound files and `NAME.jsonl` with one JSON object a file: `id`, `file` (its name in the
tar), `sample_rate`, `duration`, and where known `speaker`. Its files are joined per speaker in the order of the
manifest, cut into consecutive pieces of 10 s, and the remainder is dropped: published figures are of these pieces.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile

from vivavoce.audio import pcm16, read_audio, resample
from vivavoce.errors import AudioFileError
from vivavoce.evaluation.metrics import METRIC_SAMPLE_RATE

PIECE_S = 10.0
SOUND_SUFFIXES = (".aac", ".aiff", ".au", ".flac", ".m4a", ".mka", ".mp3", ".mp4", ".ogg", ".opus", ".wav", ".webm")
_LINE_LIMIT = 1_000_000  # bytes; a manifest line is a few hundred, and nothing longer is ever held


@dataclass(frozen=True, eq=False)
class Clip:
    """A piece of speech.

    Args:
        id: Names it within its corpus or folder, such as `1688/000`.
        samples: Shape (samples,), float32 in [-1, 1), 16 kHz.
    """

    id: str
    samples: np.ndarray

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / METRIC_SAMPLE_RATE

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the samples as 16-bit little-endian PCM: what identifies a clip to a stranger."""
        return hashlib.sha256(pcm16(self.samples).astype("<i2").tobytes()).hexdigest()


@dataclass(frozen=True)
class ManifestEntry:
    """One file of a corpus.

    Attributes:
        id: Names it within the corpus.
        file: Its name in the tar.
        speaker: Who speaks; empty where unknown.
    """

    id: str
    file: str
    speaker: str = ""


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


def clips_of_corpus(directory: str | Path, name: str, piece_s: float = PIECE_S) -> list[Clip]:
    """Cut a corpus into pieces.

    Args:
        directory: Holds `NAME.tar` and `NAME.jsonl`.
        name: Of the corpus.
        piece_s: Length of a piece in seconds, above 0.

    Returns:
        The pieces, speaker by speaker in the order of the manifest.

    Raises:
        AudioFileError: Something is missing, or cannot be decoded.
        ValueError: The manifest is none; the message names the file and the line.
    """
    if piece_s <= 0:
        raise ValueError(f"piece_s must be above 0, got {piece_s}")
    tar, manifest = Path(directory, f"{name}.tar"), Path(directory, f"{name}.jsonl")
    for path in (tar, manifest):
        if not path.is_file():
            raise AudioFileError(path, "is missing; --data or VIVAVOCE_DATA names the folder that holds the corpora")
    speakers: dict[str, list[ManifestEntry]] = {}
    for entry in read_manifest(manifest):
        speakers.setdefault(entry.speaker or name, []).append(entry)
    try:
        with tarfile.open(tar) as archive:
            members = {member.name.removeprefix("./"): member for member in archive if member.isfile()}
            return [
                Clip(f"{speaker}/{number:03d}", piece)
                for speaker, entries in speakers.items()
                for number, piece in enumerate(
                    _pieces((_read_member(archive, members, tar, entry) for entry in entries), piece_s)
                )
            ]
    except (tarfile.TarError, EOFError) as error:
        raise AudioFileError(tar, f"is no readable tar file: {error}") from None


def clips_of_paths(paths: Sequence[str | Path]) -> list[Clip]:
    """Read sound files, and all those in folders, each as one clip.

    Args:
        paths: Files in any format, or folders that are searched for sound files, sorted by name.

    Returns:
        The clips; an id is the path within its folder without the suffix, or the name of a single file.

    Raises:
        AudioFileError: A file cannot be decoded, is missing or empty, or a folder holds none.
        ValueError: Two clips have the same id.
    """
    clips: dict[str, Clip] = {}
    for identifier, file in _files(paths):
        if identifier in clips:
            raise ValueError(f"two clips are called {identifier!r}: {file} is the second")
        samples, _ = read_audio(file, sample_rate=METRIC_SAMPLE_RATE)
        clips[identifier] = Clip(identifier, samples)
    return list(clips.values())


def spread(clips: Sequence[Clip], limit: int | None) -> list[Clip]:
    """Keep `limit` clips, evenly spread over all, so that few clips are still of many speakers; None keeps all."""
    if limit is None or limit >= len(clips):
        return list(clips)
    if limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    return [clips[number * len(clips) // limit] for number in range(limit)]


def _files(paths: Sequence[str | Path]) -> Iterator[tuple[str, Path]]:
    for path in map(Path, paths):
        if not path.is_dir():
            yield path.stem, path
            continue
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SOUND_SUFFIXES and file.is_file())
        if not files:
            raise AudioFileError(path, "holds no sound files")
        yield from ((file.relative_to(path).with_suffix("").as_posix(), file) for file in files)


def _entry(fields: object) -> ManifestEntry:
    if not isinstance(fields, dict):
        raise ValueError("expected a JSON object")
    for name in ("id", "file"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise ValueError(f"expected a text called {name!r}")
    speaker = fields.get("speaker") or ""
    if not isinstance(speaker, str | int):
        raise ValueError(f"expected the speaker's name, got {speaker!r}")
    return ManifestEntry(fields["id"], fields["file"], str(speaker))


def _read_member(
    archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], tar: Path, entry: ManifestEntry
) -> np.ndarray:
    member = members.get(entry.file)
    file = archive.extractfile(member) if member else None
    if file is None:
        raise AudioFileError(tar, f"holds no file {entry.file!r}, which the manifest names")
    try:
        samples, sample_rate = soundfile.read(io.BytesIO(file.read()), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioFileError(f"{tar}:{entry.file}", error.error_string) from None
    return resample(samples.mean(axis=1, dtype=np.float32), sample_rate, METRIC_SAMPLE_RATE)


def _pieces(files: Iterable[np.ndarray], piece_s: float) -> Iterator[np.ndarray]:
    """Join, cut, and drop the remainder; never holds more than one file and one piece."""
    length = round(piece_s * METRIC_SAMPLE_RATE)
    rest = np.zeros(0, np.float32)
    for samples in files:
        rest = np.concatenate([rest, samples])
        while len(rest) >= length:
            yield rest[:length].copy()
            rest = rest[length:]
