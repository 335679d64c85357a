"""`vivavoce evaluate`: measure what arrives, over many clips, losses and configurations."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli.options import JSON_HELP, LOSS_HELP, PROTECT_HELP, read_loss, read_number_or, warn
from vivavoce.cli.stages import progress_bars, work

if TYPE_CHECKING:
    from vivavoce.evaluation.call import CallScores
    from vivavoce.evaluation.clips import Clip
    from vivavoce.evaluation.tables import Row

app = typer.Typer(
    help="Measure what arrives, over many clips, losses and configurations.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
TABLE_WIDTH = 200  # of a table that goes into a file or a pipe
TWICE = "name either clips or a --corpus"

Paths = Annotated[
    list[Path] | None, typer.Argument(metavar="CLIPS", help="Sound files, or folders of them; a file is one clip.")
]
Corpus = Annotated[str | None, typer.Option(help="A corpus in --data instead, cut into 10-s clips per speaker.")]
Data = Annotated[Path | None, typer.Option(envvar="VIVAVOCE_DATA", help="Folder that holds the corpora.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Use only so many clips, evenly spread.")]
Json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]


@app.command()
def call(
    paths: Paths = None,
    corpus: Corpus = None,
    data: Data = None,
    limit: Limit = None,
    loss: Annotated[list[str] | None, typer.Option(help=LOSS_HELP + " Repeatable. [20%]")] = None,
    protect: Annotated[list[str] | None, typer.Option(help=PROTECT_HELP + " Repeatable. [none]")] = None,
    bitrate: Annotated[
        str | None, typer.Option(help="b/s of all RTP payload, each with every --protect: 24000,32000. [32000]")
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(help="One more: lbrr+red:2@48000, or none/opus@48000 with a concealment of its own; repeatable."),
    ] = None,
    conceal: Annotated[str, typer.Option(help="Some of opus,neural,neural:lpcnet,silence,repeat.")] = "opus",
    playout_delay: Annotated[str, typer.Option(help="Milliseconds or adaptive; 100,200 compares.")] = "1100",
    expect_loss: Annotated[
        str, typer.Option(help="Loss in % the encoder prepares for; auto: that of --loss.")
    ] = "auto",
    jitter: Annotated[float, typer.Option(min=0, help="Mean delay on the way, in ms.")] = 0.0,
    baseline: Annotated[str, typer.Option(help="The configuration that others are compared with.")] = "none",
    metrics: Annotated[str, typer.Option(help="Some of plcmos,pesq,estoi.")] = "plcmos,pesq,estoi",
    out: Annotated[
        Path | None, typer.Option(help="Results per clip, .jsonl or .parquet; an interrupted run goes on from them.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG: metrics against loss rate.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
    as_json: Json = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; all cores unless told.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 0,
    restart_trace: Annotated[
        bool,
        typer.Option("--restart-trace", help="Begin each clip with line 1 of the trace, not where the last stopped."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Begin --out anew, and replace --plot.")] = False,
) -> None:
    """Run configurations x losses x clips through simulated calls, and print one table."""
    from vivavoce.evaluation.call import CallGrid, run_calls
    from vivavoce.evaluation.metrics import metrics_named
    from vivavoce.evaluation.plot import plot_calls
    from vivavoce.evaluation.results import ResultFile
    from vivavoce.evaluation.selection import parse_configurations, parse_losses, split_words
    from vivavoce.evaluation.tables import summarise
    from vivavoce.evaluation.workers import available_cores

    crossed = bool(protect or bitrate or not config)
    configurations = parse_configurations(
        (protect or ["none"]) if crossed else [], bitrate or "32000", config or [], conceal, playout_delay
    )
    names = {configuration.name for configuration in configurations}
    if baseline not in names and baseline != "none":
        raise ValueError(f"no configuration is called {baseline!r}; there are: {', '.join(sorted(names))}")
    grid = CallGrid(
        configurations=configurations,
        losses=parse_losses(loss or ["20%"], read_loss),
        metrics=tuple(metric.name for metric in metrics_named(split_words(metrics))),
        expected_loss_pct=read_number_or("auto", "--expect-loss", expect_loss, 0, 100),
        jitter_ms=jitter,
        seed=seed,
        restart_trace=restart_trace,
    )
    _check_outputs(out, plot, markdown and as_json, force)
    _check_source(paths, corpus, data)
    with work():
        clips = _clips(paths, corpus, data, limit)
        with ResultFile(out, restart=force) as results, progress_bars() as progress:
            cells = run_calls(grid, clips, results, jobs or available_cores(), progress)
        rows = summarise(cells, grid.metrics, baseline)
        if plot is not None:
            plot_calls(rows, grid.metrics, plot)
    _print(rows, grid.metrics, baseline, markdown, as_json)
    _warn(cells)
    if baseline not in names:
        warn(f"without the configuration {baseline!r} nothing is compared in pairs")


@app.command(name="clips")
def list_clips(
    paths: Paths = None, corpus: Corpus = None, data: Data = None, limit: Limit = None, as_json: Json = False
) -> None:
    """List the clips of an evaluation: id, length in seconds, SHA-256 of the samples as 16-bit PCM."""
    _check_source(paths, corpus, data)
    with work():
        for clip in _clips(paths, corpus, data, limit):
            fields = {"id": clip.id, "duration_s": clip.duration_s, "sha256": clip.sha256}
            print(json.dumps(fields) if as_json else f"{clip.id}\t{clip.duration_s:.2f}\t{clip.sha256}")


def _check_source(paths: Sequence[Path] | None, corpus: str | None, data: Path | None) -> None:
    if bool(paths) == bool(corpus):
        raise ValueError(TWICE)
    if corpus and data is None:
        raise ValueError("--corpus needs the folder that holds it: --data DIR, or VIVAVOCE_DATA")


def _check_outputs(out: Path | None, plot: Path | None, two_formats: bool, force: bool) -> None:
    """Find out before hours of work what would fail after them."""
    from vivavoce.audio import check_writable

    if two_formats:
        raise ValueError("--markdown and --json exclude each other")
    if out is not None:
        if out.suffix not in (".jsonl", ".parquet"):
            raise ValueError(f"--out must end with .jsonl or .parquet, got {out}")
        check_writable(out, force=True)
    if plot is not None:
        check_writable(plot, force=force)


def _clips(paths: Sequence[Path] | None, corpus: str | None, data: Path | None, limit: int | None) -> list[Clip]:
    from vivavoce.evaluation.clips import clips_of_corpus, clips_of_paths, spread

    if corpus and data is not None:
        return spread(clips_of_corpus(data, corpus), limit)
    return spread(clips_of_paths(paths or []), limit)


def _print(rows: Sequence[Row], metrics: Sequence[str], baseline: str, markdown: bool, as_json: bool) -> None:
    from rich.console import Console

    from vivavoce.evaluation.tables import footnotes, markdown_table, rich_table

    if as_json:
        for row in rows:
            print(json.dumps(row.as_json(baseline)))
    elif markdown:
        print(markdown_table(rows, metrics), "", *footnotes(rows, baseline), sep="\n")
    else:
        console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH, highlight=False, markup=False)
        console.print(rich_table(rows, metrics))
        for note in footnotes(rows, baseline):
            console.print(note)


def _warn(cells: Sequence[CallScores]) -> None:
    """Say on stderr where a configuration is not what its name says."""
    for cell in cells:
        configuration = cell.configuration
        what = f"{configuration.name} at {configuration.bitrate_bps} b/s with {cell.loss.name}"
        if not cell.rate.reached:
            warn(f"{what}: sends {cell.rate.measured_bps:.0f} b/s at best, not within 3 % of its column")
        for name in configuration.protection.names:
            if not any(record.get("carried", {}).get(name) for record in cell.records):
                warn(f"{what}: no packet carried {name}")
