"""Corpora of speech and noise for training: decoded and resampled to 48 kHz once, and shared by all worker processes.

A clip of the split `test` is never trained on: `load_corpus` hands it out only to a caller who says that this is for
scoring.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vivavoce.audio import pcm16, resample
from vivavoce.training.level import active_power, clip_snr_db, level_db
from vivavoce.training.manifest import CorpusFiles, ManifestEntry, corpus_entries
from vivavoce.training.store import SampleStore, key_of, open_store

SAMPLE_RATE = 48_000
SPEECH_CORPORA = ("kathleen-48k", "librispeech-251-readers", "librispeech-4-readers", "speechocean762")
NOISE_CORPORA = ("noise", "noise-objects", "noise-esc50-16k")
SPLITS = ("train", "val", "test")
# Where a recording ends below half its rate: measured on the files, whose encoders cut there.
BANDWIDTH_HZ = {"kathleen-48k": 20_000, "noise-objects": 16_000}
SILENCE_POWER = 1e-8  # -80 dBFS: what a lossy codec makes of the zeros that pad a clip
_STORE_VERSION = 1  # of what is kept and how; another number, and all is decoded again


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording of a corpus.

    Attributes:
        id: Names it within its corpus.
        corpus: Name of the corpus.
        speaker: Who speaks; empty where unknown.
        category: What sounds; empty where unknown.
        split: "train", "val", "test", or empty where the corpus is not split.
        bandwidth_hz: Nothing was recorded above it.
        level_db: Its active level in dBFS.
        snr_db: That level over its quietest frames.
    """

    id: str
    corpus: str
    speaker: str
    category: str
    split: str
    bandwidth_hz: int
    level_db: float
    snr_db: float
    store: SampleStore
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def samples(self) -> np.ndarray:
        """All samples, 48 kHz, shape (samples,), int16: a view of the memory-mapped file."""
        return self.store.view(self.start, self.stop)

    def read(self, start: int = 0, count: int | None = None) -> np.ndarray:
        """Samples from `start` on, `count` or as many as there are, shape (<= count,), float32 in [-1, 1)."""
        stop = self.stop if count is None else min(self.stop, self.start + start + count)
        return self.store.view(self.start + start, stop).astype(np.float32) * np.float32(1 / 32_768)


def load_corpus(
    data_dir: str | Path, names: Sequence[str], split: str, cache_dir: str | Path, *, allow_test: bool = False
) -> list[Clip]:
    """All clips of a split, decoded on the first call and from the cache afterwards.

    Clips without a split are in every split. Silence at both ends is cut off, and clips of silence alone are left out.

    Args:
        data_dir: Holds `NAME.jsonl`, and `NAME.tar` or the folder `NAME`, of each corpus.
        names: Of the corpora.
        split: "train", "val" or "test".
        cache_dir: Where the decoded samples are kept: 350 MB an hour.
        allow_test: Hand out clips of the split `test`, for scoring and never for training.

    Returns:
        The clips in the order of `names` and of the manifests; at least one.

    Raises:
        AudioFileError: Something is missing, or cannot be decoded.
        ValueError: There is no such split, it is `test` and `allow_test` is not set, no corpus has a clip of it, or a
            manifest is none.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    if split == "test" and not allow_test:
        raise ValueError("clips of the split 'test' are for scoring, never for training")
    clips = [clip for name in names for clip in _clips(Path(data_dir), name, split, Path(cache_dir))]
    if not clips:
        raise ValueError(f"no clip of {', '.join(names) or 'no corpus'} is in the split {split!r}")
    return clips


def _clips(data_dir: Path, name: str, split: str, cache_dir: Path) -> list[Clip]:
    entries = [entry for entry in corpus_entries(data_dir, name) if entry.split in ("", split)]
    if not entries:
        return []
    files = CorpusFiles(data_dir, name)
    key = key_of(_STORE_VERSION, BANDWIDTH_HZ.get(name), [(entry, files.size(entry.file)) for entry in entries])
    store, index = open_store(cache_dir, f"{name}-{split}-{key}", "<i2", lambda: _decoded(name, entries, files))
    return [Clip(corpus=name, store=store, **fields) for fields in index]


def _decoded(
    name: str, entries: Sequence[ManifestEntry], files: CorpusFiles
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    decoded = files.decode(entry.file for entry in entries)
    for entry, (channels, sample_rate) in zip(entries, decoded, strict=True):
        samples = without_silent_ends(resample(channels.mean(axis=0), sample_rate, SAMPLE_RATE))
        if not len(samples):
            continue
        fields = {
            "id": entry.id,
            "speaker": entry.speaker,
            "category": entry.category,
            "split": entry.split,
            "bandwidth_hz": min(BANDWIDTH_HZ.get(name, SAMPLE_RATE // 2), sample_rate // 2, SAMPLE_RATE // 2),
            "level_db": round(level_db(active_power(samples)), 2),
            "snr_db": round(clip_snr_db(samples), 2),
        }
        yield fields, pcm16(samples)


def without_silent_ends(samples: np.ndarray) -> np.ndarray:
    """Samples from the first 10 ms above -80 dBFS to the last; empty where there are none."""
    hop = SAMPLE_RATE // 100
    hops = -(-len(samples) // hop)
    powers = np.mean(np.pad(samples, (0, hops * hop - len(samples))).reshape(hops, hop) ** 2, axis=1)
    loud = np.flatnonzero(powers > SILENCE_POWER)
    return samples[loud[0] * hop : (loud[-1] + 1) * hop] if len(loud) else samples[:0]
