"""The picture of an evaluation: each metric against the loss rate, or the delay, one line per configuration."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vivavoce.audio import write_whole
from vivavoce.errors import MissingExtraError
from vivavoce.evaluation.metrics import METRICS
from vivavoce.evaluation.tables import Row

# Okabe and Ito's colours, which colour-blind readers can tell apart, without their yellow, which paper swallows.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PANEL_INCHES = (4.0, 2.9)
DODGE = 0.011  # of the loss axis, between the error bars of neighbouring configurations
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "axes.edgecolor": "#666666",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "axes.labelcolor": "#222222",
}

SEVERAL_DELAYS = 3  # of which on they are the axis, and losses stand side by side

_Series = dict[str, list[Row]]
_Column = tuple[int, float | str | None]  # rate, and delay or loss


def plot_calls(rows: Sequence[Row], metrics: Sequence[str], path: str | Path) -> None:
    """Draw the rows into a PNG file.

    Against the loss rate, with a panel for each rate and playout delay: traces of one family, those whose names differ
    only in their numbers, are joined by a line; a trace of its own, such as a measured one among modelled ones, stands
    beside it as a hollow mark, because its bursts are of another kind. Where there are three fixed delays or more,
    against the delay, with a panel for each rate and loss.

    Args:
        rows: What `summarise` made.
        metrics: Names of the metrics, one row of panels each.
        path: The file; one that exists is overwritten.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    try:
        matplotlib = importlib.import_module("matplotlib")
        figures = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise MissingExtraError("evaluate", "matplotlib") from None
    delays = {row.configuration.playout_delay_ms for row in rows}
    over_delay = len(delays) >= SEVERAL_DELAYS and None not in delays
    columns = list(dict.fromkeys(_column(row, over_delay) for row in rows))
    series: _Series = {}
    for row in rows:
        series.setdefault(row.configuration.name, []).append(row)
    with matplotlib.rc_context(STYLE):
        size = (0.7 + PANEL_INCHES[0] * len(columns), 0.9 + PANEL_INCHES[1] * len(metrics))
        figure = figures.Figure(figsize=size, dpi=150, layout="constrained")
        panels = figure.subplots(len(metrics), len(columns), sharex=True, sharey="row", squeeze=False)
        for metric, line in zip(metrics, panels, strict=True):
            line[0].set_ylabel(METRICS[metric].label, fontweight="bold")
            for column, panel in zip(columns, line, strict=True):
                if over_delay:
                    _draw_delays(panel, series, metric, column)
                else:
                    _draw_panel(panel, series, metric, column)
        for column, top, bottom in zip(columns, panels[0], panels[-1], strict=True):
            top.set_title(_column_title(column, len(delays) > 1), fontweight="bold", fontsize=10)
            bottom.set_xlabel("playout delay (ms)" if over_delay else "packets lost (%)")
        figure.align_ylabels(panels[:, 0])
        legend: dict[str, Any] = {}
        for panel in panels.flat:
            handles, labels = panel.get_legend_handles_labels()
            legend |= {label: handle for label, handle in zip(labels, handles, strict=True) if label not in legend}
        beside = min(len(legend), 1 + 2 * len(columns), 7)
        figure.legend(legend.values(), legend.keys(), loc="outside upper center", ncols=beside, frameon=False)
        figure.supxlabel("bars: 95 % confidence interval of the mean over clips", fontsize=8, color="#666666")
        write_whole(path, lambda file: figure.savefig(file, format="png"))


def _column(row: Row, over_delay: bool) -> _Column:
    configuration = row.configuration
    return configuration.bitrate_bps, row.loss.name if over_delay else configuration.playout_delay_ms


def _draw_delays(panel: Any, series: _Series, metric: str, column: _Column) -> None:
    delays: set[float] = set()
    for number, (name, rows) in enumerate(series.items()):
        shift = 1 + 2 * (number - (len(series) - 1) / 2) * DODGE
        members = sorted(
            ((row.configuration.playout_delay_ms or 0.0, row) for row in rows if _column(row, True) == column),
            key=lambda each: each[0],
        )
        delays |= {delay for delay, _ in members}
        places = [max(delay, 1.0) * shift for delay, _ in members]
        _draw_series(panel, number, places, [row for _, row in members], metric, name)
    panel.set_xscale("log")
    panel.set_xticks(sorted(delays), [f"{delay:g}" for delay in sorted(delays)])
    panel.minorticks_off()


def _draw_panel(panel: Any, series: _Series, metric: str, column: _Column) -> None:
    span = max((row.loss.model.loss_rate for rows in series.values() for row in rows), default=0.0) * 100
    families = _family_sizes(series)
    for number, (name, rows) in enumerate(series.items()):
        shift = (number - (len(series) - 1) / 2) * DODGE * span
        by_family: dict[str, list[Row]] = {}
        for row in rows:
            if _column(row, False) == column:
                by_family.setdefault(_family(row.loss.name), []).append(row)
        for family, members in by_family.items():
            joined = families[family] > 1 or len(families) == 1
            places = [100 * row.loss.model.loss_rate + shift for row in members]
            _draw_series(panel, number, places, members, metric, name if joined else None)
    for family, count in families.items():
        if count == 1 and len(families) > 1:
            _name_loner(panel, series, family)


def _draw_series(
    panel: Any, number: int, places: Sequence[float], rows: Sequence[Row], metric: str, name: str | None
) -> None:
    """Means with their intervals; joined where they have a name, hollow marks where not."""
    colour, scores = COLOURS[number % len(COLOURS)], [row.scores[metric] for row in rows]
    panel.errorbar(
        places,
        [score.mean for score in scores],
        yerr=[
            [_length(score.mean - score.low) for score in scores],
            [_length(score.high - score.mean) for score in scores],
        ],
        color=colour,
        marker=MARKERS[number % len(MARKERS)],
        markersize=4.5,
        markerfacecolor=colour if name else "white",
        linestyle="-" if name else "none",
        linewidth=1.4,
        elinewidth=0.9,
        capsize=1.5,
        label=name,
    )


def _name_loner(panel: Any, series: _Series, family: str) -> None:
    """Write the name of a trace that no line joins along the foot of the panel."""
    row = next(row for rows in series.values() for row in rows if _family(row.loss.name) == family)
    panel.annotate(
        row.loss.name,
        (100 * row.loss.model.loss_rate, 0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=6.5,
        color="#777777",
    )


def _family(name: str) -> str:
    """Name a trace without its numbers: `modelled-05pct` and `modelled-20pct` are of one family."""
    return re.sub(r"[0-9.,]+", "#", name)


def _family_sizes(series: _Series) -> dict[str, int]:
    names = {row.loss.name for rows in series.values() for row in rows}
    sizes: dict[str, int] = {}
    for name in names:
        sizes[_family(name)] = sizes.get(_family(name), 0) + 1
    return sizes


def _column_title(column: _Column, several_delays: bool) -> str:
    bitrate_bps, other = column
    if isinstance(other, str):
        return f"{bitrate_bps / 1000:g} kb/s, {other}"
    delay = "adaptive delay" if other is None else f"{other:g} ms delay"
    return f"{bitrate_bps / 1000:g} kb/s" + (f", {delay}" if several_delays else "")


def _length(value: float) -> float:
    return 0.0 if math.isnan(value) else max(value, 0.0)
