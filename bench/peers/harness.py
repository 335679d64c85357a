"""What every adapter of a peer does: a folder of WAVs in, one out, and what it cost.

    python peer_NAME.py IN_DIR OUT_DIR [--cpu N]

Runs in the peers' own virtual environment, so nothing of vivavoce is imported. One pinned thread; a fresh state for
each file; the peer's rate is reached by soxr outside of the timing. 0.1 s of silence is appended, so that no peer's
delay cuts the end off: outputs are that much longer than inputs. Prints one JSON object: CPU seconds per second of
audio, of the processing alone.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import json  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import soxr  # noqa: E402

TAIL_S = 0.1
Process = Callable[[np.ndarray], np.ndarray]


def run(open_stream: Callable[[int], Process], sample_rate: int | None, frame_ms: int | None = None) -> None:
    """Process a folder.

    Args:
        open_stream: Given the sample rate in Hz, returns a peer in its first state: from float32 samples in [-1, 1) to
            as many. Not timed.
        sample_rate: Of the peer in Hz; None takes that of each file.
        frame_ms: What the peer takes at a time; None gives it the whole file.
    """
    parser = argparse.ArgumentParser(description="Denoise a folder of WAV files; print JSON.")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--cpu", type=int, help="core to run on; the last unless told")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0)) if arguments.cpu is None else arguments.cpu})
    arguments.output.mkdir(parents=True, exist_ok=True)
    used_s = audio_s = 0.0
    for path in sorted(arguments.input.glob("*.wav")):
        samples, rate = soundfile.read(path, dtype="float32")
        samples = np.pad(samples, (0, round(TAIL_S * rate)))
        peer_rate = sample_rate or rate
        process = open_stream(peer_rate)
        converted = soxr.resample(samples, rate, peer_rate)
        frames = _frames(converted, None if frame_ms is None else frame_ms * peer_rate // 1000)
        start = time.process_time()
        done = [process(frame) for frame in frames]
        used_s += time.process_time() - start
        audio_s += len(converted) / peer_rate
        denoised = soxr.resample(np.concatenate(done)[: len(converted)], peer_rate, rate)
        soundfile.write(arguments.output / path.name, np.clip(denoised, -1, 1), rate, subtype="PCM_16")
    print(json.dumps({"cpu_s_per_s": used_s / audio_s if audio_s else None, "audio_s": audio_s}))


def int16(samples: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1) as int16, saturated."""
    return np.clip(np.rint(samples * 32_768), -32_768, 32_767).astype(np.int16)


def one_thread(path: str) -> Any:
    """An ONNX Runtime session that computes on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def package_file(package: str, *names: str) -> str:
    """Path of a file in an installed package, which is not imported."""
    import importlib.util

    top, *rest = package.split(".")
    spec = importlib.util.find_spec(top)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, *rest, *names)
        if path.exists():
            return str(path)
    raise SystemExit(f"{package} has no {'/'.join(names)}")


def _frames(samples: np.ndarray, frame_samples: int | None) -> list[np.ndarray]:
    if frame_samples is None:
        return [samples]
    count = -(-len(samples) // frame_samples)
    padded = np.pad(samples, (0, count * frame_samples - len(samples))).astype(np.float32)
    return list(padded.reshape(count, frame_samples))
