"""The table of denoisers side by side: scores of each system, then paired differences, with intervals over clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from vivavoce.evaluation.enhancement import CLEAN, NOISY, SystemScores
from vivavoce.evaluation.metrics import ENHANCEMENT_METRICS
from vivavoce.evaluation.results import Record
from vivavoce.evaluation.statistics import Interval, mean_interval, paired_interval
from vivavoce.evaluation.tables import interval_json, markdown_lines, with_interval

MINUS = "−"


@dataclass(frozen=True)
class SystemRow:
    """One system, summed up over its clips.

    Attributes:
        system: Its name.
        delay_s: Delay that was removed before it was scored.
        scores: By metric.
        differences: From each baseline on the same clips, by baseline and metric; none from itself.
        failures: How many clips have no score, by metric and reason.
    """

    system: str
    delay_s: float
    scores: dict[str, Interval]
    differences: dict[str, dict[str, Interval]]
    failures: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Spell the row out for machines; what is not a number is null."""
        return {
            "system": self.system,
            "delay_s": self.delay_s,
            "scores": _json(self.scores),
            "differences": {name: _json(differences) for name, differences in self.differences.items()},
            "failures": self.failures,
        }


def summarise_systems(
    systems: Sequence[SystemScores],
    metrics: Sequence[str],
    baselines: Sequence[str],
    clips: Collection[str] | None = None,
    compared: Collection[str] | None = None,
) -> list[SystemRow]:
    """Sum up what systems scored.

    Args:
        systems: What `score_systems` returned.
        metrics: Names of the metrics.
        baselines: Systems that others are compared with.
        clips: Only these; None takes all.
        compared: Systems that are compared; None takes all.

    Returns:
        Rows in the order given. Noisy and clean speech themselves are compared with nothing.

    Raises:
        ValueError: A baseline is none of the systems.
    """
    records = {
        system.system: [record for record in system.records if clips is None or record["clip"] in clips]
        for system in systems
    }
    unknown = set(baselines) - set(records)
    if unknown:
        raise ValueError(f"no system is called {unknown.pop()!r}; there are: {', '.join(records)}")
    scores = {name: {metric: _values(rows, metric) for metric in metrics} for name, rows in records.items()}
    rows = []
    for system in systems:
        name = system.system
        against = [baseline for baseline in baselines if baseline != name and name not in (CLEAN, NOISY)]
        if compared is not None and name not in compared:
            against = []
        rows.append(
            SystemRow(
                system=name,
                delay_s=system.delay_s,
                scores={metric: mean_interval(values) for metric, values in scores[name].items()},
                differences={
                    baseline: {
                        metric: paired_interval(scores[name][metric], scores[baseline][metric]) for metric in metrics
                    }
                    for baseline in against
                },
                failures=_failures(records[name]),
            )
        )
    return rows


def rich_table(rows: Sequence[SystemRow], metrics: Sequence[str]) -> Table:
    """Lay the rows out for a terminal: scores, then the differences from each baseline."""
    heading, *body = _texts(rows, metrics)
    table = Table(header_style="bold")
    for position, name in enumerate(heading):
        table.add_column(name, justify="right" if position else "left", no_wrap=True)
    for position, texts in enumerate(body, start=1):
        table.add_row(*texts, end_section=position == len(rows))
    return table


def markdown_table(rows: Sequence[SystemRow], metrics: Sequence[str]) -> str:
    """Lay the rows out as a Markdown table, as README shows it."""
    heading, *body = _texts(rows, metrics)
    return markdown_lines(heading, body)


def footnotes(rows: Sequence[SystemRow]) -> list[str]:
    """Say what the table itself cannot: clips, intervals, missing scores."""
    counts = sorted({interval.count for row in rows for interval in row.scores.values() if interval.count})
    clips = f"{counts[-1]} {_clips(counts[-1])}" if counts else "No clips"
    notes = [
        f"{clips}; ± is half the 95 % confidence interval of the mean over clips; A {MINUS} B is the paired difference "
        "on the same clips. Delay: what was removed before scoring."
    ]
    for row in rows:
        if row.system != CLEAN:
            notes += [
                f"{row.system}: {count} {_clips(count)} without a score: {reason}."
                for reason, count in row.failures.items()
            ]
    return notes


def _clips(count: int) -> str:
    return "clip" if count == 1 else "clips"


def _texts(rows: Sequence[SystemRow], metrics: Sequence[str]) -> list[list[str]]:
    """Write out the heading, every system, and every difference."""
    texts = [["system", "delay ms", *(ENHANCEMENT_METRICS[name].label for name in metrics)]]
    texts += [[row.system, f"{row.delay_s * 1000:.1f}".replace("-", MINUS), *_cells(row.scores)] for row in rows]
    baselines = dict.fromkeys(baseline for row in rows for baseline in row.differences)
    for baseline in baselines:
        for row in rows:
            if baseline in row.differences:
                texts.append([f"{row.system} {MINUS} {baseline}", "", *_cells(row.differences[baseline], "+")])
    return texts


def _cells(intervals: dict[str, Interval], sign: str = "") -> list[str]:
    return [with_interval(interval, ENHANCEMENT_METRICS[name].decimals, sign) for name, interval in intervals.items()]


def _values(records: Sequence[Record], metric: str) -> np.ndarray:
    """One score per clip; NaN where there is none (null in a file)."""
    values = (record["scores"].get(metric) for record in records)
    return np.array([float("nan") if value is None else value for value in values], dtype=np.float64)


def _failures(records: Sequence[Record]) -> dict[str, int]:
    reasons = (
        f"{ENHANCEMENT_METRICS[name].label}: {reason}"
        for record in records
        for name, reason in record.get("failures", {}).items()
    )
    return dict(Counter(reasons))


def _json(intervals: dict[str, Interval]) -> dict[str, dict[str, float | int | None]]:
    return {name: interval_json(interval) for name, interval in intervals.items()}
