"""The page of a call: hear it several ways, see what was lost and what was played instead, read what it cost.

The page is one HTML file that asks the network for nothing: sounds and pictures are inside it as data URIs. The sounds
also lie beside it as WAV files, the spectrograms as PNG. What stands on the page is written here, as JSON; the template
`report.html` beside this module only lays it out.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vivavoce.audio import wav_bytes
from vivavoce.evaluation.report_text import (
    PROTECTED,
    UNPROTECTED,
    colour_of,
    headline,
    settings_lines,
    source_legend,
    source_names,
    table,
    track_note,
)
from vivavoce.evaluation.spectrogram import colour_map, encode_png, levels_of, marked, power_spectrogram

if TYPE_CHECKING:
    from vivavoce.transport.call import CallResult, CallSettings

PAGE = "index.html"

SLOT_S = 0.02
# Beyond this much sound (some eight minutes of three 16-kHz tracks) a page would be slow to open: its players then read
# the WAV files beside it, and it says so.
MAX_EMBEDDED_BYTES = 48 << 20

_PAPER, _INK = (255, 255, 255), (24, 24, 32)
_PLACEHOLDER = "__REPORT_DATA__"


def check_report_folder(directory: Path, *, force: bool) -> None:
    """Find out before the work whether its report may be written.

    Raises:
        FileExistsError: `directory` is a file, or holds something and `force` is not set.
    """
    if directory.exists() and not directory.is_dir():
        raise FileExistsError(f"{directory}: not a directory")
    if directory.is_dir() and any(directory.iterdir()) and not force:
        raise FileExistsError(f"{directory}: exists and is not empty; --force replaces an earlier report in it")


def write_report(
    directory: Path,
    original: NDArray[np.float32],
    unprotected: CallResult,
    protected: CallResult,
    settings: CallSettings,
    *,
    force: bool = False,
    metrics: Mapping[str, Mapping[str, float]] | None = None,
    notes: Mapping[str, str] | None = None,
    before: Mapping[str, tuple[NDArray[np.float32], str]] | None = None,
    beside: Mapping[str, tuple[CallResult, str]] | None = None,
) -> Path:
    """Write the page and the files beside it, all or nothing.

    Args:
        directory: Where the report goes; made, with its parents, where it does not exist.
        original: What was spoken, shape (samples,), at `settings.sample_rate`.
        unprotected: The same call without redundancy.
        protected: The call as asked for, of the same length.
        settings: Of the protected call.
        force: Replace the files of an earlier report. Whatever else lies in `directory` is left alone.
        metrics: Scores by call ("unprotected", "protected", a name out of `beside`) and name, such as
            {"protected": {"PLCMOS": 3.4}}; greater is better.
        notes: Lines to show among the settings, by name: the input's file name, the models, the version of libopus.
            One with the name of a setting, such as "loss", replaces it.
        before: What became of the speech before it was sent, by name ("noisy", "cleaned"): samples like `original`,
            and a note.
        beside: Further calls to compare with, by name, and how each was protected.

    Returns:
        The path of the page, `directory / "index.html"`.

    Raises:
        FileExistsError: See `check_report_folder`.
        ValueError: The sounds differ in length or are empty, or a metric names no call.
    """
    directory = Path(directory)
    before, beside = before or {}, beside or {}
    calls = {UNPROTECTED: unprotected, **{name: call for name, (call, _) in beside.items()}, PROTECTED: protected}
    protections = {name: text for name, (_, text) in beside.items()} | {PROTECTED: str(settings.protection)}
    _check(original, before, calls, settings, metrics or {})
    files = report_files(["original", *before, *calls])
    fill_report_folder(
        directory,
        files,
        lambda scratch: _build(scratch, original, before, calls, protections, settings, metrics or {}, notes or {}),
        force=force,
    )
    return directory / PAGE


def report_files(tracks: Sequence[str], pictures: Sequence[str] = ()) -> list[str]:
    """Names of the files of a report: sounds, pictures, and the page last."""
    return [*(f"{name}.wav" for name in tracks), *(f"{name}.png" for name in (*tracks, *pictures)), PAGE]


def fill_report_folder(
    directory: Path, files: Sequence[str], build: Callable[[Path], None], *, force: bool = False
) -> None:
    """Put files into a folder, all or nothing.

    Everything is built in a hidden folder and moved into place at the end, so that a full disk or an interruption
    leaves nothing half-written.

    Args:
        directory: Where they go; made, with its parents, where it does not exist.
        files: Names of what `build` writes.
        build: Writes them into a folder.
        force: Replace the files of an earlier report. Whatever else lies in `directory` is left alone.

    Raises:
        FileExistsError: See `check_report_folder`.
    """
    check_report_folder(directory, force=force)
    exists = directory.is_dir()
    target = directory.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    # On the file system where the files will lie, which a directory that exists need not share with its parent.
    scratch = (target if exists else target.parent) / f".{target.name}.{secrets.token_hex(4)}"
    try:
        scratch.mkdir()
        build(scratch)
        if exists:
            for name in files:
                os.replace(scratch / name, target / name)
        else:
            os.rename(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check(
    original: NDArray[np.float32],
    before: Mapping[str, tuple[NDArray[np.float32], str]],
    calls: Mapping[str, CallResult],
    settings: CallSettings,
    metrics: Mapping[str, Mapping[str, float]],
) -> None:
    earlier = {name: samples for name, (samples, _) in before.items()}
    sounds = {"original": original, **earlier, **{name: call.samples for name, call in calls.items()}}
    lengths = [len(samples) for samples in sounds.values()]
    if len(set(lengths)) > 1 or lengths[0] == 0:
        *names, last = sounds
        raise ValueError(f"{', '.join(names)} and {last} must be equally long and not empty, got {lengths} samples")
    rates = [settings.sample_rate, *(call.sample_rate for call in calls.values())]
    if len(set(rates)) > 1:
        raise ValueError(f"original, {' and '.join(calls)} must have one sample rate, got {rates}")
    for call in metrics:
        if call not in calls:
            raise ValueError(f"metrics must be given for {' or '.join(calls)}, got {call!r}")


def _build(
    scratch: Path,
    original: NDArray[np.float32],
    before: Mapping[str, tuple[NDArray[np.float32], str]],
    calls: Mapping[str, CallResult],
    protections: Mapping[str, str],
    settings: CallSettings,
    metrics: Mapping[str, Mapping[str, float]],
    notes: Mapping[str, str],
) -> None:
    """Write all files of the report into `scratch`."""
    rate = settings.sample_rate
    earlier = {name: samples for name, (samples, _) in before.items()}
    sounds = {"original": original, **earlier, **{name: call.samples for name, call in calls.items()}}
    powers = {name: power_spectrogram(samples, rate) for name, samples in sounds.items()}
    reference = float(powers["original"].max())  # one scale for all: what a call lost is dark, not renormalised
    sources = source_names(calls.values())
    embedded = sum(2 * len(samples) for samples in sounds.values()) <= MAX_EMBEDDED_BYTES
    tracks = []
    for name, samples in sounds.items():
        call = calls.get(name)
        levels = levels_of(powers[name], reference)
        lost = np.asarray(call.lost_packets if call else [], dtype=bool)
        slots = np.array([sources.index(source) for source in call.slot_sources] if call else [], dtype=np.intp)
        inks = [_PAPER, _INK, *map(colour_of, sources)]
        (scratch / f"{name}.png").write_bytes(marked(levels, inks, lost, slots, len(samples) / (rate * SLOT_S)))
        note = before[name][1] if name in before else track_note(call, protections.get(name, "none"))
        tracks.append(
            {
                **page_track(scratch, name, note, samples, rate, levels, embedded=embedded),
                "lost": "".join("1" if gone else "0" for gone in lost),
                "slots": "".join(chr(ord("0") + slot) for slot in slots),
            }
        )
    page = {
        "verb": "call",
        "headline": headline(calls, settings),
        "input": notes.get("input", ""),
        "duration_s": len(original) / rate,
        "slot_s": SLOT_S,
        "top_khz": rate / 2000,
        "embedded": embedded,
        "sources": [source_legend(source) for source in sources],
        "tracks": tracks,
        "pictures": [],
        "columns": [name.capitalize() for name in calls],
        "table_title": "What it cost and what it saved",
        "table": table(calls, metrics, sources),
        "settings": settings_lines(settings, notes),
    }
    (scratch / PAGE).write_text(page_html(page), encoding="utf-8")


def page_track(
    scratch: Path,
    name: str,
    note: str,
    samples: NDArray[np.float32],
    sample_rate: int,
    levels: NDArray[np.uint8],
    *,
    embedded: bool,
) -> dict[str, Any]:
    """Write a sound into the folder of a report, and make the page's entry for it and its spectrogram."""
    wav = wav_bytes(samples, sample_rate)
    (scratch / f"{name}.wav").write_bytes(wav)
    return {
        "key": name,
        "name": name.capitalize(),
        "note": note,
        "audio": data_uri("audio/wav", wav) if embedded else f"{name}.wav",
        "picture": data_uri("image/png", encode_png(levels, colour_map())),
        "lost": "",
        "slots": "",
    }


def page_html(page: Mapping[str, Any]) -> str:
    """Put the data of a page into the template; no text in them can end their script element or start another."""
    text = json.dumps(page, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    template = resources.files("vivavoce.evaluation").joinpath("report.html").read_text(encoding="utf-8")
    before, after = template.split(_PLACEHOLDER)
    return before + text + after


def data_uri(kind: str, data: bytes) -> str:
    """Bytes as a URI (RFC 2397) of media type `kind`."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
