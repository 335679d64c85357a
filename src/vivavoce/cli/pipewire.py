"""`vivavoce pipewire`: a microphone without noise for every program, as a filter chain of PipeWire.

The configuration loads the LADSPA plugin of this package into PipeWire itself (its module filter-chain), which shows a
virtual source; programs choose it as their microphone, and its input follows the default microphone.
"""

from __future__ import annotations

import ctypes
import os
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from vivavoce.errors import VivavoceError

NAME = "vivavoce: noise-free microphone"
PLUGIN = Path(__file__).parent.parent / "vivavoce_ladspa.so"
FILE = Path("pipewire", "pipewire.conf.d", "50-vivavoce.conf")
RESTART = "systemctl --user restart pipewire pipewire-pulse wireplumber"

NO_LIMIT_DB = 100.0  # of the plugin's control
HIGHEST_THRESHOLD_PCT = 99.0

AttenuationLimit = Annotated[
    float, typer.Option("--attenuation-limit", metavar="DB", help="Take away at most so much; 100 is no limit.")
]
VadThreshold = Annotated[
    float,
    typer.Option("--vad-threshold", metavar="PCT", help="Mute below this probability of voice, 0 (never) to 99."),
]
Plugin = Annotated[
    Path,
    typer.Option("--plugin", metavar="PATH", help="The LADSPA plugin, unless the package's.", show_default=False),
]
Stereo = Annotated[bool, typer.Option("--stereo", help="Two channels instead of one.")]

app = typer.Typer(no_args_is_help=True, help="A microphone without noise for every program, through PipeWire.")


@app.command()
def install(
    attenuation_limit: AttenuationLimit = NO_LIMIT_DB,
    vad_threshold: VadThreshold = 0.0,
    plugin: Plugin = PLUGIN,
    stereo: Stereo = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what was installed before.")] = False,
) -> None:
    """Write the configuration, which PipeWire reads when it starts."""
    from vivavoce.audio import check_writable, write_whole

    text = configuration(check_plugin(plugin), attenuation_limit, vad_threshold, stereo=stereo)
    path = configuration_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    check_writable(path, force=force)
    write_whole(path, lambda file: file.write(text.encode()))
    typer.echo(f"wrote {path}\nrestart PipeWire: {RESTART}\nthen choose the microphone {NAME!r}")


@app.command()
def uninstall() -> None:
    """Remove the configuration."""
    path = configuration_path()
    if not path.exists():
        raise VivavoceError(f"{path}: nothing is installed")
    path.unlink()
    typer.echo(f"removed {path}\nrestart PipeWire: {RESTART}")


@app.command()
def show(
    attenuation_limit: AttenuationLimit = NO_LIMIT_DB,
    vad_threshold: VadThreshold = 0.0,
    plugin: Plugin = PLUGIN,
    stereo: Stereo = False,
) -> None:
    """Print what `install` would write."""
    typer.echo(configuration(check_plugin(plugin), attenuation_limit, vad_threshold, stereo=stereo), nl=False)


def configuration_path() -> Path:
    """Where PipeWire looks for what users add to its configuration."""
    home = os.environ.get("XDG_CONFIG_HOME", "")  # to be ignored unless absolute, says the XDG specification
    return (Path(home) if os.path.isabs(home) else Path.home() / ".config") / FILE


def check_plugin(path: Path) -> Path:
    """The plugin's absolute path; it is loaded, as PipeWire would.

    Raises:
        VivavoceError: There is none, or it is something else.
        ModelError: The package's plugin has no model.
    """
    from vivavoce.enhancement.denoiser import DEFAULT_MODEL
    from vivavoce.models import find_model

    path = path.absolute()
    if not path.is_file():
        hint = "; wheels for Linux hold it" if path == PLUGIN else ""
        raise VivavoceError(f"{path}: there is no such plugin{hint}")
    try:
        getattr(ctypes.CDLL(str(path)), "ladspa_descriptor")  # noqa: B009
    except (OSError, AttributeError) as error:
        raise VivavoceError(f"{path}: is no LADSPA plugin: {error}") from None
    if path == PLUGIN:
        find_model(DEFAULT_MODEL)
    return path


def configuration(plugin: Path, attenuation_limit_db: float, vad_threshold_pct: float, *, stereo: bool) -> str:
    """The filter chain, in PipeWire's relaxed JSON.

    Args:
        plugin: Absolute path.
        attenuation_limit_db: 0 to 100; 100 is no limit.
        vad_threshold_pct: 0 to 99; 0 mutes nothing.
        stereo: Two channels instead of one.

    Raises:
        ValueError: A number out of its range.
    """
    for option, value, highest in (
        ("--attenuation-limit", attenuation_limit_db, NO_LIMIT_DB),
        ("--vad-threshold", vad_threshold_pct, HIGHEST_THRESHOLD_PCT),
    ):
        if not 0 <= value <= highest:
            raise ValueError(f"{option} must be from 0 to {highest:g}, got {value:g}")
    label, channels, positions = ("vivavoce_stereo", 2, "FL FR") if stereo else ("vivavoce_mono", 1, "MONO")
    return _TEMPLATE.format(
        name=_quoted(NAME),
        plugin=_quoted(str(plugin)),
        label=label,
        attenuation_limit=attenuation_limit_db,
        vad_threshold=vad_threshold_pct,
        channels=channels,
        positions=positions,
    )


def _quoted(text: str) -> str:
    return dumps(text, ensure_ascii=False)


# "nofail": PipeWire starts without this microphone when the plugin or its model has gone. The model works at 48 kHz, so
# that PipeWire's resampler, if any, does what the plugin's would do. "passive": the real microphone is on only while
# somebody listens.
_TEMPLATE = """\
# Written by "vivavoce pipewire install"; "vivavoce pipewire uninstall" removes it.
context.modules = [
    {{  name = libpipewire-module-filter-chain
        flags = [ nofail ]
        args = {{
            node.description = {name}
            media.name = {name}
            audio.rate = 48000
            audio.channels = {channels}
            audio.position = [ {positions} ]
            filter.graph = {{
                nodes = [
                    {{  type = ladspa
                        name = vivavoce
                        plugin = {plugin}
                        label = {label}
                        control = {{
                            "Attenuation Limit (dB)" = {attenuation_limit}
                            "VAD Threshold (%)" = {vad_threshold}
                        }}
                    }}
                ]
            }}
            capture.props = {{
                node.name = vivavoce.input
                node.passive = true
            }}
            playback.props = {{
                node.name = vivavoce.microphone
                media.class = Audio/Source
            }}
        }}
    }}
]
"""
