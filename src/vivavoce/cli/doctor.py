"""`vivavoce doctor`: what this installation can do, each thing tried rather than looked up."""

from __future__ import annotations

import importlib
import platform
from importlib import metadata
from json import dumps
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vivavoce.cli.options import JSON_HELP
from vivavoce.codec.capabilities import capabilities
from vivavoce.codec.library import find_libopus
from vivavoce.errors import CodecError

# the modules that each extra of pyproject.toml brings, by the names they are imported under
EXTRAS = {
    "opus": ("av",),
    "evaluate": ("pesq", "pystoi", "speechmos", "onnxruntime", "librosa", "requests", "matplotlib", "pyarrow"),
}

LABELS = {
    "encode": "encodes",
    "decode": "decodes",
    "conceal": "conceals losses",
    "lbrr": "LBRR (in-band FEC)",
    "lbrr_symbol": "opus_packet_has_lbrr",
    "decoder_complexity": "decoder complexity",
    "neural_concealment": "neural concealment",
    "dred_encode": "libopus's own DRED, encoding",
    "dred_decode": "libopus's own DRED, decoding",
}

_PIPE_COLUMNS = 500  # a pipe has no width, and no path may be folded in it


def doctor(
    json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Show which libopus is used and what it can do, the versions, and the extras that can be imported."""
    findings = examine()
    if json:
        typer.echo(dumps(findings))
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_PIPE_COLUMNS)
        console.print(_table(findings))
    if findings["libopus"] is None:
        typer.echo(f"vivavoce doctor: {findings['error']}", err=True)
        raise typer.Exit(1)


def examine() -> dict[str, Any]:
    """All findings, ready for JSON; `libopus` is None, and `error` says why, where there is none."""
    findings: dict[str, Any] = {
        "vivavoce": _version("vivavoce"),
        "core": _core(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "libopus": None,
        "extras": {extra: {name: _imported(name) for name in modules} for extra, modules in EXTRAS.items()},
    }
    try:
        library = find_libopus()
    except CodecError as error:
        return findings | {"error": str(error)}
    described = {"path": library.path, "origin": library.origin, "version": library.version}
    return findings | {"libopus": described | {"can": capabilities(library)}}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _core() -> dict[str, Any]:
    """Version of the compiled core, or why it cannot be loaded."""
    try:
        core = importlib.import_module("vivavoce._core")
    except ImportError as error:
        return {"version": None, "error": str(error)}
    return {"version": core.version(), "abi_version": core.abi_version()}


def _imported(module: str) -> dict[str, str | None]:
    """Version of an extra's module, or why importing it fails."""
    try:
        importlib.import_module(module)
    except Exception as error:  # whatever a broken installation raises is a finding, not our failure
        return {"version": None, "error": f"{type(error).__name__}: {error}".splitlines()[0]}
    return {"version": _version(module) or "unknown"}


def _table(findings: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")

    def row(name: str, value: str | None) -> None:
        table.add_row(escape(name), escape(value or "not installed"))

    row("vivavoce", findings["vivavoce"])
    core = findings["core"]
    row("core", f"{core['version']}, ABI {core['abi_version']}" if core["version"] else f"no: {core['error']}")
    row("Python", f"{findings['python']} on {findings['platform']}")
    row("NumPy", findings["numpy"])
    library = findings["libopus"]
    if library is None:
        row("libopus", f"no: {findings['error']}")
    else:
        row("libopus", f"{library['version']}, from {library['origin']}: {library['path']}")
        for name, works in library["can"].items():
            row(f"  {LABELS[name]}", "yes" if works else "no")
    for extra, modules in findings["extras"].items():
        row(f"[{extra}]", "complete" if all(m["version"] for m in modules.values()) else "incomplete")
        for name, module in modules.items():
            row(f"  {name}", module["version"] or f"no: {module['error']}")
    return table
