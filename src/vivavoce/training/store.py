"""Arrays in one memory-mapped file, made once: worker processes share its pages, and nothing is decoded twice.

A store is two files in a cache folder: the samples of all arrays, one after the other, and an index in JSON, written
last, that says where each begins and what it is. The name carries a hash of all that the content depends on, so that a
stale store is never opened, only left behind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from vivavoce.audio import write_whole


class SampleStore:
    """One file of samples, mapped when it is first read.

    Args:
        path: Raw little-endian samples.
        dtype: NumPy's name of their type, such as "<i2".
    """

    def __init__(self, path: Path, dtype: str) -> None:
        self.path, self.dtype = path, dtype
        self._mapped: np.ndarray | None = None

    def view(self, start: int, stop: int) -> np.ndarray:
        """Samples `start` to `stop`, read only, shape (stop - start,)."""
        if self._mapped is None:
            self._mapped = (
                np.memmap(self.path, self.dtype, "r") if self.path.stat().st_size else np.zeros(0, self.dtype)
            )
        return self._mapped[start:stop]

    def __getstate__(self) -> dict[str, Any]:
        """Another process gets the path and maps the file itself."""
        return {**self.__dict__, "_mapped": None}


def key_of(*parts: object) -> str:
    """A hash of all that a store's content depends on; the parts are told apart by their `repr`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def open_store(
    cache_dir: str | Path,
    name: str,
    dtype: str,
    make: Callable[[], Iterable[tuple[dict[str, Any], np.ndarray]]],
) -> tuple[SampleStore, list[dict[str, Any]]]:
    """Open a store, and make it first where it is missing.

    Args:
        cache_dir: Folder of the stores; made where it is missing.
        name: Of the store, with its key.
        dtype: Type of its samples.
        make: What is in it: what to say of each array, and the array. Called where the store is missing only.

    Returns:
        The store, and for each array what `make` said of it, and its place: `start` and `stop`.

    Raises:
        OSError: The disk is full, or the folder may not be written; no half-written store is left.
    """
    cache = Path(cache_dir)
    samples, index = cache / f"{name}.samples", cache / f"{name}.json"
    if not (samples.is_file() and index.is_file()):
        cache.mkdir(parents=True, exist_ok=True)
        entries: list[dict[str, Any]] = []
        write_whole(samples, lambda file: _write(file, dtype, make(), entries))
        write_whole(index, lambda file: file.write(json.dumps(entries).encode()))
    return SampleStore(samples, dtype), json.loads(index.read_bytes())


def _write(
    file: IO[bytes], dtype: str, arrays: Iterable[tuple[dict[str, Any], np.ndarray]], entries: list[dict[str, Any]]
) -> None:
    start = 0
    for fields, array in arrays:
        file.write(np.ascontiguousarray(array, dtype).tobytes())
        entries.append({**fields, "start": start, "stop": start + len(array)})
        start += len(array)
