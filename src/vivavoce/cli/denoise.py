"""`vivavoce denoise`: noise out of sound files, one or a folder of them."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.audio_reader import PIPE
from vivavoce.cli import describe
from vivavoce.cli.options import JSON_HELP, warn
from vivavoce.errors import MissingExtraError, VivavoceError

if TYPE_CHECKING:
    import numpy as np

    from vivavoce.audio_reader import AudioReader
    from vivavoce.enhancement.denoiser import FrameReport
    from vivavoce.enhancement.files import DenoisedFile, Watch
    from vivavoce.evaluation.denoise_report import DenoiseTrace

Advance = Callable[[float], None]


def denoise(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT... OUTPUT",
            help="Sound files of any format, or folders of them; then a .wav, .flac, .opus or .ogg file, or a folder "
            "for several. - is stdin, and stdout as WAV.",
        ),
    ],
    attenuation_limit: Annotated[float | None, typer.Option(help="Take away at most so much, in dB.", min=0)] = None,
    model: Annotated[str | None, typer.Option(help="Name of a model of the package, or a .vvm file.")] = None,
    low_delay: Annotated[bool, typer.Option("--low-delay", help="The model that does not look ahead.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a page with sound and pictures into this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Files at a time; all cores unless told.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Take the noise out of INPUT: the same rate, channels and length, nothing shifted."""
    from vivavoce.audio import check_writable
    from vivavoce.enhancement.denoiser import Denoiser
    from vivavoce.enhancement.files import denoise_file
    from vivavoce.evaluation.workers import available_cores

    *sources, target = paths
    tasks = _tasks(sources, target, report)
    alone = len(tasks) == 1 and tasks[0].target == target
    if target == PIPE and as_json:
        raise ValueError("OUTPUT - and --json both want stdout")
    settings = {"lookahead": not low_delay, "attenuation_limit_db": attenuation_limit}
    Denoiser(model, **settings)  # a wrong model is found before any file is read

    def work(task: _Task, watch: Callable[[AudioReader, int], Watch]) -> DenoisedFile:
        if task.target != PIPE:
            if not alone:
                Path(task.target).parent.mkdir(parents=True, exist_ok=True)
            check_writable(task.target, force=force)
        trace = None if task.report is None else _trace(task.report, force)
        done = denoise_file(
            task.source,
            task.target,
            model,
            **settings,
            force=force,
            watch=lambda reader, rate: _both(watch(reader, rate), trace),
        )
        if trace is not None and task.report is not None:
            _write_report(task.report, trace, done, attenuation_limit, force)
        return done

    failed = 0
    jobs = min(jobs or available_cores(), len(tasks))
    with _progress_bar(len(tasks)) as advance, closing(_outcomes(tasks, work, jobs, advance)) as outcomes:
        for task, outcome in outcomes:
            if isinstance(outcome, Exception):
                if alone:
                    raise outcome
                failed += 1
                print(f"vivavoce: {describe(outcome)}", file=sys.stderr)
            else:
                _print(outcome, task.report, as_json, sys.stderr if task.target == PIPE else sys.stdout)
    if failed:
        raise VivavoceError(f"{failed} of {len(tasks)} files failed")


@dataclass(frozen=True)
class _Task:
    source: str
    target: str
    report: Path | None


def _tasks(sources: Sequence[str], target: str, report: Path | None) -> list[_Task]:
    """What goes where.

    Raises:
        ValueError: There is no input, or the output does not suit it.
        VivavoceError: A folder without sound, or two inputs for one output.
    """
    if not sources:
        raise ValueError("INPUT and OUTPUT are both needed")
    if len(sources) == 1 and not Path(sources[0]).is_dir() and not Path(target).is_dir():
        from vivavoce.audio import container_of

        container_of(target)
        return [_Task(sources[0], target, report)]
    if PIPE in sources:
        raise ValueError("INPUT - goes alone, into a file")
    if target == PIPE or Path(target).is_file():
        raise ValueError(f"several files need a folder as OUTPUT, got {target}")
    tasks: dict[str, _Task] = {}
    for source, name in _files(sources, Path(target)):
        place = str(Path(target) / name)
        if place in tasks:
            raise VivavoceError(f"{tasks[place].source} and {source} would both become {place}")
        tasks[place] = _Task(str(source), place, None if report is None else report / name.with_suffix(""))
    return list(tasks.values())


def _files(sources: Sequence[str], target: Path) -> Iterator[tuple[Path, Path]]:
    """Each file, and its name within the output folder, which is no input itself."""
    from vivavoce.audio import CONTAINERS
    from vivavoce.evaluation.clips import SOUND_SUFFIXES

    for source in map(Path, sources):
        if source.is_dir():
            inside = (path for path in sorted(source.rglob("*")) if path.suffix.lower() in SOUND_SUFFIXES)
            within = source.resolve() in target.resolve().parents
            files = [path for path in inside if path.is_file() and not (within and path.is_relative_to(target))]
            if not files:
                raise VivavoceError(f"{source}: holds no sound files")
        else:
            files = [source]
        for path in files:
            name = path.relative_to(source) if source.is_dir() else Path(path.name)
            yield path, name if name.suffix.lower() in CONTAINERS else name.with_suffix(".wav")


def _outcomes(
    tasks: Sequence[_Task],
    work: Callable[[_Task, Callable[[AudioReader, int], Watch]], DenoisedFile],
    jobs: int,
    advance: Advance,
) -> Generator[tuple[_Task, DenoisedFile | Exception], None, None]:
    """Results in the order in which they are ready. The core works without the GIL, so threads are enough.

    When this is left early, what is under way breaks off at its next block and leaves nothing behind.
    """
    stop = threading.Event()

    def attempt(task: _Task) -> tuple[_Task, DenoisedFile | Exception]:
        pace = _Pace(advance, stop)
        try:
            return task, work(task, pace.begin)
        except (VivavoceError, OSError, ValueError) as error:
            return task, error
        finally:
            pace.end()

    if jobs == 1:  # here, where an interruption also ends a wait for stdin
        yield from map(attempt, tasks)
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        for future in as_completed([pool.submit(attempt, task) for task in tasks]):
            yield future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


class _StoppedError(Exception):
    """Somebody else ended the work."""


class _Pace:
    """How far a file is, told in parts of it."""

    def __init__(self, advance: Advance, stop: threading.Event) -> None:
        self._advance, self._stop = advance, stop
        self._told = 0.0
        self._sample = 0.0  # as a part of the file; 0 where its length is not known

    def begin(self, reader: AudioReader, rate: int) -> Watch:
        self._sample = 1 / reader.expected_samples if reader.expected_samples else 0.0
        return self._see

    def end(self) -> None:
        self._tell(1 - self._told)

    def _see(self, block: np.ndarray, output: np.ndarray, reports: list[FrameReport]) -> None:
        if self._stop.is_set():
            raise _StoppedError
        self._tell(min(block.shape[1] * self._sample, 1 - self._told))

    def _tell(self, part: float) -> None:
        self._told += part
        self._advance(part)


def _both(one: Watch, other: Watch | None) -> Watch:
    def watch(block: np.ndarray, output: np.ndarray, reports: list[FrameReport]) -> None:
        one(block, output, reports)
        if other is not None:
            other(block, output, reports)

    return watch


@contextmanager
def _progress_bar(files: int) -> Iterator[Advance]:
    """Show how much of all files is done, on a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    to_file = not sys.stdout.isatty()  # results must get there, and not past the bar to stderr
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True, redirect_stdout=not to_file
    ) as bar:
        shown = bar.add_task("", total=files)
        yield lambda part: bar.advance(shown, part)


def _print(done: DenoisedFile, report: Path | None, as_json: bool, stream: object) -> None:
    if done.sample_rate != done.input_rate:
        warn(f"{done.target}: Opus does not have {done.input_rate} Hz, so it has {done.sample_rate} Hz")
    if as_json:
        line: dict[str, object] = {
            "input": done.source,
            "output": done.target,
            "duration_s": done.seconds,
            "sample_rate": done.sample_rate,
            "channels": done.channels,
            "model": done.model,
            "attenuation_db": None if done.attenuation_db is None else round(done.attenuation_db, 2),
            "voice_share": round(done.voice_share, 4),
            "cpu_seconds_per_second": round(done.cpu_seconds_per_second, 6),
        }
        if report is not None:
            line["report"] = str(report / "index.html")
        print(json.dumps(line), flush=True)
        return
    taken = "silent" if done.attenuation_db is None else f"{done.attenuation_db:.1f} dB taken away"
    facts = [
        f"{done.seconds:.2f} s",
        taken,
        f"voice in {100 * done.voice_share:.0f} %",
        f"CPU {100 * done.cpu_seconds_per_second:.1f} %",
    ]
    where = f"; report: {report / 'index.html'}" if report is not None else ""
    print(f"{done.source} -> {done.target}: {', '.join(facts)}{where}", file=stream, flush=True)  # type: ignore[arg-type]


def _trace(folder: Path, force: bool) -> DenoiseTrace:
    from vivavoce.evaluation.denoise_report import DenoiseTrace
    from vivavoce.evaluation.report import check_report_folder

    check_report_folder(folder, force=force)
    return DenoiseTrace()


def _write_report(
    folder: Path, trace: DenoiseTrace, done: DenoisedFile, attenuation_limit_db: float | None, force: bool
) -> None:
    from vivavoce.evaluation.denoise_report import quality, write_denoise_report

    limit = "none" if attenuation_limit_db is None else f"{attenuation_limit_db:g} dB"
    notes = {"input": done.source, "output": done.target, "model": done.model, "attenuation limit": limit}
    scores: dict[str, dict[str, float]] = {}
    try:
        scores = quality(trace, done)
    except MissingExtraError as error:
        warn(f"the report has no scores: {error}")
    write_denoise_report(folder, trace, done, scores=scores, notes=notes, force=force)
