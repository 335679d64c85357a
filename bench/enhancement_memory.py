"""What a denoiser costs before its first frame: time to construct, and memory; each measured in fresh processes.

As a script it measures once, in its own process, and prints one JSON object:

    python bench/enhancement_memory.py [MODEL]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from enhancement_bench import Bench
    from report import Report

RUNS = 5
STREAMS = 50


def memory(bench: Bench) -> Iterator[Report]:
    """Construction, memory beyond Python and NumPy, and of one stream more."""
    from enhancement_speed import sized_models
    from report import Report

    rows = []
    for name, model in sized_models(bench).items():
        command = [sys.executable, __file__, *([model] if model else [])]
        runs: list[dict[str, float]] = [
            json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(RUNS)
        ]
        rows.append({"system": name} | {key: statistics.median(run[key] for run in runs) for key in runs[0]})
    columns = {"system": "system", "import_ms": "import ms", "first_ms": "first Denoiser() ms", "next_ms": "next ms"}
    columns |= {"import_mb": "import MB", "denoiser_mb": "with a stream MB", "stream_kb": "each further kB"}
    note = (
        "Wall time; resident memory beyond Python and NumPy, after `import` and after a stream has processed 1 s, and "
        f"of each of {STREAMS} more. Medians of {RUNS} fresh processes; the file of the model is in the page cache."
    )
    yield Report("memory", "Construction and memory", columns, rows, [note])


def measure(model: str | None) -> dict[str, Any]:
    """In this process, which must have imported nothing but NumPy."""
    signal = np.random.default_rng(0).normal(0, 0.1, (100, 480)).astype(np.float32)
    numpy_mb = _resident_mb()
    import_ms, denoiser_class = _timed(_denoiser_class)
    imported_mb = _resident_mb()
    first_ms, first = _timed(lambda: denoiser_class(model))
    _process(first, signal)
    first_mb = _resident_mb()
    next_ms, second = _timed(lambda: denoiser_class(model))
    streams = [second, *(denoiser_class(model) for _ in range(STREAMS - 1))]
    for stream in streams:
        _process(stream, signal)
    streams_mb = _resident_mb() - first_mb
    return {
        "import_ms": import_ms,
        "first_ms": first_ms,
        "next_ms": next_ms,
        "import_mb": imported_mb - numpy_mb,
        "denoiser_mb": first_mb - numpy_mb,
        "stream_kb": streams_mb / STREAMS * 1000,
    }


def _denoiser_class() -> Any:
    from vivavoce.enhancement.denoiser import Denoiser

    return Denoiser


def _process(denoiser: Any, signal: np.ndarray) -> None:
    for frame in signal:
        denoiser.process(frame)


def _timed(call: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return (time.perf_counter() - start) * 1000, result


def _resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1] if len(sys.argv) > 1 else None)))
