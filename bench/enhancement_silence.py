"""A call that is muted for long: virtual silence after speech, and speech after it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from enhancement_bench import Bench
from report import Report, one_core

from vivavoce import _core
from vivavoce.audio import resample
from vivavoce.enhancement.denoiser import DEFAULT_MODEL, FRAME_SAMPLES, SAMPLE_RATE, find_model
from vivavoce.evaluation.metrics import si_sdr

SILENCES_S = {"10 minutes": 600, "24 hours": 86_400}
BATCH_S = 60
RECOVERY_S = 0.1
RECOVERED_DB = 1.0  # of the speech's own level


def silence(bench: Bench) -> Iterator[Report]:
    """Digital silence: what comes out and costs, and how much of the speech after it comes through."""
    clip = bench.clips(bench.sets[0], 2)[-1]
    noisy, clean = (resample(side, clip.sample_rate, SAMPLE_RATE) for side in (clip.noisy, clip.clean))
    noisy = noisy[: len(noisy) // FRAME_SAMPLES * FRAME_SAMPLES]
    rows = []
    with one_core():
        for name, model in bench.models.items():
            rows += [
                {"system": name, "silence": length} | _through(model, noisy, clean, silence_s)
                for length, silence_s in SILENCES_S.items()
            ]
    columns = {"system": "system", "silence": "silence", "finite": "finite", "peak_db": "peak dBFS", "cpu_pct": "CPU %"}
    columns |= {"first_db": "first 100 ms dB", "after_db": "after that dB", "after_sdr": "after that SI-SDR dB"}
    columns |= {"recovered": "recovered"}
    note = (
        "Peak: of the output, from 1 s into the silence. dB: gain of the speech itself after the silence, in the first "
        "100 ms that hold any and in the second after, in a fresh stream in brackets; recovered: in that second the "
        f"gain is within {RECOVERED_DB:g} dB of 0, and SI-SDR no more than that below the fresh stream's."
    )
    yield Report("silence", "Silence", columns, rows, [note])


def _through(model: str | None, noisy: np.ndarray, clean: np.ndarray, silence_s: int) -> dict[str, object]:
    loaded = _core.Model(find_model(model or DEFAULT_MODEL))
    fresh, stream = _core.Denoiser(loaded), _core.Denoiser(loaded)
    expected = fresh.process(noisy)
    stream.process(noisy)
    stream.process(np.zeros(SAMPLE_RATE, np.float32))
    nothing = np.zeros(BATCH_S * SAMPLE_RATE, np.float32)
    peak, finite, used_s = 0.0, True, 0.0
    for _ in range(silence_s // BATCH_S):
        start = time.thread_time()
        output = stream.process(nothing)
        used_s += time.thread_time() - start
        finite = finite and bool(np.isfinite(output).all())
        peak = max(peak, float(np.abs(output).max()))
    found = stream.process(noisy)
    wanted = np.pad(clean, (fresh.delay_samples, 0))[: len(found)]
    first = int(np.argmax(np.abs(wanted) > np.abs(wanted).max() / 10))
    split, end = first + round(RECOVERY_S * SAMPLE_RATE), first + SAMPLE_RATE
    first_db, after_db = (
        tuple(_gain_db(output[begin:to], wanted[begin:to]) for output in (found, expected))
        for begin, to in ((first, split), (split, end))
    )
    after_sdr = tuple(si_sdr(wanted[split:end], output[split:end]) for output in (found, expected))
    recovered = abs(after_db[0]) <= RECOVERED_DB and after_sdr[0] >= after_sdr[1] - RECOVERED_DB
    return {
        "finite": "yes" if finite and np.isfinite(found).all() else "no",
        "peak_db": 20 * float(np.log10(peak)) if peak else None,
        "cpu_pct": 100 * used_s / silence_s,
        "first_db": "{:.2f} ({:.2f})".format(*first_db),
        "after_db": "{:.2f} ({:.2f})".format(*after_db),
        "after_sdr": "{:.1f} ({:.1f})".format(*after_sdr),
        "recovered": "yes" if recovered else "no",
    }


def _gain_db(output: np.ndarray, speech: np.ndarray) -> float:
    """Gain at which speech is contained in an output that is aligned with it."""
    product, energy = (float(np.dot(side.astype(float), speech.astype(float))) for side in (output, speech))
    return 20 * float(np.log10(max(product, 1e-12) / energy))
