"""Protections against loss side by side at equal rates: PLC, LBRR, RED, DRED, and what the planner chooses.

    python bench/redundancy.py --data DIR [--parts calls,bursts,...] [--rates 24000,32000] [--protections none,dred]
        [--losses measured-high] [--count N] [--markdown]

Parts: `calls`, scores of calls over modelled and measured losses, and their impact beside a call without loss;
`bursts`, the same over gaps of one length; `delay`, quality against playout delay, drawn into --output; `lost`, ESTOI
of lost spans alone; `words`, word errors of pocketsphinx (the extra `bench`) against its own transcript of the call
without loss; `levels`, rate and distortion of every level on readers that the RDO-VAE never heard, and after the
vocoder, drawn too; `second`, the rate of one second of redundancy in every packet; `speed`, what the encoder costs.
Scores are kept in --output.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from redundancy_levels import levels
from redundancy_speech import lost_spans, second, speed, words
from redundancy_tables import SCORES, CallTable, chosen, impact, scores, side_by_side
from report import Report, tell

from vivavoce.evaluation.call import CallGrid, Configuration, NamedLoss, run_calls
from vivavoce.evaluation.clips import Clip, clips_of_corpus, spread
from vivavoce.evaluation.plot import plot_calls
from vivavoce.evaluation.results import ResultFile
from vivavoce.evaluation.selection import parse_losses
from vivavoce.evaluation.statistics import mean_interval
from vivavoce.evaluation.tables import summarise
from vivavoce.evaluation.workers import available_cores
from vivavoce.transport.loss import Bernoulli, RecordedTrace
from vivavoce.transport.protection import Protection

CORPUS = "librispeech-test-other-10x10"
PROTECTIONS = ("none", "lbrr", "red:1", "red:2", "dred", "lbrr+dred", "auto")
CONCEAL = "neural"
RATES = (24_000, 32_000, 40_000, 72_000)
MODELLED = ("modelled-10pct", "modelled-20pct", "modelled-30pct")
BURSTS_MS = (100, 200, 500, 1000)
BURST_EVERY = 150  # packets: one gap in three seconds
DELAYS_MS = (40, 80, 160, 320, 1100)
DELAY_PROTECTIONS = ("none", "lbrr", "red:1", "dred", "lbrr+dred")
PACKET_MS = 20
NO_LOSS = "no loss"


@dataclass(frozen=True)
class Bench:
    """What to measure: on the first `count` clips of the corpus, spread over its readers."""

    data: Path
    output: Path
    count: int | None
    jobs: int
    rates: tuple[int, ...]
    protections: tuple[str, ...]
    losses: tuple[str, ...] | None

    @property
    def clips(self) -> list[Clip]:
        return spread(clips_of_corpus(self.data, CORPUS), self.count)

    def scores(self, name: str, configurations: Sequence[Configuration], losses: Sequence[NamedLoss]):
        losses = [loss for loss in losses if self.losses is None or loss.name in (*self.losses, NO_LOSS)]
        grid = CallGrid(configurations, losses, SCORES)
        with ResultFile(self.output / f"{name}.jsonl") as results:
            return run_calls(grid, self.clips, results, self.jobs)


def calls(bench: Bench) -> Iterator[CallTable | Report]:
    """Every protection at every rate over every trace."""
    folder = bench.data / "loss"
    traces = [folder / f"{name}.txt" for name in MODELLED] + sorted(folder.glob("measured-*.txt"))
    yield from _tables(bench, parse_losses([str(path) for path in traces]), "calls")


def bursts(bench: Bench) -> Iterator[CallTable | Report]:
    """Gaps of one length, one in three seconds."""
    yield from _tables(bench, [NamedLoss(f"bursts of {ms} ms", burst_trace(ms)) for ms in BURSTS_MS], "bursts")


def burst_trace(length_ms: int) -> RecordedTrace:
    lost = np.zeros(BURST_EVERY, bool)
    lost[-length_ms // PACKET_MS :] = True
    return RecordedTrace(np.roll(lost, -BURST_EVERY // 3))


def _tables(bench: Bench, losses: list[NamedLoss], name: str) -> Iterator[CallTable | Report]:
    configurations = [_configuration(text, rate) for rate in bench.rates for text in bench.protections]
    cells = bench.scores(name, configurations, losses)
    yield CallTable(cells, f"none/{CONCEAL}")
    plain = [_configuration("none", rate) for rate in bench.rates]
    whole = bench.scores("no-loss", plain, [NamedLoss(NO_LOSS, Bernoulli(0.0))])
    lossless = {cell.configuration.bitrate_bps: cell for cell in whole}
    yield impact(cells, lossless)
    yield side_by_side(cells, lossless)
    yield chosen(cells)


def _configuration(text: str, rate: int, delay_ms: float | None = None) -> Configuration:
    plain = Configuration(Protection.parse(text), rate, CONCEAL)
    return plain if delay_ms is None else Configuration(Protection.parse(text), rate, CONCEAL, delay_ms)


def delay(bench: Bench) -> Iterator[Report]:
    """Quality against the time that a receiver waits."""
    rate = bench.rates[0]
    loss = parse_losses([str(bench.data / f"loss/{MODELLED[1]}.txt")])
    configurations = [_configuration(text, rate, ms) for text in DELAY_PROTECTIONS for ms in DELAYS_MS]
    cells = bench.scores("delay", configurations, loss)
    plot_calls(summarise(cells, SCORES), SCORES, bench.output / "delay.png")
    rows = []
    for cell in cells:
        named = {"protection": str(cell.configuration.protection), "delay": str(cell.configuration.playout_delay_ms)}
        rows.append(named | {name: mean_interval(scores(cell, name)) for name in SCORES})
    columns = {"protection": "protection", "delay": "delay, ms", "plcmos": "PLCMOS", "pesq": "PESQ", "estoi": "ESTOI"}
    yield Report("delay", f"Playout delay, {loss[0].name}, {rate // 1000} kb/s", columns, rows, decimals={"estoi": 3})


PARTS: dict[str, Callable[[Bench], Iterator[CallTable | Report] | Iterator[Report]]] = {
    "calls": calls,
    "bursts": bursts,
    "delay": delay,
    "lost": lambda bench: lost_spans(bench.clips, bench.rates, burst_trace(500), bench.protections),
    "words": lambda bench: words(bench.clips, bench.rates, parse_losses(_traces(bench)), bench.protections),
    "levels": lambda bench: levels(bench.clips, bench.output / "levels.png"),
    "second": lambda bench: second(bench.clips),
    "speed": lambda bench: speed(bench.clips[0].samples),
}


def _traces(bench: Bench) -> list[str]:
    return [str(bench.data / f"loss/{name}.txt") for name in MODELLED[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Score protections side by side; print JSON lines.")
    data = os.environ.get("VIVAVOCE_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="folder of the corpora")
    parser.add_argument("--output", type=Path, default=Path("build/bench-redundancy"), help="kept between runs")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--rates", default=",".join(map(str, RATES)), help="in b/s")
    parser.add_argument("--protections", default=",".join(PROTECTIONS), help="none, and others")
    parser.add_argument("--losses", help="only these, of calls and bursts: modelled-20pct,'bursts of 500 ms'")
    parser.add_argument("--count", type=int, help="only so many clips")
    parser.add_argument("--jobs", type=int, default=available_cores(), help="processes that score")
    parser.add_argument("--markdown", action="store_true", help="tables instead of JSON")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part is called {min(unknown)!r}; there are: {', '.join(PARTS)}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    rates = tuple(int(rate) for rate in arguments.rates.split(","))
    protections = tuple(arguments.protections.split(","))
    if protections[0] != "none":
        parser.error("the first protection must be none: the others are compared with it")
    losses = None if arguments.losses is None else tuple(arguments.losses.split(","))
    bench = Bench(arguments.data, arguments.output, arguments.count, arguments.jobs, rates, protections, losses)
    for part in parts:
        for table in PARTS[part](bench):
            tell("redundancy", table, arguments.markdown)


if __name__ == "__main__":
    main()
