"""A call that is muted for long: virtual silence after speech, and speech after it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from enhancement_report import Bench, Report, one_core

from vivavoce import _core
from vivavoce.audio import resample
from vivavoce.enhancement.denoiser import DEFAULT_MODEL, FRAME_SAMPLES, SAMPLE_RATE, find_model

SILENCES_S = {"10 minutes": 600, "24 hours": 86_400}
BATCH_S = 60
RECOVERY_S = 0.1
RECOVERED_DB = 1.0  # as loud as a fresh stream's speech, to so much


def silence(bench: Bench) -> Iterator[Report]:
    """Digital silence: what comes out and costs, and when speech after it is as loud as in a fresh stream."""
    clip = bench.clips(bench.sets[0], 2)[-1]
    speech = resample(clip.noisy, clip.sample_rate, SAMPLE_RATE)
    speech = speech[: len(speech) // FRAME_SAMPLES * FRAME_SAMPLES]
    rows = []
    with one_core():
        for name, model in bench.models.items():
            rows += [
                {"system": name, "silence": length} | _through(model, speech, silence_s)
                for length, silence_s in SILENCES_S.items()
            ]
    columns = {"system": "system", "silence": "silence", "finite": "finite", "peak_db": "peak dBFS", "cpu_pct": "CPU %"}
    columns |= {"first_db": "first 100 ms dB", "after_db": "after that dB", "recovered": "recovered"}
    note = (
        "Peak: of the output, from 1 s into the silence. dB: level of speech after the silence over that in a fresh "
        f"stream, in the first 100 ms that hold speech and in the second after; recovered: within {RECOVERED_DB:g} dB."
    )
    yield Report("silence", "Silence", columns, rows, [note])


def _through(model: str | None, speech: np.ndarray, silence_s: int) -> dict[str, object]:
    loaded = _core.Model(find_model(model or DEFAULT_MODEL))
    fresh, stream = _core.Denoiser(loaded), _core.Denoiser(loaded)
    expected = fresh.process(speech)
    stream.process(speech)
    stream.process(np.zeros(SAMPLE_RATE, np.float32))
    nothing = np.zeros(BATCH_S * SAMPLE_RATE, np.float32)
    peak, finite, used_s = 0.0, True, 0.0
    for _ in range(silence_s // BATCH_S):
        start = time.thread_time()
        output = stream.process(nothing)
        used_s += time.thread_time() - start
        finite = finite and bool(np.isfinite(output).all())
        peak = max(peak, float(np.abs(output).max()))
    found = stream.process(speech)
    first = int(np.argmax(np.abs(expected) > np.abs(expected).max() / 10))
    split, end = first + round(RECOVERY_S * SAMPLE_RATE), first + SAMPLE_RATE
    after_db = _level_db(found[split:end]) - _level_db(expected[split:end])
    return {
        "finite": "yes" if finite and np.isfinite(found).all() else "no",
        "peak_db": 20 * float(np.log10(peak)) if peak else None,
        "cpu_pct": 100 * used_s / silence_s,
        "first_db": _level_db(found[first:split]) - _level_db(expected[first:split]),
        "after_db": after_db,
        "recovered": "yes" if abs(after_db) <= RECOVERED_DB else "no",
    }


def _level_db(samples: np.ndarray) -> float:
    return 10 * float(np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))
