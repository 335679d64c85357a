"""Denoisers scored side by side on one set of clean and noisy clips, ours and those of others.

A set is a folder of clean and one of noisy files, matched by name; every system is a folder of outputs. The constant
delay of a system, up to 100 ms either way, is found by cross-correlation with the clean speech, is the same for all of
its clips (the median of theirs), is reported, and is removed before anything is scored. SI-SDR is scored at the rate of
the clean file, all else at 16 kHz.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vivavoce.audio import read_audio, resample, write_wav
from vivavoce.errors import AudioFileError
from vivavoce.evaluation.clips import SOUND_SUFFIXES
from vivavoce.evaluation.metrics import (
    ENHANCEMENT_METRICS,
    METRIC_SAMPLE_RATE,
    Metric,
    Scores,
    metric_versions,
    metrics_named,
    score_clip,
)
from vivavoce.evaluation.results import Record, ResultFile, record_key
from vivavoce.evaluation.workers import workers

CLEAN, NOISY, OURS = "clean", "noisy", "vivavoce"
DELAY_LIMIT_S = 0.1
LENGTH_TOLERANCE_S = 0.2  # systems drop or add a frame or two, and some flush their delay
_FILE_ID = re.compile(r"fileid_(\d+)")  # DNS challenge: what a clean and a noisy file have in common
_SHOWN = 5

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Clip:
    """Files of one clip.

    Attributes:
        id: Names it: that of the noisy file, without the suffix.
        clean: What it should be.
        outputs: What each system made of it, by system; the noisy and the clean file are systems, too.
    """

    id: str
    clean: Path
    outputs: dict[str, Path]


@dataclass(frozen=True)
class SystemScores:
    """What one system scored.

    Attributes:
        system: Its name.
        delay_s: Delay that was removed.
        records: One for each clip, in the order of the clips; keys as in `scores`, `failures`.
    """

    system: str
    delay_s: float
    records: list[Record]


@dataclass(frozen=True)
class _ScoreTask:
    clip: str
    system: str
    clean: Path
    output: Path
    delay_s: float
    metrics: tuple[str, ...]
    key: str


def match_files(clean: str | Path, noisy: str | Path, processed: Mapping[str, str | Path] | None = None) -> list[Clip]:
    """Match the files of a set and of the systems that processed it.

    Files belong together when their paths within their folders are equal up to the suffix, or else when both names
    have the same `fileid_N`, as in the sets of the DNS challenge.

    Args:
        clean: Folder.
        noisy: Folder.
        processed: Folders of outputs by the name of their system.

    Returns:
        Clips sorted by id, each with the outputs `noisy`, `clean` and those of the systems.

    Raises:
        AudioFileError: A folder is missing or holds no sound files.
        ValueError: A file of one folder has none, or several, in another; the message says which.
    """
    processed = dict(processed or {})
    taken = {CLEAN, NOISY} & set(processed)
    if taken:
        raise ValueError(f"no system may be called {taken.pop()!r}")
    noisy_files = _sound_files(Path(noisy))
    matched = {CLEAN: _match(noisy_files, Path(noisy), Path(clean)), NOISY: noisy_files}
    matched |= {name: _match(noisy_files, Path(noisy), Path(folder)) for name, folder in processed.items()}
    order = [NOISY, *processed, CLEAN]
    return [Clip(key, matched[CLEAN][key], {name: matched[name][key] for name in order}) for key in sorted(noisy_files)]


def our_systems(models: Sequence[str]) -> dict[str, str | None]:
    """Name our systems like their models, and `vivavoce` where none is named: what to run, by the name of the system.

    Raises:
        ValueError: Two have one name.
    """
    systems: dict[str, str | None] = {}
    for model in models:
        name = Path(model).name.removesuffix(".vvm")
        if name in systems:
            raise ValueError(f"two models are called {name!r}: {systems[name]} and {model}")
        systems[name] = model
    return systems or {OURS: None}


def denoise_clips(
    clips: Sequence[Clip],
    name: str,
    folder: str | Path,
    model: str | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Clip]:
    """Run our denoiser over the noisy files.

    Args:
        clips: Which.
        name: Of the new system.
        folder: Where its outputs go, 16-bit WAV; existing ones are replaced.
        model: Of the denoiser; None takes its default.
        jobs: Processes.
        progress: Told the stage, how many are done, and of how many.

    Returns:
        The clips with one system more, before the clean files.

    Raises:
        ValueError: The model is unknown.
        AudioFileError: A file cannot be read.
    """
    outputs = {clip.id: Path(folder, f"{clip.id}.wav") for clip in clips}
    for output in outputs.values():
        output.parent.mkdir(parents=True, exist_ok=True)
    tasks = [(clip.outputs[NOISY], outputs[clip.id], model) for clip in clips]
    with workers(min(jobs, len(tasks)) or 1) as run:
        for done, _ in enumerate(run(_denoise_file, tasks), start=1):
            _tell(progress, "denoising", done, len(tasks))
    return [Clip(clip.id, clip.clean, _before_clean(clip.outputs, name, outputs[clip.id])) for clip in clips]


def score_systems(
    clips: Sequence[Clip],
    metrics: Sequence[str],
    results: ResultFile | None = None,
    aligned: Sequence[str] = (),
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[SystemScores]:
    """Score every system on every clip.

    Args:
        clips: All with the same systems.
        metrics: Names out of `ENHANCEMENT_METRICS`.
        results: Where scores are kept as they come, and taken from where they are known.
        aligned: Systems without a delay to look for, besides `clean` and `noisy`.
        jobs: Processes.
        progress: Told the stage, how many are done, and of how many.

    Returns:
        One entry for each system, in the order that the clips have them.

    Raises:
        ValueError: An unknown metric, or files of one clip that differ in length.
        AudioFileError: A file cannot be read.
    """
    chosen = metrics_named(metrics, ENHANCEMENT_METRICS)
    names = tuple(metric.name for metric in chosen)
    systems = list(clips[0].outputs) if clips else []
    results = ResultFile() if results is None else results
    with workers(jobs) as run:
        delays = dict.fromkeys((CLEAN, NOISY, *aligned), 0.0)
        pairs = [(name, clip.clean, clip.outputs[name]) for name in systems if name not in delays for clip in clips]
        found: dict[str, list[float]] = {name: [] for name in systems}
        for done, (name, delay_s) in enumerate(run(_find_delay, pairs), start=1):
            found[name].append(delay_s)
            _tell(progress, "delays", done, len(pairs))
        delays |= {name: _median(values) for name, values in found.items() if name not in delays}
        tasks = [_score_task(clip, name, delays[name], names, chosen) for name in systems for clip in clips]
        missing = [task for task in tasks if task.key not in results]
        _tell(progress, "scores", 0, len(missing))
        for done, record in enumerate(run(_score, missing), start=1):
            results.append(record)
            _tell(progress, "scores", done, len(missing))
    by_system = {name: [results[task.key] for task in tasks if task.system == name] for name in systems}
    return [SystemScores(name, delays[name], records) for name, records in by_system.items()]


def score_pair(metrics: Sequence[Metric], clean: np.ndarray, output: np.ndarray, sample_rate: int) -> Scores:
    """Score one output at the rate that each metric wants.

    Args:
        metrics: Which.
        clean: Shape (samples,), float32.
        output: Like `clean`, aligned with it.
        sample_rate: Of both, in Hz.

    Returns:
        Scores in the order of the metrics.
    """
    native = score_clip([metric for metric in metrics if metric.any_rate], clean, output, sample_rate)
    wide = score_clip(
        [metric for metric in metrics if not metric.any_rate],
        resample(clean, sample_rate, METRIC_SAMPLE_RATE),
        resample(output, sample_rate, METRIC_SAMPLE_RATE),
    )
    values = native.values | wide.values
    return Scores({metric.name: values[metric.name] for metric in metrics}, native.failures | wide.failures)


def delay_samples(clean: np.ndarray, output: np.ndarray, limit: int) -> int:
    """By how many samples the output is late, at most `limit` either way: where the cross-correlation is largest.

    Args:
        clean: Shape (samples,).
        output: Shape (other samples,).
        limit: In samples, at least 0.

    Returns:
        The delay, negative where the output is early; 0 where one of them is silent.
    """
    size = 1 << (max(len(clean), len(output)) + limit).bit_length()
    spectrum = np.fft.rfft(output, size) * np.conj(np.fft.rfft(clean, size))
    correlation = np.fft.irfft(spectrum, size)
    lags = np.concatenate([correlation[size - limit :], correlation[: limit + 1]])
    return int(np.argmax(lags)) - limit if lags.max() > 0 else 0


def shifted(output: np.ndarray, delay: int, length: int) -> np.ndarray:
    """Take a delay off: `length` samples of the output, as float32, with zeros where it has none."""
    first = max(0, delay)
    part = np.pad(output[first : max(first, delay + length)], (max(0, -delay), 0))[:length]
    return np.pad(part, (0, length - len(part))).astype(np.float32, copy=False)


def _match(noisy_files: Mapping[str, Path], noisy: Path, folder: Path) -> dict[str, Path]:
    """Find the file of a folder for each noisy file, and no file left over."""
    files = _sound_files(folder)
    if set(files) == set(noisy_files):
        return files
    by_id, noisy_by_id = _by_file_id(files), _by_file_id(noisy_files)
    if by_id is not None and noisy_by_id is not None and set(by_id) == set(noisy_by_id):
        return {key: files[by_id[number]] for number, key in noisy_by_id.items()}
    lonely = [f"{noisy / key} has no match in {folder}" for key in sorted(set(noisy_files) - set(files))]
    lonely += [f"{folder / key} has no match in {noisy}" for key in sorted(set(files) - set(noisy_files))]
    more = f"; and {len(lonely) - _SHOWN} more" if len(lonely) > _SHOWN else ""
    raise ValueError("; ".join(lonely[:_SHOWN]) + more)


def _sound_files(folder: Path) -> dict[str, Path]:
    """Sound files of a folder and its folders, by their path without the suffix."""
    if not folder.is_dir():
        raise AudioFileError(folder, "is no folder")
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SOUND_SUFFIXES and path.is_file():
            key = path.relative_to(folder).with_suffix("").as_posix()
            if key in files:
                raise ValueError(f"{files[key]} and {path} have one name")
            files[key] = path
    if not files:
        raise AudioFileError(folder, "holds no sound files")
    return files


def _by_file_id(files: Mapping[str, Path]) -> dict[int, str] | None:
    """Names by their `fileid_N`; None where one has none, or two have the same."""
    ids = {key: _FILE_ID.search(Path(key).name) for key in files}
    numbers = {int(found[1]): key for key, found in ids.items() if found}
    return numbers if len(numbers) == len(files) else None


def _before_clean(outputs: Mapping[str, Path], name: str, output: Path) -> dict[str, Path]:
    if name in outputs:
        raise ValueError(f"two systems are called {name!r}")
    others = {system: path for system, path in outputs.items() if system != CLEAN}
    return others | {name: output, CLEAN: outputs[CLEAN]}


def _denoise_file(task: tuple[Path, Path, str | None]) -> None:
    from vivavoce.enhancement.denoiser import denoise

    source, output, model = task
    samples, sample_rate = read_audio(source)
    write_wav(output, denoise(samples, sample_rate, model=model), sample_rate, force=True)


def _find_delay(pair: tuple[str, Path, Path]) -> tuple[str, float]:
    system, clean_path, output_path = pair
    clean, sample_rate = read_audio(clean_path)
    output, _ = read_audio(output_path, sample_rate=sample_rate)
    return system, delay_samples(clean, output, round(DELAY_LIMIT_S * sample_rate)) / sample_rate


def _median(values: Sequence[float]) -> float:
    """The middle value, one that was measured, not the mean of two."""
    return sorted(values)[len(values) // 2]


def _score_task(
    clip: Clip, system: str, delay_s: float, metrics: tuple[str, ...], chosen: Sequence[Metric]
) -> _ScoreTask:
    output = clip.outputs[system]
    key = record_key(
        clip=clip.id,
        system=system,
        clean=_sha256(clip.clean),
        output=_sha256(output),
        delay_s=delay_s,
        metrics=metric_versions(chosen),
    )
    return _ScoreTask(clip.id, system, clip.clean, output, delay_s, metrics, key)


def _score(task: _ScoreTask) -> Record:
    clean, sample_rate = read_audio(task.clean)
    output, _ = read_audio(task.output, sample_rate=sample_rate)
    if abs(len(output) - len(clean)) > LENGTH_TOLERANCE_S * sample_rate:
        raise ValueError(
            f"{task.output} has {len(output) / sample_rate:.3f} s, and {task.clean} {len(clean) / sample_rate:.3f} s"
        )
    output = shifted(output, round(task.delay_s * sample_rate), len(clean))
    scores = score_pair(metrics_named(task.metrics, ENHANCEMENT_METRICS), clean, output, sample_rate)
    return {
        "key": task.key,
        "system": task.system,
        "clip": task.clip,
        "delay_s": task.delay_s,
        "scores": scores.values,
        "failures": scores.failures,
    }


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tell(progress: Progress | None, stage: str, done: int, total: int) -> None:
    if progress is not None:
        progress(stage, done, total)
