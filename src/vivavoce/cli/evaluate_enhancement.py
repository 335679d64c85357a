"""`vivavoce evaluate enhancement`: denoisers side by side on one set of clean and noisy clips."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli.options import JSON_HELP
from vivavoce.cli.stages import progress_bars, work
from vivavoce.errors import VivavoceError

if TYPE_CHECKING:
    from vivavoce.evaluation.enhancement_tables import SystemRow
    from vivavoce.evaluation.noisy import NoisyClip

SCORES = "scores.jsonl"
TABLE_WIDTH = 200  # of a table that goes into a file or a pipe
DEFAULT_METRICS = "pesq,stoi,estoi,si_sdr,sig,bak,ovrl,p808"


def enhancement(
    clean: Annotated[Path | None, typer.Option(help="Folder of clean files; of --noise, one file.")] = None,
    noisy: Annotated[Path | None, typer.Option(help="Folder of noisy files, matched by name or by fileid_N.")] = None,
    processed: Annotated[
        list[Path] | None,
        typer.Option(help="Outputs of another system: a folder that is called like it. Repeatable."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model of ours to run, or its .vvm file. Repeatable.")
    ] = None,
    ours: Annotated[bool, typer.Option(help="Whether to run our denoiser at all.")] = True,
    metrics: Annotated[str, typer.Option(help="What to score by.")] = DEFAULT_METRICS,
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Keep our outputs and scores.jsonl there; an interrupted run goes on from the scores."),
    ] = None,
    oracle: Annotated[
        bool,
        typer.Option(
            "--oracle",
            help="Score the rungs of the oracle ladder and then our denoiser, and draw them into --output-dir: "
            "--clean FILE --noise FILE, two folders, or --set.",
        ),
    ] = False,
    noise: Annotated[Path | None, typer.Option(help="File of noise that --oracle mixes in.")] = None,
    snr: Annotated[list[float] | None, typer.Option(help="Of --noise, in dB; 5 unless told. Repeatable.")] = None,
    noisy_set: Annotated[
        str | None, typer.Option("--set", help="Climb --oracle on a set made from --data: full-band, wide-band.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Only so many clips of --set.")] = None,
    write_set: Annotated[
        str | None,
        typer.Option(help="Only write a set into --output-dir to hear it or run others on it: full-band, wide-band."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(envvar="VIVAVOCE_DATA", help="Folder that holds the corpora, for the sets.")
    ] = None,
    split: Annotated[str, typer.Option(help="Of the sets: test, or val to choose models by.")] = "test",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; all cores unless told.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace our outputs and begin scores.jsonl anew.")] = False,
) -> None:
    """Score our denoiser, and outputs of others beside it, on any set of clean and noisy files."""
    from vivavoce.cli.oracle import LadderSource, climb
    from vivavoce.evaluation.enhancement import NOISY, denoise_clips, match_files, our_systems, score_systems
    from vivavoce.evaluation.enhancement_tables import summarise_systems
    from vivavoce.evaluation.metrics import ENHANCEMENT_METRICS, metrics_named
    from vivavoce.evaluation.results import ResultFile
    from vivavoce.evaluation.selection import split_words
    from vivavoce.evaluation.workers import available_cores

    if markdown and as_json:
        raise ValueError("--markdown and --json exclude each other")
    if write_set is not None:
        _write_set(write_set, data, split, output_dir, force)
        return
    names = [metric.name for metric in metrics_named(split_words(metrics), ENHANCEMENT_METRICS)]
    if oracle:
        if processed:
            raise ValueError("--oracle and --processed exclude each other")
        source = LadderSource(clean, noisy, noise, snr or [], noisy_set, data, split, count)
        networks = our_systems(model or []) if ours else {}
        for snr_db, rows in climb(source, names, networks, output_dir, jobs or available_cores(), force):
            _print(rows, names, markdown, as_json, snr_db)
        return
    if noise or snr or noisy_set or count:
        raise ValueError("--noise, --snr, --set and --count go with --oracle")
    if clean is None or noisy is None:
        raise ValueError("--clean DIR and --noisy DIR are needed, or --write-set")
    others = _systems(processed or [])
    models = our_systems(model or []) if ours else {}
    if output_dir is not None:
        own_folder(output_dir, force)
    with work(), place(output_dir) as folder, progress_bars() as progress:
        clips = match_files(clean, noisy, others)
        for name, chosen in models.items():
            clips = denoise_clips(clips, name, folder / name, chosen, jobs or available_cores(), progress)
        with ResultFile(folder / SCORES if output_dir else None, restart=force) as results:
            systems = score_systems(clips, names, results, list(models), jobs or available_cores(), progress)
        rows = summarise_systems(systems, names, [NOISY, *list(others)[:1]])
    _print(rows, names, markdown, as_json)


def _systems(folders: Sequence[Path]) -> dict[str, Path]:
    """Name systems like their folders."""
    systems: dict[str, Path] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in systems:
            raise ValueError(f"two --processed folders are called {name!r}: {systems[name]} and {folder}")
        systems[name] = folder
    return systems


def own_folder(folder: Path, force: bool) -> None:
    """Make the folder; one that something else has filled is not touched.

    Raises:
        VivavoceError: It has files, but no scores.jsonl.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not force and any(folder.iterdir()) and not (folder / SCORES).exists():
        raise VivavoceError(f"{folder}: holds something else already; --force uses it all the same")


def _write_set(which: str, data: Path | None, split: str, folder: Path | None, force: bool) -> None:
    from vivavoce.audio import check_writable
    from vivavoce.evaluation.noisy import build_noisy_set, check_set

    check_set(which, split)
    if data is None or folder is None:
        raise ValueError("--write-set needs --output-dir, and the corpora: --data DIR, or VIVAVOCE_DATA")
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder / "clips.jsonl", force=force)
    with work():
        clips = build_noisy_set(data, which, split)
        write_clips(clips, folder, force)
        lines = [json.dumps(clip.as_json()) + "\n" for clip in clips]
        (folder / "clips.jsonl").write_text("".join(lines), encoding="utf-8")


def write_clips(clips: Sequence[NoisyClip], folder: Path, force: bool) -> None:
    """Write a set into the folders `clean` and `noisy`."""
    from vivavoce.audio import write_wav

    for name in ("clean", "noisy"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for clip in clips:
        write_wav(folder / "clean" / f"{clip.id}.wav", clip.clean, clip.sample_rate, force=force)
        write_wav(folder / "noisy" / f"{clip.id}.wav", clip.noisy, clip.sample_rate, force=force)


def _print(
    rows: Sequence[SystemRow], metrics: Sequence[str], markdown: bool, as_json: bool, snr_db: float | None = None
) -> None:
    from rich.console import Console

    from vivavoce.evaluation.enhancement_tables import footnotes, markdown_table, rich_table

    if as_json:
        about = {} if snr_db is None else {"snr_db": snr_db}
        for row in rows:
            print(json.dumps(about | row.as_json()))
        return
    if snr_db is not None:
        print(f"SNR {snr_db:g} dB", *([""] if markdown else []), sep="\n")
    if markdown:
        print(markdown_table(rows, metrics), "", *footnotes(rows), sep="\n")
    else:
        console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH, highlight=False, markup=False)
        console.print(rich_table(rows, metrics))
        for note in footnotes(rows):
            console.print(note)


@contextmanager
def place(folder: Path | None) -> Iterator[Path]:
    """The folder of the outputs, or one for the time of the work."""
    with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as path:
        yield Path(path)
