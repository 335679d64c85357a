"""How the vocoders sound from true features, and whether the ends of a gap can be heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import librosa
import matplotlib
import numpy as np
from report import Report

from vivavoce._core import Model, speech_features
from vivavoce.audio import write_whole
from vivavoce.evaluation.clips import Clip
from vivavoce.evaluation.metrics import METRICS, plcmos
from vivavoce.evaluation.statistics import mean_interval
from vivavoce.evaluation.tables import Row
from vivavoce.models import find_model
from vivavoce.signal.cepstrum import HOP, PITCH, SAMPLE_RATE, VOICING, preemphasise
from vivavoce.transport.call import CallSettings, simulate_call
from vivavoce.transport.loss import LossModel, RecordedTrace
from vivavoce.vocoder.synthesis import synthesise

VOCODERS = ("fargan-base-v1", "lpcnet-base-v1")
WORST = 3  # clips that are drawn
DRAWN_S = 4  # of each
DRAWN_FROM_S = 4.4  # where the losses of the picture are
VOICED = 0.2  # of the voicing feature, above which the pitch counts
GROSS_OCTAVES = 0.263  # a fifth of the frequency

CALL_KBPS, EXPECTED_LOSS_PCT = 24, 6
PACKET = SAMPLE_RATE // 50
GAP, EVERY = 3, 50  # packets
DELAY = 91  # samples: libopus looks 104 ahead, for which calls are aligned, and its decoder's filters are 13 late
SIDE = SAMPLE_RATE // 200  # 5 ms on either side of a join
AUDIBLE = 1e-4  # of the root mean square on both sides, where nothing is lost


def copy(clips: Sequence[Clip], output: Path) -> Iterator[Report]:
    """Every vocoder from the features of the clips; those that the first does worst are drawn."""
    names = ("pesq", "estoi", "plcmos", "mel_db", "gross_pct", "voicing_pct")
    rows, drawn = [], []
    for name in VOCODERS:
        model, scores = Model(str(find_model(name))), []
        for clip in clips:
            frames = len(clip.samples) // HOP - 1
            features = speech_features(clip.samples, frames + 1)
            scores.append(_scores(clip.samples[: frames * HOP], synthesise(model, features)))
        if not drawn:
            drawn = [clips[index] for index in np.argsort([score["pesq"] for score in scores])[:WORST]]
        means = {key: mean_interval([score[key] for score in scores]) for key in names}
        rows.append({"model": name, "clips": len(scores), **means})
    _draw(drawn, output / "copy-worst.png")
    columns = {"model": "model", "clips": "clips", "pesq": "PESQ-WB", "estoi": "ESTOI", "plcmos": "PLCMOS"}
    columns |= {"mel_db": "mel distance, dB", "gross_pct": "gross pitch errors, %", "voicing_pct": "voicing errors, %"}
    note = "Pitch and voicing as the tracker finds them in what was made, against the features it was made from."
    yield Report("copy", "Copy synthesis", columns, rows, [note], {"estoi": 3, "gross_pct": 1, "voicing_pct": 1})


def _scores(truth: np.ndarray, made: np.ndarray) -> dict[str, float]:
    frames = len(truth) // HOP
    want, got = speech_features(truth, frames), speech_features(made, frames)
    voiced = want[:, VOICING] > VOICED
    both = voiced & (got[:, VOICING] > VOICED)
    mels = [librosa.power_to_db(_mel(samples), amin=1e-7) for samples in (truth, made)]
    return {
        "pesq": METRICS["pesq"].score(truth, made),
        "estoi": METRICS["estoi"].score(truth, made),
        "plcmos": plcmos(truth, made),
        "mel_db": float(np.abs(mels[0] - mels[1]).mean()),
        "gross_pct": 100 * float((np.abs(want[both, PITCH] - got[both, PITCH]) > GROSS_OCTAVES).mean()),
        "voicing_pct": 100 * float((voiced != (got[:, VOICING] > VOICED)).mean()),
    }


def _mel(samples: np.ndarray) -> np.ndarray:
    return librosa.feature.melspectrogram(y=samples, sr=SAMPLE_RATE, n_fft=512, hop_length=HOP, n_mels=80)


def _draw(clips: Sequence[Clip], path: Path) -> None:
    """A row for each clip, with the truth and what every vocoder makes of it."""
    rows = []
    for clip in clips:
        features = speech_features(clip.samples, len(clip.samples) // HOP)
        made = {name: synthesise(Model(str(find_model(name))), features) for name in VOCODERS}
        rows.append({clip.id: clip.samples, **made})
    _spectrograms(rows, path)


def _spectrograms(
    rows: Sequence[dict[str, np.ndarray]], path: Path, begin_s: float = 0.0, lost: Sequence[float] = ()
) -> None:
    """Some seconds of samples by title, in a grid, with marks at times that were lost."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    shape = len(rows), len(rows[0])
    figure, axes = pyplot.subplots(*shape, figsize=(4 + 5 * shape[1], 2.6 * shape[0]), squeeze=False)
    end_s = begin_s + DRAWN_S
    for panels, row in zip(axes, rows, strict=True):
        for panel, (title, samples) in zip(panels, row.items(), strict=True):
            spectrum = np.abs(librosa.stft(preemphasise(samples), n_fft=512, hop_length=64))
            decibels = librosa.amplitude_to_db(spectrum, ref=np.max, top_db=50)
            extent = 0, len(samples) / SAMPLE_RATE, 0, SAMPLE_RATE / 2000
            panel.imshow(decibels, origin="lower", aspect="auto", extent=extent, vmax=-5, cmap="magma")
            panel.set_xlim(begin_s, end_s)
            for time_s in lost:
                panel.axvspan(time_s, time_s + PACKET / SAMPLE_RATE, ymin=0.97, color="red", linewidth=0)
            panel.set_title(title, fontsize=9)
            panel.set_xlabel("s")
            panel.set_ylabel("kHz")
    figure.tight_layout()
    write_whole(path, lambda file: figure.savefig(file, format="png", dpi=80))
    pyplot.close(figure)


def picture(clip: Clip, loss: LossModel, path: Path) -> Iterator[Report]:
    """One clip as it was sent, and as it is heard with losses, under each concealer."""
    calls = {name: simulate_call(clip.samples, _settings(loss, name)) for name in ("opus", "neural")}
    heard = {f"--conceal {name}": call.samples for name, call in calls.items()}
    lost = PACKET / SAMPLE_RATE * np.flatnonzero(calls["opus"].lost_packets)
    _spectrograms([{clip.id: clip.samples}, *({name: each} for name, each in heard.items())], path, DRAWN_FROM_S, lost)
    scores = [{"heard": name, "plcmos": plcmos(clip.samples, samples)} for name, samples in heard.items()]
    columns = {"heard": "heard", "plcmos": "PLCMOS"}
    yield Report("picture", f"{clip.id}, drawn in {path.name}", columns, scores)


def plot_bursts(rows: Sequence[Row], lengths_ms: Sequence[int], metrics: Sequence[str], path: Path) -> None:
    """Scores against the length of gaps, of which `rows` have those lengths in turn, for every concealer."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(metrics), figsize=(5 * len(metrics), 3.6), layout="constrained")
    lines: dict[str, list[Row]] = {}
    for row in rows:
        lines.setdefault(row.configuration.conceal, []).append(row)
    for panel, metric in zip(panels, metrics, strict=True):
        for name, line in lines.items():
            scores = [row.scores[metric] for row in line]
            ends = [[score.mean - score.low for score in scores], [score.high - score.mean for score in scores]]
            panel.errorbar(lengths_ms, [score.mean for score in scores], ends, marker="o", capsize=2, label=name)
        panel.set_xscale("log")
        panel.set_xticks(lengths_ms, [str(length) for length in lengths_ms], minor=False)
        panel.minorticks_off()
        panel.set_xlabel("gaps of ms, one a second")
        panel.set_title(METRICS[metric].label)
        panel.grid(alpha=0.3)
    panels[0].legend(title="--conceal")
    write_whole(path, lambda file: figure.savefig(file, format="png", dpi=90))
    pyplot.close(figure)


def joins(clips: Sequence[Clip]) -> Iterator[Report]:
    """Both ends of gaps of 60 ms, one a second, beside the same places of a call that loses nothing."""
    lost = np.zeros(EVERY, bool)
    lost[-GAP:] = True
    found: dict[str, list[list[dict[str, float]]]] = {}
    for clip in clips:
        whole = simulate_call(clip.samples, _settings(None, "opus")).samples
        for name in ("opus", "neural"):
            played = simulate_call(clip.samples, _settings(RecordedTrace(lost), name)).samples
            ends = [[], []]
            first = (EVERY - GAP) * PACKET - DELAY
            for begin in range(first, len(whole) - GAP * PACKET - 4 * SIDE, EVERY * PACKET):
                for end, at in zip(ends, (begin, begin + GAP * PACKET), strict=True):
                    if min(_rms(whole[at - SIDE : at]), _rms(whole[at : at + SIDE])) > AUDIBLE:
                        end.append({"lossless": _join(whole, at), name: _join(played, at)})
            for end, title in zip(ends, ("beginning", "end"), strict=True):
                for kind in ("lossless", name) if name == "opus" else (name,):
                    found.setdefault(f"{title}, {kind}", []).extend([place[kind] for place in end])
    rows = [
        {"place": title, "count": len(places), **{key: mean_interval([p[key] for p in places]) for key in places[0]}}
        for title, places in found.items()
    ]
    columns = {"place": "place", "count": "joins", "step_db": "energy step, dB", "flux_db": "spectral flux, dB"}
    columns |= {"click_db": "click, dB", "likeness": "likeness one period before"}
    yield Report("joins", f"Joins of gaps of {GAP * 20} ms, {CALL_KBPS} kb/s", columns, rows, decimals={"likeness": 3})


def _settings(loss: LossModel | None, concealer: str) -> CallSettings:
    return CallSettings(
        loss,
        bitrate_bps=1000 * CALL_KBPS,
        expected_loss_pct=EXPECTED_LOSS_PCT,  # for the same packets
        conceal=concealer,
        playout_delay_ms=1100,
    )


def _join(samples: np.ndarray, at: int) -> dict[str, float]:
    """What a join may be heard by.

    The step of energy from 5 ms to the next; the mean difference of 20 mel bands between 10 ms and the next; the
    largest curvature within 1 ms, over that of the 10 ms about it; and how like the 5 ms behind it are to what was
    there one pitch period before, at the best period, which is what a jump of phase breaks.
    """
    before, after = samples[at - SIDE : at], samples[at : at + SIDE]
    curvature = np.abs(np.diff(samples[at - 2 * SIDE : at + 2 * SIDE], 2))
    middle = slice(2 * SIDE - 17, 2 * SIDE + 15)
    around = np.sqrt(np.mean(curvature**2)) + 1e-6
    lags = [samples[at - lag : at - lag + SIDE] for lag in range(32, 257)]
    likeness = max(float(np.dot(lag, after)) / (np.linalg.norm(lag) * np.linalg.norm(after) + 1e-9) for lag in lags)
    frame = {"sr": SAMPLE_RATE, "n_fft": 2 * SIDE, "hop_length": 2 * SIDE, "n_mels": 20, "center": False}
    mels = [librosa.feature.melspectrogram(y=samples[i : i + 2 * SIDE], **frame) for i in (at - 2 * SIDE, at)]
    flux = np.abs(librosa.power_to_db(mels[0], amin=1e-7) - librosa.power_to_db(mels[1], amin=1e-7)).mean()
    return {
        "step_db": abs(20 * np.log10((_rms(after) + 1e-6) / (_rms(before) + 1e-6))),
        "flux_db": float(flux),
        "click_db": 20 * float(np.log10(curvature[middle].max() / around + 1e-3)),
        "likeness": likeness,
    }


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
