"""Clips to evaluate on: a folder of sound files, or a corpus cut into pieces of equal length.

The files of a corpus (`training/manifest.py`) are joined per speaker in the order of the manifest, cut into consecutive
pieces of 10 s, and the remainder is dropped: published figures are of these pieces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vivavoce.audio import pcm16, read_audio, resample
from vivavoce.errors import AudioFileError
from vivavoce.evaluation.metrics import METRIC_SAMPLE_RATE
from vivavoce.training.manifest import CorpusFiles, corpus_entries

PIECE_S = 10.0
SOUND_SUFFIXES = (".aac", ".aiff", ".au", ".flac", ".m4a", ".mka", ".mp3", ".mp4", ".ogg", ".opus", ".wav", ".webm")


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


def clips_of_corpus(directory: str | Path, name: str, piece_s: float = PIECE_S) -> list[Clip]:
    """Cut a corpus into pieces.

    Args:
        directory: Holds `NAME.jsonl`, and `NAME.tar` or that unpacked.
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
    files = CorpusFiles(directory, name)
    speakers: dict[str, list[str]] = {}
    for entry in corpus_entries(directory, name):
        speakers.setdefault(entry.speaker or name, []).append(entry.file)
    return [
        Clip(f"{speaker}/{number:03d}", piece)
        for speaker, names in speakers.items()
        for number, piece in enumerate(_pieces(files.decode(names), piece_s))
    ]


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


def _pieces(files: Iterable[tuple[np.ndarray, int]], piece_s: float) -> Iterator[np.ndarray]:
    """Join, cut, and drop the remainder; never holds more than one file and one piece."""
    length = round(piece_s * METRIC_SAMPLE_RATE)
    rest = np.zeros(0, np.float32)
    for channels, sample_rate in files:
        mono = channels.mean(axis=0, dtype=np.float32)
        rest = np.concatenate([rest, resample(mono, sample_rate, METRIC_SAMPLE_RATE)])
        while len(rest) >= length:
            yield rest[:length].copy()
            rest = rest[length:]
