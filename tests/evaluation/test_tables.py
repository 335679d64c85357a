import io
import json

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from vivavoce.evaluation.call import CallScores, Configuration, NamedLoss
from vivavoce.evaluation.plot import COLOURS, plot_calls
from vivavoce.evaluation.rates import EqualRate
from vivavoce.evaluation.tables import footnotes, markdown_table, rich_table, summarise
from vivavoce.transport.loss import Bernoulli
from vivavoce.transport.protection import Protection

METRICS = ("pesq", "estoi")
TEN, TWENTY = NamedLoss("10%", Bernoulli(0.1)), NamedLoss("20%", Bernoulli(0.2))


def cell(protection, loss, pesq, rate=32_000, reached=True, **configuration):
    """Scores as `run_calls` gives them: one record per clip."""
    records = [
        {
            "measured_bitrate_bps": rate + 100.0 * number,
            "packets": 500,
            "lost": 50 * number,
            "slots": {"primary": 400, "plc": 100},
            "scores": {"pesq": score, "estoi": 0.8},
            "failures": {} if score is not None else {"pesq": "No utterances detected"},
        }
        for number, score in enumerate(pesq)
    ]
    configured = Configuration(Protection.parse(protection), rate, **configuration)
    return CallScores(configured, loss, EqualRate(rate, float(rate), reached), records)


CELLS = [
    cell("red:1", TWENTY, [2.5, 3.0, 3.1]),
    cell("none", TWENTY, [2.0, 2.4, 2.2]),
    cell("none", TEN, [3.0, None, 3.4]),
    cell("lbrr", TEN, [3.3, 3.5, 3.3], reached=False),
]


def test_a_row_holds_means_over_its_clips():
    row = summarise(CELLS, METRICS)[-2]
    assert (row.configuration.name, row.loss.name) == ("red:1", "20%")
    assert row.scores["pesq"].mean == pytest.approx((2.5 + 3.0 + 3.1) / 3)
    assert row.bitrate_bps.mean == pytest.approx(32_100)
    assert row.lost == pytest.approx(150 / 1500)
    assert row.slots == {"primary": 0.8, "plc": 0.2}


def test_differences_are_paired_within_loss_rate_and_delay():
    rows = {(row.configuration.name, row.loss.name): row for row in summarise(CELLS, METRICS)}
    assert rows["red:1", "20%"].differences["pesq"].mean == pytest.approx((0.5 + 0.6 + 0.9) / 3)
    assert rows["lbrr", "10%"].differences["pesq"].mean == pytest.approx((0.3 - 0.1) / 2)
    assert rows["lbrr", "10%"].differences["pesq"].count == 2
    assert rows["none", "10%"].differences == {}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(cell("red:1", TEN, [1.0], playout_delay_ms=40.0), id="another delay"),
        pytest.param(cell("red:1", TEN, [1.0], rate=24_000), id="another rate"),
        pytest.param(cell("red:1", TWENTY, [1.0]), id="another loss"),
    ],
)
def test_nothing_is_compared_across_columns(other):
    rows = summarise([cell("none", TEN, [2.0]), other], METRICS)
    assert all(row.differences == {} for row in rows)


def test_another_baseline_may_be_named():
    rows = {row.configuration.name: row for row in summarise(CELLS[:2], METRICS, baseline="red:1")}
    assert rows["none"].differences["pesq"].mean == pytest.approx(-(0.5 + 0.6 + 0.9) / 3)
    assert rows["red:1"].differences == {}


def test_rows_are_sorted_by_rate_delay_and_loss():
    cells = [
        cell("none", TEN, [1.0], rate=48_000),
        cell("none", TEN, [1.0], playout_delay_ms=None),
        cell("red:1", TEN, [1.0], playout_delay_ms=40.0),
        cell("none", TWENTY, [1.0]),
        cell("none", TEN, [1.0]),
        cell("none", TEN, [1.0], playout_delay_ms=40.0),
    ]
    rows = summarise(cells, METRICS)
    order = [
        cells.index(next(c for c in cells if (c.configuration, c.loss) == (r.configuration, r.loss))) for r in rows
    ]
    assert order == [2, 5, 4, 3, 1, 0]


def test_the_table_is_written_in_markdown():
    rows = summarise([cell("none", TEN, [2.0, 2.0]), cell("lbrr", TEN, [1.75, 1.75], reached=False)], ("pesq",))
    lines = markdown_table(rows, ("pesq",)).splitlines()
    cells = [[text.strip() for text in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["kb/s", "loss", "protection", "measured kb/s", "PESQ-WB", "Δ PESQ-WB"]
    assert cells[2][:3] == ["32", "10%", "none"]
    assert cells[2][4:] == ["2.00 ±0.00", ""]
    assert cells[3][3].endswith("*")
    assert cells[3][4:] == ["1.75 ±0.00", "−0.25 ±0.00"]
    assert len({len(line) for line in lines}) == 1
    assert set(lines[1]) == set("| -:")


def test_several_delays_get_a_column():
    rows = summarise([cell("none", TEN, [2.0]), cell("none", TEN, [2.0], playout_delay_ms=None)], ("pesq",))
    lines = markdown_table(rows, ("pesq",)).splitlines()
    assert [line.split("|")[2].strip() for line in (lines[0], *lines[2:])] == ["delay ms", "1100", "adaptive"]


def test_footnotes_say_what_is_missing():
    rows = summarise(CELLS, METRICS)
    notes = " ".join(footnotes(rows, "none"))
    assert "3 clips a row" in notes
    assert "* not within 3 % of the rate of its column: lbrr at 32 kb/s." in notes
    assert "1 calls without a score: PESQ-WB: No utterances detected." in notes


def test_a_terminal_shows_every_row():
    rows = summarise(CELLS, METRICS)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(rich_table(rows, METRICS))
    text = console.export_text()
    assert "+0.67 ±" in text
    assert text.count("red:1") == 1


def test_machines_get_numbers_and_null():
    rows = summarise([cell("none", TEN, [None]), cell("lbrr", TEN, [2.0])], METRICS)
    first, second = (json.loads(json.dumps(row.as_json("none"), allow_nan=False)) for row in rows)
    assert first["scores"]["pesq"] == {"mean": None, "low": None, "high": None, "count": 0}
    assert first["failures"] == {"PESQ-WB: No utterances detected": 1}
    assert second["scores"]["pesq"]["mean"] == 2.0
    assert (second["loss"], second["loss_rate"], second["baseline"]) == ("10%", 0.1, "none")


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param(CELLS, id="two losses"),
        pytest.param([cell("none", TEN, [None])], id="no score"),
        pytest.param([*CELLS, cell("none", NamedLoss("trace", Bernoulli(0.3)), [2.0, 2.1, 2.2])], id="a loner"),
    ],
)
def test_the_plot_is_a_picture_with_every_configuration_in_its_colour(tmp_path, cells):
    path = tmp_path / "plot.png"
    plot_calls(summarise(cells, METRICS), METRICS, path)
    pixels = np.round(255 * imread(path)[:, :, :3]).astype(int)
    assert min(pixels.shape[:2]) > 500
    names = list(dict.fromkeys(c.configuration.name for c in cells))
    for colour in COLOURS[: len(names)]:
        wanted = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
        assert (pixels == wanted).all(axis=2).sum() > 100
