"""Rate and distortion of every level of the RDO-VAE, on readers that it never heard, and after the vocoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from report import Report

from vivavoce._core import DredEncoder, DredReader, Model, speech_features
from vivavoce.audio import write_whole
from vivavoce.evaluation.clips import Clip
from vivavoce.evaluation.metrics import METRICS
from vivavoce.evaluation.plot import COLOURS, MARKERS, STYLE
from vivavoce.evaluation.statistics import mean_interval
from vivavoce.models import find_model
from vivavoce.redundancy.dred import MODEL
from vivavoce.redundancy.payload import LEVELS, MAX_CHUNKS
from vivavoce.signal.cepstrum import BARK_BANDS, HOP, PITCH, VOICING, dct_matrix
from vivavoce.vocoder.synthesis import synthesise

VOCODER = "fargan-base-v1"
FRAMES = 4 * MAX_CHUNKS  # of 10 ms, that a payload describes
HEAD_BITS = 8 * 4 + 27  # of a payload, before the state; a fraction of a byte at the end is counted among the chunks
CHUNKS_PER_SECOND = 25
ACTIVE = 3.0  # of the first cepstral coefficient, below the loudest frame, within which bands are compared
VOICED, GROSS_OCTAVES = 0.1, 0.263  # of the voicing feature; a fifth of the frequency
LIBOPUS_BPS = {0: 1618, 6: 637, 15: 84}  # 1.6.1, by its tables
TRUE = "true features"
SCORES = ("pesq", "estoi")
DRAWN = {"bands": "bands, dB", "pitch": "pitch, cents", "pesq": "PESQ-WB", "estoi": "ESTOI"}


def levels(clips: Sequence[Clip], path: Path) -> Iterator[Report]:
    """Rate and distortion from real payloads of 1.04 seconds, drawn into a file too."""
    model, vocoder, rows = Model(str(find_model(MODEL))), Model(str(find_model(VOCODER))), []
    for level in (None, *range(LEVELS)):
        bits, states, scores = [], [], []
        for clip in clips:
            truth = speech_features(clip.samples, len(clip.samples) // HOP)
            whole = len(truth) // FRAMES * FRAMES
            made = truth[:whole].copy()
            if level is not None:
                made, latent_bits, state_bits = _described(model, clip.samples, whole, level)
                bits.append(latent_bits)
                states.append(state_bits)
            scores.append(_fidelity(clip.samples[: whole * HOP], truth[:whole], made, vocoder))
        row = {name: mean_interval([score[name] for score in scores]) for name in scores[0]}
        kinds = {"bits": mean_interval(bits) if bits else None, "state": mean_interval(states) if states else None}
        rows.append({"level": TRUE if level is None else str(level)} | kinds | row)
    _draw(rows, path)
    columns = {"level": "level", "bits": "b/s", "state": "state, bits", "bands": "bands, dB", "pitch": "pitch, cents"}
    columns |= {"gross": "gross, %", "voicing": "voicing", "pesq": "PESQ-WB", "estoi": "ESTOI"}
    decimals = {"bits": 0, "state": 0, "pitch": 0, "gross": 1, "voicing": 3, "estoi": 3}
    theirs = " / ".join(f"{bps:,}" for bps in LIBOPUS_BPS.values())
    note = f"Pauses and all. Tables of libopus 1.6.1 at {' / '.join(map(str, LIBOPUS_BPS))}: {theirs} b/s, "
    note += "states 158 / 98 / 43 bits."
    yield Report("levels", f"Levels of the RDO-VAE, {len(clips)} clips", columns, rows, [note], decimals)


def _described(model: Model, samples: np.ndarray, frames: int, level: int) -> tuple[np.ndarray, float, float]:
    """Features as they are decoded, b/s of latent vectors, and bits of a state."""
    encoder, parts, latents, states = DredEncoder(model), [], [], []
    for begin in range(0, frames, FRAMES):
        encoder.push(samples[begin * HOP : (begin + FRAMES) * HOP])
        long = encoder.write(0, 0, level, 0, level, MAX_CHUNKS)
        short = encoder.write(0, 0, level, 0, level, 1)
        reader = DredReader(model, long)
        parts += [reader.features(chunk) for chunk in range(reader.chunks - 1, -1, -1)]
        latents.append(8 * (len(long) - len(short)) / (reader.chunks - 1))
        states.append(8 * len(short) - HEAD_BITS - latents[-1])
    return np.concatenate(parts), CHUNKS_PER_SECOND * float(np.mean(latents)), float(np.mean(states))


def _fidelity(samples: np.ndarray, truth: np.ndarray, made: np.ndarray, vocoder: Model) -> dict[str, float]:
    missing = len(truth) - len(made)  # the first payload has no latent vector for the very beginning
    truth, samples = truth[missing:], samples[missing * HOP :]
    error = made - truth
    active = truth[:, 0] > truth[:, 0].max() - ACTIVE
    voiced = truth[:, VOICING] > VOICED
    cents = 1200 * np.abs(error[voiced, PITCH])
    heard = synthesise(vocoder, np.ascontiguousarray(made))
    samples = samples[: len(heard)]
    return {
        "bands": 10 * float(np.sqrt(np.mean((error[active, :BARK_BANDS] @ dct_matrix()) ** 2))),
        "pitch": float(cents.mean()),
        "gross": 100 * float((cents > 1200 * GROSS_OCTAVES).mean()),
        "voicing": float(np.abs(error[:, VOICING]).mean()),
        "pesq": METRICS["pesq"].score(samples, heard[: len(samples)]),
        "estoi": METRICS["estoi"].score(samples, heard[: len(samples)]),
    }


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Each measure against the rate, every third level by its number, and the rates of libopus's levels."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    true, *coded = rows
    rates, ours, theirs = [row["bits"].mean for row in coded], COLOURS[1], COLOURS[2]
    with pyplot.rc_context(STYLE):
        figure, panels = pyplot.subplots(1, len(DRAWN), figsize=(3.6 * len(DRAWN), 3.0), layout="constrained")
        for panel, (key, name) in zip(panels, DRAWN.items(), strict=True):
            scores = [row[key] for row in coded]
            ends = [[score.mean - score.low for score in scores], [score.high - score.mean for score in scores]]
            panel.errorbar(rates, [score.mean for score in scores], ends, color=ours, marker=MARKERS[0], markersize=4)
            for level in range(0, LEVELS, 3):
                at = (rates[level], scores[level].mean)
                beside = (4, -11) if key in SCORES else (4, 5)
                panel.annotate(str(level), at, beside, textcoords="offset points", color=ours)
            if key in SCORES:
                panel.axhline(true[key].mean, color=COLOURS[0], linewidth=0.8, linestyle=":", label=TRUE)
                panel.set_ylim(top=1.06 * true[key].mean)
            for level, bps in LIBOPUS_BPS.items():
                panel.axvline(bps, color=theirs, linewidth=0.8, linestyle="--")
                label = f" libopus {level}"
                panel.text(
                    bps, 0.02, label, transform=panel.get_xaxis_transform(), color=theirs, fontsize=7, rotation=90
                )
            panel.set(xscale="log", xlabel="b/s", title=name)
        panels[-1].legend(loc="upper left")
        write_whole(path, lambda file: figure.savefig(file, format="png", dpi=110))
    pyplot.close(figure)
