"""The page of a call: hear it three ways, see what was lost and what was played instead, read what it cost.

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
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vivavoce.audio import wav_bytes
from vivavoce.evaluation.report_text import (
    CALLS,
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

TRACKS = ("original", *CALLS)
PAGE = "index.html"
FILES = (*(f"{track}.wav" for track in TRACKS), *(f"{track}.png" for track in TRACKS), PAGE)  # the page last

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
) -> Path:
    """Write the page and the files beside it, all or nothing.

    Everything is built in a hidden folder and moved into place at the end, so that a full disk or an interruption
    leaves nothing half-written.

    Args:
        directory: Where the report goes; made, with its parents, where it does not exist.
        original: What was spoken, shape (samples,), at `settings.sample_rate`.
        unprotected: The same call without redundancy.
        protected: The call as asked for, of the same length.
        settings: Of the protected call.
        force: Replace the files of an earlier report. Whatever else lies in `directory` is left alone.
        metrics: Scores by call ("unprotected", "protected") and name, such as {"protected": {"PLCMOS": 3.4}}; greater
            is better.
        notes: Lines to show among the settings, by name: the input's file name, the models, the version of libopus.
            One with the name of a setting, such as "loss", replaces it.

    Returns:
        The path of the page, `directory / "index.html"`.

    Raises:
        FileExistsError: See `check_report_folder`.
        ValueError: The three sounds differ in length or are empty, or a metric names no call.
    """
    directory = Path(directory)
    _check(original, unprotected, protected, settings, metrics or {})
    check_report_folder(directory, force=force)
    exists = directory.is_dir()
    target = directory.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    # On the file system where the files will lie, which a directory that exists need not share with its parent.
    scratch = (target if exists else target.parent) / f".{target.name}.{secrets.token_hex(4)}"
    calls = {"unprotected": unprotected, "protected": protected}
    try:
        scratch.mkdir()
        _build(scratch, original, calls, settings, metrics or {}, notes or {})
        if exists:
            for name in FILES:
                os.replace(scratch / name, target / name)
        else:
            os.rename(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return directory / PAGE


def _check(
    original: NDArray[np.float32],
    unprotected: CallResult,
    protected: CallResult,
    settings: CallSettings,
    metrics: Mapping[str, Mapping[str, float]],
) -> None:
    lengths = [len(original), len(unprotected.samples), len(protected.samples)]
    if len(set(lengths)) > 1 or lengths[0] == 0:
        raise ValueError(
            f"original, unprotected and protected must be equally long and not empty, got {lengths} samples"
        )
    rates = [settings.sample_rate, unprotected.sample_rate, protected.sample_rate]
    if len(set(rates)) > 1:
        raise ValueError(f"original, unprotected and protected must have one sample rate, got {rates}")
    for call in metrics:
        if call not in CALLS:
            raise ValueError(f"metrics must be given for {' or '.join(CALLS)}, got {call!r}")


def _build(
    scratch: Path,
    original: NDArray[np.float32],
    calls: Mapping[str, CallResult],
    settings: CallSettings,
    metrics: Mapping[str, Mapping[str, float]],
    notes: Mapping[str, str],
) -> None:
    """Write all files of the report into `scratch`."""
    rate = settings.sample_rate
    sounds = {"original": original, **{name: call.samples for name, call in calls.items()}}
    powers = {name: power_spectrogram(samples, rate) for name, samples in sounds.items()}
    reference = float(powers["original"].max())  # one scale for all: what a call lost is dark, not renormalised
    sources = source_names(calls.values())
    embedded = sum(2 * len(samples) for samples in sounds.values()) <= MAX_EMBEDDED_BYTES
    tracks = []
    for name, samples in sounds.items():
        call = calls.get(name)
        levels = levels_of(powers[name], reference)
        wav = wav_bytes(samples, rate)
        (scratch / f"{name}.wav").write_bytes(wav)
        lost = np.asarray(call.lost_packets if call else [], dtype=bool)
        slots = np.array([sources.index(source) for source in call.slot_sources] if call else [], dtype=np.intp)
        inks = [_PAPER, _INK, *map(colour_of, sources)]
        (scratch / f"{name}.png").write_bytes(marked(levels, inks, lost, slots, len(samples) / (rate * SLOT_S)))
        tracks.append(
            {
                "key": name,
                "name": name.capitalize(),
                "note": track_note(call, settings if name == "protected" else None),
                "audio": data_uri("audio/wav", wav) if embedded else f"{name}.wav",
                "picture": data_uri("image/png", encode_png(levels, colour_map())),
                "lost": "".join("1" if gone else "0" for gone in lost),
                "slots": "".join(chr(ord("0") + slot) for slot in slots),
            }
        )
    page = {
        "headline": headline(calls, settings),
        "input": notes.get("input", ""),
        "duration_s": len(original) / rate,
        "slot_s": SLOT_S,
        "top_khz": rate / 2000,
        "embedded": embedded,
        "sources": [source_legend(source) for source in sources],
        "tracks": tracks,
        "table": table(calls, metrics, sources),
        "settings": settings_lines(settings, notes),
    }
    (scratch / PAGE).write_text(page_html(page), encoding="utf-8")


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
