"""The picture of the oracle ladder: spectrograms of all rungs, one above the other."""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vivavoce.audio import read_audio, resample, write_whole
from vivavoce.errors import MissingExtraError
from vivavoce.evaluation.spectrogram import FLOOR_DB, LEVELS, colour_map, levels_of, power_spectrogram

LABELS = {
    "noisy": "noisy",
    "bins": "oracle magnitude of every bin, noisy phase",
    "bands": "34 bands",
    "comb": "34 bands + comb filter (pitch of the noisy speech)",
    "comb-clean-pitch": "34 bands + comb filter (pitch of the clean speech)",
    "postfilter": "34 bands + comb filter + post-filter",
    "clean": "clean",
}
PICTURE_RATE = 8_000  # up to 4 kHz, where speech is periodic
WINDOW_S = 0.04  # tells harmonics apart
SHOWN_S = 4.0
COLUMNS_PER_S = 200
SHOWN_DB = 60.0
COLOURS = 64  # of the file: a quarter of the size of true colour, and no eye sees it
PANEL_INCHES = (7.5, 1.2)
DPI = 100


def draw_ladder(outputs: Mapping[str, Path], path: str | Path, title: str = "") -> None:
    """Draw the first seconds of one clip into a PNG file.

    Args:
        outputs: Sound files by the name of their rung or system, from the top of the picture.
        path: The file; one that exists is overwritten.
        title: Stands above.

    Raises:
        MissingExtraError: matplotlib is not installed.
        AudioFileError: A file cannot be read.
        OSError: The picture cannot be written.
    """
    try:
        figures = importlib.import_module("matplotlib.figure")
        colours = importlib.import_module("matplotlib.colors")
        images = importlib.import_module("PIL.Image")
    except ImportError:
        raise MissingExtraError("evaluate", "matplotlib") from None
    powers = {name: _power(file) for name, file in outputs.items()}
    reference = max(float(power.max()) for power in powers.values())
    colour_table = colours.ListedColormap(colour_map() / 255)
    width, height = PANEL_INCHES
    figure = figures.Figure(figsize=(width, 0.6 + height * len(powers)), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(powers), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (name, power) in zip(panels, powers.items(), strict=True):
        seconds = power.shape[1] / COLUMNS_PER_S
        panel.imshow(
            levels_of(power, reference),
            cmap=colour_table,
            vmin=(LEVELS - 1) * (1 + SHOWN_DB / FLOOR_DB),
            vmax=LEVELS - 1,
            aspect="auto",
            interpolation="nearest",
            extent=(0, seconds, 0, PICTURE_RATE / 2000),
        )
        panel.set_title(LABELS.get(name, f"network: {name}"), fontsize=8, loc="left", pad=2)
        panel.tick_params(labelsize=7)
    panels[len(panels) // 2].set_ylabel("kHz", fontsize=8)
    panels[-1].set_xlabel("s", fontsize=8)
    note = f"colours span {SHOWN_DB:.0f} dB"
    figure.suptitle(f"{title}   ({note})" if title else note, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    picture = images.open(buffer).convert("RGB").quantize(COLOURS)
    write_whole(path, lambda file: picture.save(file, format="png", optimize=True))


def _power(file: Path) -> np.ndarray:
    samples, sample_rate = read_audio(file)
    samples = resample(samples[: round(SHOWN_S * sample_rate)], sample_rate, PICTURE_RATE)
    columns = max(1, round(len(samples) / PICTURE_RATE * COLUMNS_PER_S))
    return power_spectrogram(samples if len(samples) else np.zeros(1, np.float32), PICTURE_RATE, columns, WINDOW_S)
