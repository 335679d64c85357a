"""What the denoiser costs: CPU beside RNNoise's, the longest frame, and how streams scale over threads.

Everything on one pinned core, except threads. Systems take turns and are compared within each turn, so that a change of
clock or of other load meets both. The paper's network of 8M weights is measured with random ones as long as no model of
that size has been trained: weights do not change the work.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from threading import Thread
from typing import Any

import numpy as np
from enhancement_bench import Bench
from enhancement_peers import ADAPTERS
from report import Report, one_core

from vivavoce.audio import resample, write_wav
from vivavoce.enhancement.denoiser import FRAME_SAMPLES, SAMPLE_RATE, Denoiser, denoise
from vivavoce.enhancement.features import FEATURES
from vivavoce.enhancement.image import model_image
from vivavoce.evaluation.workers import available_cores
from vivavoce.signal.bands import BANDS

TURNS = 7
AUDIO_S = 20
WORST_RUNS, WORST_S = 5, 5
PACES = {"flat out": (False, False), "paced": (True, False), "paced, caches swept": (True, True)}
CACHE_BYTES = 64 << 20  # more than the last level of caches holds
DENSE, WIDTH, STRENGTHS = 128, 512, 128  # the paper's 8M weights
LARGE, RANDOM_LARGE = "large", "percepnet-large, random weights"


def speed(bench: Bench) -> Iterator[Report]:
    """CPU, longest frames, threads."""
    models = sized_models(bench)
    audio = _audio(bench)
    with one_core() as core:
        yield _cpu_in_turns(bench, models, audio, core)
        yield _longest_frames(models, audio)
    yield _threads(models, audio)


def sized_models(bench: Bench) -> dict[str, str | None]:
    """Our models, and one of the large size with random weights unless one of them is large."""
    models = dict(bench.models)
    if not any(LARGE in name for name in models):
        path = bench.output / "large-random.vvm"
        path.write_bytes(random_image(DENSE, WIDTH, STRENGTHS))
        models[RANDOM_LARGE] = str(path)
    return models


def random_image(dense: int, width: int, strengths: int) -> bytes:
    """An image of a network that has learned nothing.

    Args:
        dense: Width of the first layer.
        width: Of the convolutions and of all GRUs but the last.
        strengths: Of the last.
    """
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "input.weight": (dense, FEATURES),
        "conv1.weight": (width, dense, 5),
        "conv2.weight": (width, width, 3),
        "gains.weight": (BANDS + 1, 5 * width),
        "strengths.weight": (BANDS, strengths),
    }
    shapes |= {name.replace("weight", "bias"): shape[:1] for name, shape in shapes.items()}
    grus = dict.fromkeys(("gru1", "gru2", "gru3", "gains_gru"), (width, width)) | {
        "strengths_gru": (2 * width, strengths)
    }
    for name, (inputs, outputs) in grus.items():
        shapes |= {f"{name}.weight_ih": (3 * outputs, inputs), f"{name}.weight_hh": (3 * outputs, outputs)}
        shapes |= {f"{name}.bias_ih": (3 * outputs,), f"{name}.bias_hh": (3 * outputs,)}
    arrays = {
        name: (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        for name, shape in shapes.items()
    }
    about = {"system": "percepnet", "name": "large-random", "lookahead_frames": "2", "sample_rate": str(SAMPLE_RATE)}
    return model_image(arrays, about)


def _audio(bench: Bench) -> np.ndarray:
    """Noisy speech of all SNRs at 48 kHz."""
    clips = bench.clips(bench.sets[0], 4)
    joined = np.concatenate([resample(clip.noisy, clip.sample_rate, SAMPLE_RATE) for clip in clips])
    return np.resize(joined, AUDIO_S * SAMPLE_RATE)


def _cpu_in_turns(bench: Bench, models: dict[str, str | None], audio: np.ndarray, core: int) -> Report:
    rnnoise = _rnnoise(bench, audio, core)
    ours: dict[tuple[str, str], Callable[[], object]] = {}
    for name, model in models.items():
        ours[name, "Denoiser.process"] = partial(_frames, Denoiser(model), audio)
        ours[name, "denoise"] = partial(denoise, audio, SAMPLE_RATE, model)
    theirs: list[float] = []
    used: dict[tuple[str, str], list[float]] = {key: [] for key in ours}
    for _ in range(TURNS):
        if rnnoise is not None:
            theirs.append(rnnoise())
        for key, call in ours.items():
            start = time.process_time()
            call()
            used[key].append((time.process_time() - start) / AUDIO_S)
    rows: list[dict[str, Any]] = [{"system": "rnnoise", "call": "its library", **_spread("cpu_pct", theirs, 100)}]
    for (name, call), values in used.items():
        ratios = [ours / other for ours, other in zip(values, theirs, strict=True)] if theirs else []
        rows.append({"system": name, "call": call, **_spread("cpu_pct", values, 100), **_spread("ratio", ratios)})
    columns = {
        "system": "system",
        "call": "through",
        "cpu_pct": "CPU %",
        "cpu_pct_low": "least",
        "cpu_pct_high": "most",
    }
    columns |= {"ratio": "of RNNoise", "ratio_low": "least", "ratio_high": "most"}
    note = (
        f"CPU seconds per 100 s of audio, everything included, one pinned core; median and range of {TURNS} turns of "
        f"{AUDIO_S} s, ratios within a turn. `Denoiser.process` is called once a frame from Python, as RNNoise is; "
        "`denoise` loads the model and loops over the C ABI in the core."
    )
    return Report(
        "speed", "CPU beside RNNoise", columns, rows if theirs else rows[1:], [note], dict.fromkeys(columns, 3)
    )


def _rnnoise(bench: Bench, audio: np.ndarray, core: int) -> Callable[[], float] | None:
    """What measures RNNoise once, in CPU seconds per second; None where it is not asked for or does not run."""
    if not bench.rnnoise or bench.environment.install(bench.rnnoise[0]):
        return None
    place = bench.output / "speed"
    (place / "noisy").mkdir(parents=True, exist_ok=True)
    write_wav(place / "noisy" / "speech.wav", audio, SAMPLE_RATE, force=True)
    script = ADAPTERS / "peer_rnnoise.py"
    command = [bench.environment.python, script, place / "noisy", place / "rnnoise", "--cpu", str(core)]

    def measure() -> float:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(json.loads(done.stdout.splitlines()[-1])["cpu_s_per_s"])

    return measure


def _frames(denoiser: Denoiser, audio: np.ndarray) -> None:
    for frame in audio.reshape(-1, FRAME_SAMPLES):
        denoiser.process(frame)


def _spread(name: str, values: Sequence[float], scale: float = 1.0) -> dict[str, float]:
    if not values:
        return {}
    scaled = [value * scale for value in values]
    return {name: statistics.median(scaled), f"{name}_low": min(scaled), f"{name}_high": max(scaled)}


def _longest_frames(models: dict[str, str | None], audio: np.ndarray) -> Report:
    frames = audio[: WORST_S * SAMPLE_RATE].reshape(-1, FRAME_SAMPLES)
    rows = []
    for name, model in models.items():
        for pace, (paced, sweep) in PACES.items():
            runs = [_frame_times_ms(Denoiser(model), frames, paced, sweep) for _ in range(WORST_RUNS)]
            longest = sorted(float(run.max()) for run in runs)
            every = np.concatenate(runs)
            figures = {"longest_ms": longest[-2], "very_longest_ms": longest[-1]}
            figures |= {"p99_ms": float(np.percentile(every, 99)), "median_ms": float(np.median(every))}
            rows.append({"system": name, "pace": pace, **figures, "mean_pct": float(every.mean()) * 10})
    columns = {"system": "system", "pace": "pace", "longest_ms": "longest ms", "very_longest_ms": "of all runs"}
    columns |= {"p99_ms": "99 % below", "median_ms": "median", "mean_pct": "CPU %"}
    note = (
        f"Thread CPU time of `Denoiser.process`, the first frames of a stream included: second longest of the longest "
        f"frames of {WORST_RUNS} runs of {WORST_S} s. Paced: a frame every 10 ms, asleep in between; swept: and "
        f"{CACHE_BYTES >> 20} MiB of something else are read before each."
    )
    return Report("speed", "Longest frame", columns, rows, [note], dict.fromkeys(columns, 3))


def _frame_times_ms(denoiser: Denoiser, frames: np.ndarray, paced: bool, sweep: bool) -> np.ndarray:
    """Shape (frames,)."""
    other = np.zeros(CACHE_BYTES // 4 if sweep else 0, np.float32)
    times = np.zeros(len(frames))
    due = time.monotonic()
    for number, frame in enumerate(frames):
        if paced:
            due += 0.01
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic() - 0.01)  # late: other load; do not catch up
            other.sum()
        start = time.thread_time_ns()
        denoiser.process(frame)
        times[number] = (time.thread_time_ns() - start) / 1e6
    return times


def _threads(models: dict[str, str | None], audio: np.ndarray) -> Report:
    """How much faster as many streams in as many threads as there are cores go than one after the other."""
    count = available_cores()
    rows = []
    for name, model in models.items():
        speedups = []
        for _ in range(TURNS):
            alone_s, together_s = _in_threads(model, audio, count, 1), _in_threads(model, audio, count, count)
            speedups.append(alone_s / together_s)
        rows.append({"system": name, "streams": count, "cores": count, **_spread("speedup", speedups)})
    columns = {"system": "system", "streams": "streams", "cores": "cores", "speedup": "speed-up"}
    columns |= {"speedup_low": "least", "speedup_high": "most"}
    note = (
        "Wall time of the streams one after the other over that of a thread each; other load on the machine lowers it."
    )
    return Report("speed", "Streams in threads", columns, rows, [note])


def _in_threads(model: str | None, audio: np.ndarray, streams: int, threads: int) -> float:
    """Wall seconds for all streams."""
    share = streams // threads

    def work(denoisers: Sequence[Denoiser]) -> None:
        for denoiser in denoisers:
            _frames(denoiser, audio)

    groups = [[Denoiser(model) for _ in range(share)] for _ in range(threads)]
    running = [Thread(target=work, args=(group,)) for group in groups]
    start = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return time.perf_counter() - start
