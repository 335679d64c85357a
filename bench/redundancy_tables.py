"""Calls of every protection side by side: scores, impacts of loss, and how the one that was chosen compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from report import Report

from vivavoce.evaluation.call import CallScores
from vivavoce.evaluation.statistics import Interval, mean_interval, paired_interval
from vivavoce.evaluation.tables import footnotes, markdown_table, summarise, with_interval

SCORES = ("plcmos", "pesq", "estoi")


@dataclass(frozen=True)
class CallTable:
    """Scores of calls, as `vivavoce evaluate call` shows them.

    Attributes:
        cells: The calls.
        baseline: What differences are from.
    """

    cells: list[CallScores]
    baseline: str

    def as_json(self) -> Iterator[dict[str, object]]:
        for row in summarise(self.cells, SCORES, self.baseline):
            yield row.as_json(self.baseline)

    def as_markdown(self) -> str:
        rows = summarise(self.cells, SCORES, self.baseline)
        return "\n".join([markdown_table(rows, SCORES), "", *footnotes(rows, self.baseline), ""])


def impact(cells: Sequence[CallScores], whole: Mapping[int, CallScores]) -> Report:
    """What losses take from PLCMOS, beside a call of the same rate without loss; and as a share of PLC's."""
    means: dict[tuple[int, str], float] = {}
    rows = []
    for cell in cells:
        rate, protection, taken = _rate(cell), _protection(cell), _taken(cell, whole)
        if protection == "none":
            means[rate, cell.loss.name] = taken.mean
        rows.append({"rate": f"{rate // 1000} kb/s", "loss": cell.loss.name, "protection": protection})
        rows[-1] |= {"impact": taken, "measured": cell.rate.measured_bps / 1000, "key": (rate, cell.loss.name)}
    for row in rows:
        row["share"] = row["impact"].mean / means[row.pop("key")]
    columns = {"rate": "rate", "loss": "loss", "protection": "protection", "measured": "kb/s", "impact": "impact"}
    columns["share"] = "of PLC's"
    rows.sort(key=lambda row: (len(row["rate"]), row["rate"], row["loss"]))
    note = "Impact: PLCMOS of the unprotected call without loss, less PLCMOS with loss, same clips and rate."
    return Report("impact", "Impact of loss", columns, rows, [note], {"measured": 1})


def side_by_side(cells: Sequence[CallScores], whole: Mapping[int, CallScores]) -> Report:
    """A row for each rate and loss, a column for each protection."""
    rows: dict[tuple[int, str], dict[str, str]] = {}
    for cell in cells:
        row = rows.setdefault((_rate(cell), cell.loss.name), {"rate": str(_rate(cell) // 1000), "loss": cell.loss.name})
        pesq, estoi = (mean_interval(scores(cell, name)).mean for name in ("pesq", "estoi"))
        row[_protection(cell)] = f"{with_interval(_taken(cell, whole), 2)}, {pesq:.2f}, {estoi:.3f}"
    columns = {"rate": "kb/s", "loss": "loss"} | {name: name for name in map(_protection, cells)}
    note = f"Impact on PLCMOS, PESQ-WB, ESTOI; {len(cells[0].records)} clips."
    return Report("side-by-side", "Side by side", columns, list(rows.values()), [note])


def chosen(cells: Sequence[CallScores]) -> Report:
    """Where `auto` is below a fixed protection of the same rate and loss in PLCMOS, beyond their paired interval.

    Beside it what it is in the other scores.
    """
    autos = {(_rate(cell), cell.loss.name): cell for cell in cells if _protection(cell) == "auto"}
    fixed = [cell for cell in cells if _protection(cell) != "auto"]
    rows, compared = [], 0
    for cell in fixed:
        rate, loss = _rate(cell), cell.loss.name
        if (auto := autos.get((rate, loss))) is None:
            continue
        compared += 1
        differences = {name: paired_interval(scores(auto, name), scores(cell, name)) for name in SCORES}
        if differences["plcmos"].high < 0:
            rows.append({"rate": f"{rate // 1000} kb/s", "loss": loss, "protection": _protection(cell)} | differences)
    columns = {"rate": "rate", "loss": "loss", "protection": "against", "plcmos": "PLCMOS", "pesq": "PESQ"}
    columns["estoi"] = "ESTOI"
    note = f"{len(rows)} of {compared} comparisons of auto with a fixed protection; by chance one in 40 would be here."
    return Report("chosen", "Where auto is below", columns, rows, [note], {"plcmos": 3, "estoi": 3})


def scores(cell: CallScores, name: str) -> np.ndarray:
    """Of one kind, by clip; NaN where there is none."""
    return np.array([record["scores"].get(name, np.nan) for record in cell.records], dtype=float)


def _taken(cell: CallScores, whole: Mapping[int, CallScores]) -> Interval:
    """From PLCMOS, by the losses."""
    return paired_interval(scores(whole[_rate(cell)], "plcmos"), scores(cell, "plcmos"))


def _rate(cell: CallScores) -> int:
    return cell.configuration.bitrate_bps


def _protection(cell: CallScores) -> str:
    return str(cell.configuration.protection)
