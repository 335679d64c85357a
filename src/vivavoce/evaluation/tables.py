"""The table of an evaluation: one row per rate, loss and configuration, with intervals over clips."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from rich.table import Table

from vivavoce.evaluation.call import CallScores, Configuration, NamedLoss
from vivavoce.evaluation.metrics import METRICS
from vivavoce.evaluation.rates import EqualRate
from vivavoce.evaluation.results import Record
from vivavoce.evaluation.statistics import Interval, mean_interval, paired_interval

MISSED_RATE = "*"  # beside a measured rate that is not within 3 % of its column


@dataclass(frozen=True)
class Row:
    """One cell of the grid, summed up over its clips.

    Attributes:
        configuration: What was run.
        loss: On which losses.
        rate: The target, and what it measured.
        bitrate_bps: Measured in the calls.
        lost: Share of packets lost in the calls.
        scores: By metric.
        differences: From the baseline on the same clips with the same losses, by metric; empty for the baseline itself
            and where it was not run.
        slots: Share of slots by source.
        failures: How many clips have no score, by metric and reason.
    """

    configuration: Configuration
    loss: NamedLoss
    rate: EqualRate
    bitrate_bps: Interval
    lost: float
    scores: dict[str, Interval]
    differences: dict[str, Interval] = field(default_factory=dict)
    slots: dict[str, float] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)

    def as_json(self, baseline: str) -> dict[str, Any]:
        """Spell the row out for machines; what is not a number is null."""
        configuration = self.configuration
        return {
            "configuration": configuration.name,
            "protection": str(configuration.protection),
            "conceal": configuration.conceal,
            "bitrate_bps": configuration.bitrate_bps,
            "playout_delay_ms": "adaptive"
            if configuration.playout_delay_ms is None
            else configuration.playout_delay_ms,
            "loss": self.loss.name,
            "loss_rate": self.loss.model.loss_rate,
            "lost": self.lost,
            "target_bps": self.rate.target_bps,
            "measured_bitrate_bps": interval_json(self.bitrate_bps),
            "rate_reached": self.rate.reached,
            "scores": {name: interval_json(interval) for name, interval in self.scores.items()},
            "baseline": baseline,
            "differences": {name: interval_json(interval) for name, interval in self.differences.items()},
            "slots": self.slots,
            "failures": self.failures,
        }


def summarise(cells: Sequence[CallScores], metrics: Sequence[str], baseline: str = "none") -> list[Row]:
    """Sum up an evaluation.

    Args:
        cells: What `run_calls` measured.
        metrics: Names of the metrics.
        baseline: Name of the configuration that the others of the same rate, delay and loss are compared with.

    Returns:
        Rows sorted by rate, delay and loss rate; configurations stay in the order given.
    """
    of_baseline = {_group(cell): cell for cell in cells if cell.configuration.name == baseline}
    ordered = sorted(cells, key=lambda cell: _order(cell.configuration, cell.loss))
    return [_row(cell, metrics, of_baseline.get(_group(cell))) for cell in ordered]


def rich_table(rows: Sequence[Row], metrics: Sequence[str]) -> Table:
    """Lay the rows out for a terminal; a line between the groups that are compared with each other."""
    heading, *body = _texts(rows, metrics)
    table = Table(title_justify="left", header_style="bold")
    for position, name in enumerate(heading):
        table.add_column(name, justify="left" if position < _left_columns(rows) else "right", no_wrap=True)
    for position, (row, texts) in enumerate(zip(rows, body, strict=True)):
        last = position + 1 == len(rows)
        table.add_row(*texts, end_section=not last and _group(row) != _group(rows[position + 1]))
    return table


def markdown_table(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    """Lay the rows out as a Markdown table, as README shows it."""
    heading, *body = _texts(rows, metrics)
    return markdown_lines(heading, body, _left_columns(rows))


def footnotes(rows: Sequence[Row], baseline: str) -> list[str]:
    """Say what the table itself cannot: clips, intervals, missed rates, failures."""
    clips = sorted({row.bitrate_bps.count for row in rows})
    notes = [
        f"{' or '.join(map(str, clips))} clips a row; ± is half the 95 % confidence interval of the mean over clips."
    ]
    if any(row.differences for row in rows):
        notes.append(f"Δ is the paired difference from {baseline!r} on the same clips, with the same losses and rate.")
    missed = [row for row in rows if not row.rate.reached]
    if missed:
        named = dict.fromkeys(
            f"{row.configuration.name} at {_kilo(row.configuration.bitrate_bps)} kb/s" for row in missed
        )
        notes.append(f"{MISSED_RATE} not within 3 % of the rate of its column: {', '.join(named)}.")
    failed = Counter[str]()
    for row in rows:
        failed.update(row.failures)
    notes += [f"{count} calls without a score: {reason}." for reason, count in failed.items()]
    return notes


def markdown_lines(heading: Sequence[str], body: Sequence[Sequence[str]], left: int = 1) -> str:
    """Lay texts out as a Markdown table.

    Args:
        heading: One text a column.
        body: Likewise, a row each.
        left: So many columns are aligned to the left, the others to the right.
    """
    widths = [max(len(texts[column]) for texts in (heading, *body)) for column in range(len(heading))]
    rule = ["-" * width if column < left else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    lines = [
        [text.ljust(width) if column < left else text.rjust(width) for column, (text, width) in enumerate(cells)]
        for cells in (list(zip(texts, widths, strict=True)) for texts in (heading, rule, *body))
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_interval(interval: Interval, decimals: int, sign: str = "") -> str:
    """Write a mean and half of its interval, such as `2.41 ±0.07`.

    Args:
        interval: Of what.
        decimals: Digits after the point.
        sign: "+" shows that of a positive mean, too.
    """
    if math.isnan(interval.mean):
        return "–"
    mean = f"{interval.mean:{sign}.{decimals}f}".replace("-", "−")
    return mean if math.isnan(interval.half_width) else f"{mean} ±{interval.half_width:.{decimals}f}"


def interval_json(interval: Interval) -> dict[str, float | int | None]:
    """Spell an interval out for machines; what is not a number is null."""
    return {name: None if math.isnan(value) else value for name, value in asdict(interval).items()}


def _row(cell: CallScores, metrics: Sequence[str], baseline: CallScores | None) -> Row:
    records = cell.records
    scores = {name: _scores(records, name) for name in metrics}
    differences = {}
    if baseline is not None and baseline is not cell:
        differences = {name: paired_interval(scores[name], _scores(baseline.records, name)) for name in metrics}
    slots = Counter[str]()
    for record in records:
        slots.update(record.get("slots", {}))
    failures = Counter(
        f"{METRICS[name].label}: {reason}" for record in records for name, reason in record.get("failures", {}).items()
    )
    return Row(
        configuration=cell.configuration,
        loss=cell.loss,
        rate=cell.rate,
        bitrate_bps=mean_interval([record["measured_bitrate_bps"] for record in records]),
        lost=sum(record["lost"] for record in records) / max(1, sum(record["packets"] for record in records)),
        scores={name: mean_interval(values) for name, values in scores.items()},
        differences=differences,
        slots={source: count / slots.total() for source, count in slots.items()} if slots.total() else {},
        failures=dict(failures),
    )


def _scores(records: Sequence[Record], metric: str) -> np.ndarray:
    """One score per clip; NaN where there is none (null in a file, absent in Parquet)."""
    values = (record["scores"].get(metric) for record in records)
    return np.array([float("nan") if value is None else value for value in values])


def _group(part: CallScores | Row) -> tuple[int, float | None, str]:
    """Take what must be equal for two cells to be compared."""
    return part.configuration.bitrate_bps, part.configuration.playout_delay_ms, part.loss.name


def _order(configuration: Configuration, loss: NamedLoss) -> tuple[int, float, float, str]:
    delay_ms = configuration.playout_delay_ms
    return configuration.bitrate_bps, math.inf if delay_ms is None else delay_ms, loss.model.loss_rate, loss.name


def _texts(rows: Sequence[Row], metrics: Sequence[str]) -> list[list[str]]:
    """Write out the heading and every row, left columns first."""
    delays = _several_delays(rows)
    compared = any(row.differences for row in rows)
    heading = ["kb/s", *(["delay ms"] if delays else []), "loss", "protection", "measured kb/s"]
    for name in metrics:
        heading += [METRICS[name].label, *([f"Δ {METRICS[name].label}"] if compared else [])]
    texts = [heading]
    for row in rows:
        configuration = row.configuration
        delay_ms = configuration.playout_delay_ms
        line = [_kilo(configuration.bitrate_bps)]
        if delays:
            line.append("adaptive" if delay_ms is None else f"{delay_ms:g}")
        line += [row.loss.name, configuration.name, _measured_rate(row)]
        for name in metrics:
            decimals = METRICS[name].decimals
            line.append(with_interval(row.scores[name], decimals))
            if compared:
                line.append(with_interval(row.differences[name], decimals, "+") if row.differences else "")
        texts.append(line)
    return texts


def _left_columns(rows: Sequence[Row]) -> int:
    return 4 if _several_delays(rows) else 3


def _several_delays(rows: Sequence[Row]) -> bool:
    return len({row.configuration.playout_delay_ms for row in rows}) > 1


def _measured_rate(row: Row) -> str:
    rate = row.bitrate_bps
    kilo = Interval(rate.mean / 1000, rate.low / 1000, rate.high / 1000, rate.count)
    return with_interval(kilo, 1) + ("" if row.rate.reached else MISSED_RATE)


def _kilo(bitrate_bps: float) -> str:
    return f"{bitrate_bps / 1000:g}"
