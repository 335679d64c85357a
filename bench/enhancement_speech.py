"""How much of the speech itself a denoiser takes away, and how well it tells speech from the rest.

A frame of clean speech is active where its energy is within 30 dB of the loudest of its clip. A word begins where that
is so after 200 ms without and stays so for most of the 100 ms that follow, which breaths and clicks do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from enhancement_bench import Bench
from enhancement_quality import score_folders, write_set
from report import Report

from vivavoce.audio import read_audio, resample
from vivavoce.enhancement.denoiser import FRAME_SAMPLES, SAMPLE_RATE, Denoiser
from vivavoce.evaluation.enhancement import CLEAN, NOISY, SystemScores, shifted
from vivavoce.evaluation.noisy import BABBLE, NoisyClip
from vivavoce.evaluation.statistics import mean_interval

SPEECH_SET = "wide-band"
SPEECH_CLIPS = 32
SOURCE_RATES = (8_000, 16_000)
SNR_DB = 20
ACTIVE_RANGE_DB = 30.0
FRAME_S = 0.01
ONSET_FRAMES, PAUSE_FRAMES = 6, 20  # 60 and 200 ms
WORD_FRAMES, WORD_ACTIVE_FRAMES = 10, 8
_FLOOR = 1e-12  # power; what is digital silence counts as -120 dBFS


def speech_preserved(bench: Bench) -> Iterator[Report]:
    """Attenuation of active speech and of the first 60 ms of words, and STOI lost, clean and at 20 dB SNR."""
    rows = []
    for sample_rate in SOURCE_RATES:
        for condition in ("clean", f"{SNR_DB} dB"):
            place = bench.output / "speech" / f"{sample_rate}-{condition.replace(' ', '')}"
            clips = [_source(clip, sample_rate, condition) for clip in _noise_clips(bench)]
            write_set(clips, place)
            systems, _ = score_folders(bench, place / CLEAN, place / NOISY, place, bench.rnnoise, ("stoi",))
            by_name = {system.system: system for system in systems}
            before = _stoi(by_name[NOISY])
            for system in (*(peer.name for peer in bench.rnnoise if peer.name in by_name), *bench.models):
                folder = place / ("ours" if system in bench.models else "peers") / system
                attenuations = _attenuations(clips, folder, by_name[system].delay_s)
                rows.append(
                    {"source": f"{sample_rate // 1000} kHz, {condition}", "system": system}
                    | {name: mean_interval(values) for name, values in attenuations.items()}
                    | {"onset_median_db": float(np.median(attenuations["onset_db"]))}
                    | {"stoi_lost": mean_interval(before - _stoi(by_name[system]))}
                )
    columns = {"source": "source", "system": "system", "active_db": "active dB", "onset_db": "first 60 ms dB"}
    columns |= {"onset_median_db": "their median dB", "frames_db": "mean over frames dB", "stoi_lost": "STOI lost"}
    notes = [
        f"{SPEECH_CLIPS} clips of readers, brought to 48 kHz and back. Attenuation: energy of the clean speech over "
        "that of the output, in frames of 10 ms within 30 dB of the loudest; the same of the first six frames of each "
        "word, mean and median over words; and the mean over all of the frames' own attenuations in dB, which weights "
        "quiet ones like loud ones."
    ]
    yield Report("speech", "Speech preserved", columns, rows, notes, {"stoi_lost": 4})


def voice_activity(bench: Bench) -> Iterator[Report]:
    """ROC-AUC of `voice_probability` over the frames of each set."""
    rows = []
    for which in bench.sets:
        for system, model in bench.models.items():
            frames = [(clip.noise_kind == BABBLE, *_voice(clip, model)) for clip in bench.clips(which)]
            row: dict[str, object] = {"set": which, "system": system}
            for group, babble in (("noise", False), ("babble", True)):
                chosen = [(labels, scores) for is_babble, labels, scores in frames if is_babble == babble]
                row[group] = _pooled_auc(chosen)
            everything = [(labels, scores) for _, labels, scores in frames]
            labels = np.concatenate([labels for labels, _ in everything])
            rows.append(row | {"all": _pooled_auc(everything), "active": float(labels.mean()), "frames": len(labels)})
    columns = {"set": "set", "system": "system", "noise": "noise", "babble": "babble", "all": "all"}
    columns |= {"active": "share of voice", "frames": "frames"}
    note = "Area under the ROC; voice: the same 20 ms of the clean speech are within 30 dB of the loudest of its clip."
    yield Report("voice", "Voice activity", columns, rows, [note], dict.fromkeys(columns, 3))


def _noise_clips(bench: Bench) -> list[NoisyClip]:
    clips = [clip for clip in bench.clips(SPEECH_SET) if clip.noise_kind != BABBLE]
    return clips[:SPEECH_CLIPS]


def _source(clip: NoisyClip, sample_rate: int, condition: str) -> NoisyClip:
    """The clip at another rate, without noise or with little of it."""
    gain = 0.0 if condition == "clean" else 10 ** ((clip.snr_db - SNR_DB) / 20)
    noisy = clip.clean + np.float32(gain) * clip.noise
    clean, noisy = (resample(samples, clip.sample_rate, sample_rate) for samples in (clip.clean, noisy))
    return replace(clip, clean=clean, noisy=noisy, sample_rate=sample_rate, snr_db=SNR_DB)


def _stoi(system: SystemScores) -> np.ndarray:
    return np.array([record["scores"]["stoi"] for record in system.records], np.float64)


def _attenuations(clips: Sequence[NoisyClip], folder: Path, delay_s: float) -> dict[str, list[float]]:
    """In dB, of each clip, and of each word that begins in one."""
    found: dict[str, list[float]] = {"active_db": [], "onset_db": [], "frames_db": []}
    for clip in clips:
        output, _ = read_audio(folder / f"{clip.id}.wav")
        output = shifted(output, round(delay_s * clip.sample_rate), len(clip.clean))
        frame = round(FRAME_S * clip.sample_rate)
        before, after = _powers(clip.clean, frame, frame), _powers(output, frame, frame)
        active = _active(before)
        found["active_db"].append(float(_ratio_db(before[active].sum(), after[active].sum())))
        for onset in _onsets(active):
            found["onset_db"].append(float(_ratio_db(before[onset].sum(), after[onset].sum())))
        found["frames_db"].append(float(_ratio_db(before[active], after[active]).mean()))
    return found


def _powers(samples: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Mean squares of the whole frames, shape (frames,)."""
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(samples, np.float64), size)[::hop]
    return np.square(frames).mean(axis=1)


def _active(powers: np.ndarray) -> np.ndarray:
    return powers >= powers.max() * 10 ** (-ACTIVE_RANGE_DB / 10)


def _onsets(active: np.ndarray) -> Iterator[slice]:
    """The first 60 ms of words, as frames; the beginning of a clip is none, for what was before is not known."""
    for at in np.flatnonzero(active):
        paused = at >= PAUSE_FRAMES and not active[at - PAUSE_FRAMES : at].any()
        if paused and np.count_nonzero(active[at : at + WORD_FRAMES]) >= WORD_ACTIVE_FRAMES:
            yield slice(at, at + ONSET_FRAMES)


def _ratio_db(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(before, _FLOOR) / np.maximum(after, _FLOOR))


def _voice(clip: NoisyClip, model: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of the frames of a clip, at 48 kHz; a frame is the 20 ms that the probability is of."""
    clean, noisy = (resample(samples, clip.sample_rate, SAMPLE_RATE) for samples in (clip.clean, clip.noisy))
    denoiser = Denoiser(model)
    late = denoiser.delay_samples // FRAME_SAMPLES
    labels = _active(_powers(clean, 2 * FRAME_SAMPLES, FRAME_SAMPLES))
    padded = np.pad(noisy, (0, late * FRAME_SAMPLES))[: (len(labels) + late) * FRAME_SAMPLES]
    probabilities = []
    for frame in padded.reshape(-1, FRAME_SAMPLES):
        denoiser.process(frame)
        probabilities.append(denoiser.voice_probability)
    return labels, np.array(probabilities[late:])


def _pooled_auc(frames: Sequence[tuple[np.ndarray, np.ndarray]]) -> float | None:
    if not frames:
        return None
    return _auc(*(np.concatenate(parts) for parts in zip(*frames, strict=True)))


def _auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """How often voice scores higher than the rest, ties counting half: the Mann-Whitney statistic."""
    _, at, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[at]
    voices = int(labels.sum())
    return float((ranks[labels].sum() - voices * (voices + 1) / 2) / (voices * (len(labels) - voices)))
