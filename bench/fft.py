"""Time a call of the core's real FFT beside `numpy.fft`, interleaved in one process, and print JSON.

    python bench/fft.py [--sizes 320,512,960,1920,4096] [--rounds 40]

Each round times every contender in turn, so that a change of clock or load meets all of them; the figure is the median
over rounds of the mean time of a call. `ratio` is NumPy's time over ours: above 1, ours is faster.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np

from vivavoce import _core

CALLS_PER_ROUND = 500


def contenders(size: int) -> dict[str, Callable[[], np.ndarray]]:
    """Four calls on the same float32 data."""
    samples = np.random.default_rng(0).uniform(-1, 1, size).astype(np.float32)
    fft = _core.RealFft(size)
    spectrum = fft.forward(samples)
    return {
        "vivavoce forward": lambda: fft.forward(samples),
        "numpy forward": lambda: np.fft.rfft(samples),
        "vivavoce inverse": lambda: fft.inverse(spectrum),
        "numpy inverse": lambda: np.fft.irfft(spectrum, size),
    }


def microseconds_per_call(call: Callable[[], np.ndarray]) -> float:
    start = time.perf_counter()
    for _ in range(CALLS_PER_ROUND):
        call()
    return (time.perf_counter() - start) / CALLS_PER_ROUND * 1e6


def measure(size: int, rounds: int) -> dict[str, object]:
    calls = contenders(size)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(microseconds_per_call(call))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "size": size,
        "median_us": {name: round(value, 3) for name, value in medians.items()},
        "ratio": {
            way: round(medians[f"numpy {way}"] / medians[f"vivavoce {way}"], 2) for way in ("forward", "inverse")
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time a call of the real FFT beside numpy.fft; print JSON.")
    parser.add_argument("--sizes", default="320,512,960,1920,4096", help="comma-separated, in samples")
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    results = [measure(int(size), arguments.rounds) for size in arguments.sizes.split(",")]
    machine = {"machine": platform.machine(), "python": platform.python_version(), "numpy": np.__version__}
    print(json.dumps({"bench": "fft", **machine, "calls_per_round": CALLS_PER_ROUND, "results": results}, indent=2))


if __name__ == "__main__":
    main()
