"""Neural concealment beside Opus's own, repetition and silence, in one run; prints JSON, one object a line.

    python bench/concealment.py --data DIR [--parts calls,bursts,...] [--count N] [--markdown]

Parts: `calls`, scores of calls over modelled and measured losses; `bursts`, over gaps of one length, drawn into
--output; `copy`, what both vocoders make of the true features of readers that they never heard, the worst drawn;
`joins`, the ends of gaps beside the same places without one; `picture`, one call drawn; `speed`, CPU of the vocoder, of
receiving and of the first frames of a gap. What calls scored is kept in --output.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from concealment_sound import copy, joins, picture, plot_bursts
from concealment_speed import speed
from report import Report, tell

from vivavoce.evaluation.call import CallGrid, Configuration, NamedLoss, run_calls
from vivavoce.evaluation.clips import Clip, clips_of_corpus, spread
from vivavoce.evaluation.results import ResultFile
from vivavoce.evaluation.selection import parse_losses
from vivavoce.evaluation.tables import Row, footnotes, markdown_table, summarise
from vivavoce.evaluation.workers import available_cores
from vivavoce.transport.loss import LossModel, RecordedTrace, parse_loss
from vivavoce.transport.protection import Protection

CORPUS = "librispeech-test-other-10x10"
CONCEALERS = ("opus", "neural", "repeat", "silence")
SCORES = ("plcmos", "pesq", "estoi")
RATES = (24_000, 32_000)
DRAWN_LOSS = "modelled-20pct"
MODELLED = ("modelled-10pct", "modelled-20pct", "modelled-30pct")
BURSTS_MS = (20, 40, 60, 100, 160, 240, 500)
BURST_EVERY = 50  # packets: one gap a second
PACKET_MS = 20


@dataclass(frozen=True)
class Bench:
    """What to measure: on the first `count` clips of the corpus, spread over its readers."""

    data: Path
    output: Path
    count: int | None
    jobs: int

    @property
    def clips(self) -> list[Clip]:
        return spread(clips_of_corpus(self.data, CORPUS), self.count)


@dataclass(frozen=True)
class CallTable:
    """Scores of calls."""

    rows: list[Row]

    def as_json(self) -> Iterator[dict[str, object]]:
        for row in self.rows:
            yield row.as_json("none")

    def as_markdown(self) -> str:
        return "\n".join([markdown_table(self.rows, SCORES), "", *footnotes(self.rows, "none"), ""])


def calls(bench: Bench) -> Iterator[CallTable]:
    """Every concealer at every rate over every trace."""
    folder = bench.data / "loss"
    traces = [folder / f"{name}.txt" for name in MODELLED] + sorted(folder.glob("measured-*.txt"))
    yield _call_table(bench, parse_losses([str(path) for path in traces]), RATES, "calls")


def bursts(bench: Bench) -> Iterator[CallTable]:
    """Gaps of one length, one a second."""
    losses = []
    for length_ms in BURSTS_MS:
        lost = np.zeros(BURST_EVERY, bool)
        lost[-length_ms // PACKET_MS :] = True
        losses.append(NamedLoss(f"bursts of {length_ms} ms", RecordedTrace(lost)))
    table = _call_table(bench, losses, RATES[:1], "bursts")
    plot_bursts(table.rows, BURSTS_MS, SCORES, bench.output / "bursts.png")
    yield table


def _call_table(bench: Bench, losses: list[NamedLoss], rates: tuple[int, ...], name: str) -> CallTable:
    configurations = [
        Configuration(Protection.parse("none"), rate, concealer) for rate in rates for concealer in CONCEALERS
    ]
    grid = CallGrid(configurations, losses, SCORES)
    with ResultFile(bench.output / f"{name}.jsonl") as results:
        return CallTable(summarise(run_calls(grid, bench.clips, results, bench.jobs), SCORES))


def _trace(bench: Bench) -> LossModel:
    return parse_loss(str(bench.data / f"loss/{DRAWN_LOSS}.txt"))


PARTS: dict[str, Callable[[Bench], Iterator[CallTable] | Iterator[Report]]] = {
    "calls": calls,
    "bursts": bursts,
    "copy": lambda bench: copy(bench.clips, bench.output),
    "joins": lambda bench: joins(bench.clips),
    "picture": lambda bench: picture(bench.clips[0], _trace(bench), bench.output / "concealment.png"),
    "speed": lambda bench: speed(bench.clips[0].samples),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Score neural concealment beside others; print JSON lines.")
    data = os.environ.get("VIVAVOCE_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="folder of the corpora")
    parser.add_argument("--output", type=Path, default=Path("build/bench-concealment"), help="kept between runs")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--count", type=int, help="only so many clips")
    parser.add_argument("--jobs", type=int, default=available_cores(), help="processes that score")
    parser.add_argument("--markdown", action="store_true", help="tables instead of JSON")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part is called {min(unknown)!r}; there are: {', '.join(PARTS)}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    bench = Bench(arguments.data, arguments.output, arguments.count, arguments.jobs)
    for part in parts:
        for table in PARTS[part](bench):
            tell("concealment", table, arguments.markdown)


if __name__ == "__main__":
    main()
