"""Configurations x losses x clips through a simulated call, scored.

Every configuration meets the same losses on the same clip, so that they can be compared in pairs. The clips are treated
as consecutive parts of one long call: where a recorded trace is played, each clip takes it up where the clip before
stopped, so that all of the trace counts and not only its beginning; random losses get a seed of their own per clip.
Before anything is scored, the target rate of each configuration is moved until it measures what its column says
(`vivavoce.evaluation.rates`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vivavoce import __version__
from vivavoce.codec.library import find_libopus
from vivavoce.evaluation.clips import Clip
from vivavoce.evaluation.metrics import METRIC_SAMPLE_RATE, metric_versions, metrics_named, score_clip
from vivavoce.evaluation.rates import EqualRate, equal_rate
from vivavoce.evaluation.results import Record, ResultFile, record_key
from vivavoce.evaluation.workers import Workers, workers
from vivavoce.transport.call import CallSettings, encode_rate, simulate_call
from vivavoce.transport.loss import LossModel, RecordedTrace
from vivavoce.transport.protection import Protection

PACKET_SAMPLES = METRIC_SAMPLE_RATE // 50  # 20 ms
LONG_DELAY_MS = 1100.0  # long enough for every redundancy to be used: what published tables are measured with

Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True)
class Configuration:
    """What is compared: how a call is protected, at which rate, and how gaps are filled.

    Attributes:
        protection: What the sender adds.
        bitrate_bps: The column: all configurations of a column are brought to this measured rate.
        conceal: What fills a slot for which nothing came: one of `concealment.concealer.CONCEALERS`.
        playout_delay_ms: From capture to playout; None is adaptive.
    """

    protection: Protection
    bitrate_bps: int
    conceal: str = "opus"
    playout_delay_ms: float | None = LONG_DELAY_MS

    @property
    def name(self) -> str:
        """What it is called beside others of its column and delay, such as `lbrr+red:2` or `none/silence`."""
        return str(self.protection) if self.conceal == "opus" else f"{self.protection}/{self.conceal}"


@dataclass(frozen=True)
class NamedLoss:
    """A loss model and its name in tables."""

    name: str
    model: LossModel


@dataclass(frozen=True)
class CallGrid:
    """What to run: every configuration with every loss, on every clip.

    Attributes:
        configurations: What is compared.
        losses: On which losses.
        metrics: Names of the metrics.
        expected_loss_pct: What the encoder prepares for; None is the loss rate of each model.
        jitter_ms: Mean delay variation of the network.
        seed: Of all that is random; each clip adds its place among the clips.
        restart_trace: Begin each clip with the first line of a recorded trace.
    """

    configurations: Sequence[Configuration]
    losses: Sequence[NamedLoss]
    metrics: Sequence[str] = ("plcmos", "pesq", "estoi")
    expected_loss_pct: float | None = None
    jitter_ms: float = 0.0
    seed: int = 0
    restart_trace: bool = False

    def settings(self, configuration: Configuration, loss: NamedLoss) -> CallSettings:
        """Settle a call of this cell, at the column's rate and for the first clip."""
        expected = 100 * loss.model.loss_rate if self.expected_loss_pct is None else self.expected_loss_pct
        return CallSettings(
            loss=loss.model,
            jitter_ms=self.jitter_ms,
            seed=self.seed,
            bitrate_bps=configuration.bitrate_bps,
            expected_loss_pct=expected,
            protection=configuration.protection,
            conceal=configuration.conceal,
            playout_delay_ms=configuration.playout_delay_ms,
            sample_rate=METRIC_SAMPLE_RATE,
        )


@dataclass(frozen=True)
class CallScores:
    """One cell of the grid, measured.

    Attributes:
        configuration: What was run.
        loss: On which losses.
        rate: The target, and what it measured.
        records: One per clip, in the order of the clips.
    """

    configuration: Configuration
    loss: NamedLoss
    rate: EqualRate
    records: list[Record]


@dataclass(frozen=True)
class _Task:
    """One clip through one call; `labels` only describe it and decide nothing."""

    key: str
    clip: Clip
    settings: CallSettings
    metrics: tuple[str, ...] = ()
    labels: Mapping[str, str | int | float] = field(default_factory=dict)


def run_calls(
    grid: CallGrid, clips: Sequence[Clip], results: ResultFile, jobs: int = 1, progress: Progress = lambda *_: None
) -> list[CallScores]:
    """Measure every cell that `results` does not hold yet.

    Args:
        grid: What to run.
        clips: On which clips.
        results: Holds what was measured before, and takes what is measured now, clip by clip.
        jobs: Processes.
        progress: Told the stage ("rates" or "calls"), how many parts of it are done, and how many there are.

    Returns:
        All cells, losses within configurations.

    Raises:
        ValueError: Nothing to run, or a setting that a call refuses.
        VivavoceError: An extra or libopus is missing, or a worker died.
    """
    if not (grid.configurations and grid.losses and clips):
        raise ValueError("an evaluation needs at least one configuration, one loss and one clip")
    metrics = metrics_named(grid.metrics)
    software = {"vivavoce": __version__, "libopus": find_libopus().version}
    with workers(jobs) as work:
        rates = _equal_rates(grid, clips, results, work, software, progress)
        software |= metric_versions(metrics)
        names = tuple(metric.name for metric in metrics)
        cells = [(configuration, loss) for configuration in grid.configurations for loss in grid.losses]
        tasks = [
            _call_tasks(grid, configuration, loss, rates[configuration, loss.name].target_bps, clips, names, software)
            for configuration, loss in cells
        ]
        todo = [task for cell in tasks for task in cell if task.key not in results]
        done = sum(map(len, tasks)) - len(todo)
        progress("calls", done, done + len(todo))
        for record in work(_score_call, todo):
            results.append(record)
            done += 1
            progress("calls", done, sum(map(len, tasks)))
    return [
        CallScores(configuration, loss, rates[configuration, loss.name], [results[task.key] for task in cell])
        for (configuration, loss), cell in zip(cells, tasks, strict=True)
    ]


def _equal_rates(
    grid: CallGrid,
    clips: Sequence[Clip],
    results: ResultFile,
    work: Workers,
    software: dict[str, str],
    progress: Progress,
) -> dict[tuple[Configuration, str], EqualRate]:
    """Find the target of every cell; cells that their encoder cannot tell apart share one."""
    cells = [(configuration, loss) for configuration in grid.configurations for loss in grid.losses]
    rates: dict[tuple[Configuration, str], EqualRate] = {}
    similar: dict[tuple[Protection, int], int] = {}  # a good first guess is what another loss needed
    for done, (configuration, loss) in enumerate(cells):
        progress("rates", done, len(cells))
        settings = grid.settings(configuration, loss)
        column = (configuration.protection, configuration.bitrate_bps)
        key = record_key(
            kind="rate",
            protection=str(configuration.protection),
            bitrate_bps=configuration.bitrate_bps,
            expected_loss_pct=settings.expected_loss_pct,
            clips=[clip.sha256 for clip in clips],
            **(
                {"loss": _fingerprint(loss.model), "playout_delay_ms": configuration.playout_delay_ms}
                if configuration.protection.follows_bursts
                else {}
            ),
            **software,
        )
        if key not in results:
            rate = equal_rate(configuration.bitrate_bps, _mean_rate(settings, clips, work), similar.get(column))
            results.append(
                {"key": key, "kind": "rate", "target_bps": rate.target_bps, "measured_bitrate_bps": rate.measured_bps}
                | {"reached": rate.reached}
            )
        record = results[key]
        rates[configuration, loss.name] = EqualRate(
            record["target_bps"], record["measured_bitrate_bps"], record["reached"]
        )
        similar[column] = record["target_bps"]
    progress("rates", len(cells), len(cells))
    return rates


def _mean_rate(settings: CallSettings, clips: Sequence[Clip], work: Workers) -> Callable[[int], float]:
    """Measure a target: bits of all clips over their duration."""
    duration_s = sum(clip.duration_s for clip in clips)

    def measure(target_bps: int) -> float:
        at_target = replace(settings, bitrate_bps=target_bps)
        bits = work(_encoded_bits, [_Task("", clip, at_target) for clip in clips])
        return math.fsum(bits) / duration_s  # exact, so that the order in which they come changes nothing

    return measure


def _call_tasks(
    grid: CallGrid,
    configuration: Configuration,
    loss: NamedLoss,
    target_bps: int,
    clips: Sequence[Clip],
    metrics: tuple[str, ...],
    software: dict[str, str],
) -> list[_Task]:
    """Make one call per clip, each with its own part of the trace, its own seed, and a key of all that decides it."""
    cell = replace(grid.settings(configuration, loss), bitrate_bps=target_bps)
    labels = {
        "configuration": configuration.name,
        "bitrate_bps": configuration.bitrate_bps,
        "loss": loss.name,
        "loss_rate": loss.model.loss_rate,
    }
    tasks, packets_before = [], 0
    for place, clip in enumerate(clips):
        model = loss.model
        if isinstance(model, RecordedTrace) and not grid.restart_trace:
            model = RecordedTrace(model.lost, model.start + packets_before)
        packets_before += -(-len(clip.samples) // PACKET_SAMPLES)
        settings = replace(cell, loss=model, seed=grid.seed + place)
        key = record_key(
            kind="call",
            clip=clip.sha256,
            loss=_fingerprint(model),
            protection=str(settings.protection),
            metrics=list(metrics),
            jitter_ms=settings.jitter_ms,
            seed=settings.seed,
            bitrate_bps=settings.bitrate_bps,
            expected_loss_pct=settings.expected_loss_pct,
            conceal=settings.conceal,
            playout_delay_ms=settings.playout_delay_ms,
            **software,
        )
        tasks.append(_Task(key, clip, settings, metrics, labels))
    return tasks


def _fingerprint(loss: LossModel | None) -> str:
    if isinstance(loss, RecordedTrace):
        return f"trace {hashlib.sha256(np.packbits(loss.lost).tobytes()).hexdigest()} {len(loss.lost)} {loss.start}"
    return repr(loss)


def _encoded_bits(task: _Task) -> float:
    return encode_rate(task.clip.samples, task.settings) * task.clip.duration_s


def _score_call(task: _Task) -> Record:
    result = simulate_call(task.clip.samples, task.settings)
    scores = score_clip(metrics_named(task.metrics), task.clip.samples, result.samples)
    settings = task.settings
    return {
        "key": task.key,
        "kind": "call",
        "clip": task.clip.id,
        "clip_sha256": task.clip.sha256,
        **task.labels,
        "protection": str(settings.protection),
        "conceal": settings.conceal,
        "playout_delay_ms": settings.playout_delay_ms,
        "target_bps": settings.bitrate_bps,
        "expected_loss_pct": result.expected_loss_pct,
        "seed": settings.seed,
        "measured_bitrate_bps": result.bitrate_bps,
        "packets": result.packets,
        "lost": result.lost,
        "slots": result.slots,
        "carried": result.protection,
        "cpu_seconds_per_second": result.cpu_seconds_per_second,
        "scores": scores.values,
        "failures": scores.failures,
    }
