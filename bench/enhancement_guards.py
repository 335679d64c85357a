"""What a denoiser must leave alone: clean speech, and the level that a microphone happens to have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from enhancement_bench import Bench
from enhancement_quality import QualityTable, score_folders, set_folder, write_set
from report import Report

from vivavoce.audio import resample
from vivavoce.enhancement.denoiser import denoise
from vivavoce.evaluation.enhancement import CLEAN
from vivavoce.evaluation.enhancement_tables import summarise_systems
from vivavoce.evaluation.metrics import METRIC_SAMPLE_RATE, pesq_wb
from vivavoce.evaluation.mixing import active_level_db
from vivavoce.evaluation.workers import workers

CLEAN_METRICS = ("pesq", "stoi", "si_sdr")
LEVELS_DB = (-40, -30, -20, -10, -3)  # of full scale
LEVEL_CLIPS = 16


def clean_speech(bench: Bench) -> Iterator[QualityTable]:
    """Clean speech in: what it is afterwards."""
    for which in bench.sets:
        folder = set_folder(bench, which)
        write_set(bench.clips(which), folder)
        systems, runs = score_folders(
            bench, folder / CLEAN, folder / CLEAN, folder / "of-clean", bench.rnnoise, CLEAN_METRICS
        )
        baselines = [run.peer.name for run in runs if run.folder]
        rows = summarise_systems(systems, CLEAN_METRICS, baselines, compared=bench.models)
        yield QualityTable("clean", f"{which} ({bench.split})", "clean speech in", rows, runs, CLEAN_METRICS)


def levels(bench: Bench) -> Iterator[Report]:
    """PESQ-WB of the same noisy clips at several levels, which come in and are scored as float, unclipped."""
    rows = []
    for which in bench.sets:
        for system, model in bench.models.items():
            for of in ("active speech", "peak"):
                scores = _scores_at_levels(bench, which, of, model)
                means = {str(level_db): float(np.mean(scores[level_db])) for level_db in LEVELS_DB}
                change = max(means.values()) - min(means.values())
                rows.append({"set": which, "system": system, "level_of": of, **means, "change": change})
    columns = {"set": "set", "system": "system", "level_of": "level of"}
    columns |= {str(level_db): f"{level_db} dBFS".replace("-", "−") for level_db in LEVELS_DB} | {"change": "max − min"}
    note = (
        f"PESQ-WB, mean over the first {LEVEL_CLIPS} clips; float in and out, so that nothing clips: speech at −3 dBFS "
        "peaks at up to +12, the engine limits at +12 (±4)."
    )
    yield Report("level", "PESQ-WB by input level", columns, rows, [note], dict.fromkeys(columns, 3))


@dataclass(frozen=True, eq=False)
class _LevelTask:
    level_db: int
    gain: float
    clean: np.ndarray
    noisy: np.ndarray
    sample_rate: int
    model: str | None


def _scores_at_levels(bench: Bench, which: str, of: str, model: str | None) -> dict[int, list[float]]:
    tasks = []
    for clip in bench.clips(which, LEVEL_CLIPS):
        peak_db = 20 * np.log10(np.abs(clip.noisy).max())
        own_db = active_level_db(clip.clean, clip.sample_rate) if of == "active speech" else peak_db
        for level_db in LEVELS_DB:
            gain = float(10 ** ((level_db - own_db) / 20))
            tasks.append(_LevelTask(level_db, gain, clip.clean, clip.noisy, clip.sample_rate, model))
    scores: dict[int, list[float]] = {level_db: [] for level_db in LEVELS_DB}
    with workers(bench.jobs) as run:
        for level_db, score in run(_score_at_level, tasks):
            scores[level_db].append(score)
    return scores


def _score_at_level(task: _LevelTask) -> tuple[int, float]:
    gain = np.float32(task.gain)
    output = denoise(task.noisy * gain, task.sample_rate, task.model) / gain
    wide = (resample(samples, task.sample_rate, METRIC_SAMPLE_RATE) for samples in (task.clean, output))
    return task.level_db, pesq_wb(*wide)
