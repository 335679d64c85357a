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
from vivavoce.errors import VivavoceError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from vivavoce.evaluation.enhancement import Progress
    from vivavoce.evaluation.enhancement_tables import SystemRow

SCORES = "scores.jsonl"
TABLE_WIDTH = 200  # of a table that goes into a file or a pipe
DEFAULT_METRICS = "pesq,stoi,estoi,si_sdr,sig,bak,ovrl,p808"


def enhancement(
    clean: Annotated[Path | None, typer.Option(help="Folder of clean files.")] = None,
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
    write_set: Annotated[
        str | None,
        typer.Option(help="Only write a set into --output-dir to hear it or run others on it: full-band, wide-band."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(envvar="VIVAVOCE_DATA", help="Folder that holds the corpora, for --write-set.")
    ] = None,
    split: Annotated[str, typer.Option(help="Of --write-set: test, or val to choose models by.")] = "test",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; all cores unless told.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace our outputs and begin scores.jsonl anew.")] = False,
) -> None:
    """Score our denoiser, and outputs of others beside it, on any set of clean and noisy files."""
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
    if clean is None or noisy is None:
        raise ValueError("--clean DIR and --noisy DIR are needed, or --write-set")
    others = _systems(processed or [])
    names = [metric.name for metric in metrics_named(split_words(metrics), ENHANCEMENT_METRICS)]
    models = our_systems(model or []) if ours else {}
    if output_dir is not None:
        _own_folder(output_dir, force)
    with _work(output_dir) as folder, _progress_bar() as progress:
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


def _own_folder(folder: Path, force: bool) -> None:
    """Make the folder; one that something else has filled is not touched.

    Raises:
        VivavoceError: It has files, but no scores.jsonl.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not force and any(folder.iterdir()) and not (folder / SCORES).exists():
        raise VivavoceError(f"{folder}: holds something else already; --force uses it all the same")


def _write_set(which: str, data: Path | None, split: str, folder: Path | None, force: bool) -> None:
    from vivavoce.audio import check_writable, write_wav
    from vivavoce.evaluation.noisy import build_noisy_set, check_set

    check_set(which, split)
    if data is None or folder is None:
        raise ValueError("--write-set needs --output-dir, and the corpora: --data DIR, or VIVAVOCE_DATA")
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder / "clips.jsonl", force=force)
    with _work(folder):
        clips = build_noisy_set(data, which, split)
        for name in ("clean", "noisy"):
            (folder / name).mkdir(exist_ok=True)
        for clip in clips:
            write_wav(folder / "clean" / f"{clip.id}.wav", clip.clean, clip.sample_rate, force=force)
            write_wav(folder / "noisy" / f"{clip.id}.wav", clip.noisy, clip.sample_rate, force=force)
        lines = [json.dumps(clip.as_json()) + "\n" for clip in clips]
        (folder / "clips.jsonl").write_text("".join(lines), encoding="utf-8")


def _print(rows: Sequence[SystemRow], metrics: Sequence[str], markdown: bool, as_json: bool) -> None:
    from rich.console import Console

    from vivavoce.evaluation.enhancement_tables import footnotes, markdown_table, rich_table

    if as_json:
        for row in rows:
            print(json.dumps(row.as_json()))
    elif markdown:
        print(markdown_table(rows, metrics), "", *footnotes(rows), sep="\n")
    else:
        console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH, highlight=False, markup=False)
        console.print(rich_table(rows, metrics))
        for note in footnotes(rows):
            console.print(note)


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    """Show how far each stage is, on a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        shown: dict[str, TaskID] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in shown:
                shown[stage] = bar.add_task(stage, total=total)
            bar.update(shown[stage], completed=done, total=total)

        yield tell


@contextmanager
def _work(folder: Path | None) -> Iterator[Path]:
    """Give the work its folder, and tell what goes wrong in it, such as files that do not match, from wrong usage."""
    try:
        with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as place:
            yield Path(place)
    except ValueError as error:
        raise VivavoceError(str(error)) from error
