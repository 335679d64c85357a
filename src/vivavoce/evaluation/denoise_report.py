"""The page of a denoised file: hear both, and see the band gains, the pitch track and the voice probability.

It is laid out by the template of the page of a call. Files of several channels are shown as their mean: sound and
gains; pitch and voice are those of the channel that is most surely voice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vivavoce.audio import resample
from vivavoce.evaluation.metrics import ENHANCEMENT_METRICS, METRIC_SAMPLE_RATE, metrics_named, score_clip
from vivavoce.evaluation.mixing import level_db
from vivavoce.evaluation.report import (
    MAX_EMBEDDED_BYTES,
    PAGE,
    data_uri,
    fill_report_folder,
    page_html,
    page_track,
    report_files,
)
from vivavoce.evaluation.spectrogram import (
    COLUMN_S,
    LEVELS,
    MAX_COLUMNS,
    colour_map,
    encode_png,
    levels_of,
    power_spectrogram,
)
from vivavoce.signal.bands import ErbBands

if TYPE_CHECKING:
    from vivavoce.enhancement.denoiser import FrameReport
    from vivavoce.enhancement.files import DenoisedFile

TRACKS = ("noisy", "cleaned")
PICTURES = ("gains", "pitch", "voice")
FRAME_S = 0.01
INNER_RATE = 48_000  # of pitch periods
GAIN_FLOOR_DB = -40.0  # black
BAND_ROWS = 4  # of the picture of gains, for each band
LABELLED_BANDS = (0, 8, 16, 22, 28, 33)
PITCH_RATE = 2_000  # shows the fundamentals and first harmonics of all voices
PITCH_WINDOW_S = 0.04  # tells the harmonics of low voices apart
PITCH_LINE_ROWS = 5
VOICE_ROWS = 60
SCORED_S = 60  # DNSMOS takes a second of CPU for ten of sound

_PITCH_INK, _FAINT_INK = (64, 255, 214), (44, 148, 140)  # a colour that the map does not have: tracked; unsure
_PAPER_INK, _VOICE_INK = (24, 22, 34), (86, 190, 160)


class DenoiseTrace:
    """Collects what a page shows, block by block: call it as the `watch` of `denoise_file`."""

    def __init__(self) -> None:
        self._noisy: list[np.ndarray] = []
        self._cleaned: list[np.ndarray] = []
        self._frames: list[np.ndarray] = []  # rows: pitch in Hz, its correlation, voice probability, gains

    def __call__(self, block: np.ndarray, output: np.ndarray, reports: Sequence[FrameReport]) -> None:
        self._noisy.append(block.mean(axis=0, dtype=np.float32))
        self._cleaned.append(output.mean(axis=0, dtype=np.float32))
        channels = len(block)
        frames = [_row(reports[at : at + channels]) for at in range(0, len(reports), channels)]
        if frames:
            self._frames.append(np.array(frames, np.float32))

    @cached_property
    def noisy(self) -> NDArray[np.float32]:
        """Shape (samples,), at the rate of the input."""
        return np.concatenate(self._noisy)

    @cached_property
    def cleaned(self) -> NDArray[np.float32]:
        """Shape (samples,), at the rate of the output."""
        return np.concatenate(self._cleaned)

    @cached_property
    def frames(self) -> NDArray[np.float32]:
        """For each 10 ms pitch in Hz, its correlation, voice probability and the band gains: shape (frames, 3 + 34)."""
        return np.concatenate(self._frames)


def quality(trace: DenoiseTrace, done: DenoisedFile) -> dict[str, dict[str, float]]:
    """DNSMOS of the first minute by track and name, such as {"cleaned": {"OVRL": 3.1}}; NaN where there is none.

    Raises:
        MissingExtraError: The metrics are not installed.
    """
    metrics = metrics_named(("sig", "bak", "ovrl"), ENHANCEMENT_METRICS)
    scores = {}
    for name, samples, rate in _sounds(trace, done):
        heard = resample(samples[: SCORED_S * rate], rate, METRIC_SAMPLE_RATE)
        values = score_clip(metrics, heard, heard).values
        scores[name] = {f"DNSMOS {metric.label}": values[metric.name] for metric in metrics}
    return scores


def write_denoise_report(
    directory: Path,
    trace: DenoiseTrace,
    done: DenoisedFile,
    *,
    scores: Mapping[str, Mapping[str, float]] | None = None,
    notes: Mapping[str, str] | None = None,
    force: bool = False,
) -> Path:
    """Write the page and the files beside it, all or nothing.

    Args:
        directory: Where the report goes; made, with its parents, where it does not exist.
        trace: What the file's denoising left.
        done: Its result.
        scores: As of `quality`; greater is better.
        notes: Lines to show among the settings, by name.
        force: Replace the files of an earlier report. Whatever else lies in `directory` is left alone.

    Returns:
        The path of the page, `directory / "index.html"`.

    Raises:
        FileExistsError: See `check_report_folder`.
    """
    files = report_files(TRACKS, PICTURES)
    fill_report_folder(directory, files, lambda scratch: _build(scratch, trace, done, scores, notes), force=force)
    return directory / PAGE


def gains_picture(gains: NDArray[np.float32], columns: int) -> NDArray[np.uint8]:
    """Levels of gains over time, 0 dB the brightest: (frames, bands) to (bands * BAND_ROWS, columns), treble above."""
    power = _columns(np.square(gains), columns).T[::-1]
    decibels = 10 * np.log10(np.maximum(power, 1e-12))
    levels = np.rint(np.clip(1 - decibels / GAIN_FLOOR_DB, 0, 1) * (LEVELS - 1)).astype(np.uint8)
    return np.repeat(levels, BAND_ROWS, axis=0)


def draw_pitch(levels: NDArray[np.uint8], frames: NDArray[np.float32]) -> None:
    """Draw the pitch where there is voice into a picture of 0 to PITCH_RATE / 2, with the two indices after LEVELS.

    Args:
        levels: Shape (rows, columns), overwritten.
        frames: Those of a `DenoiseTrace`.
    """
    rows, columns = levels.shape
    frame = np.minimum(((np.arange(columns) + 0.5) * len(frames) / columns).astype(np.intp), len(frames) - 1)
    pitch_hz, correlation, voice = frames[frame, :3].T
    centre = np.rint(rows * (1 - pitch_hz / (PITCH_RATE / 2)) - 0.5).astype(np.intp)
    for offset in range(-(PITCH_LINE_ROWS // 2), PITCH_LINE_ROWS // 2 + 1):
        row = centre + offset
        seen = (voice > 0.5) & (pitch_hz > 0) & (row >= 0) & (row < rows)
        levels[row[seen], np.flatnonzero(seen)] = np.where(correlation[seen] > 0.5, LEVELS, LEVELS + 1)


def voice_picture(voice: NDArray[np.float32], columns: int) -> NDArray[np.uint8]:
    """A curve of probabilities with the area below it: indices LEVELS (paper) and LEVELS + 1 (voice)."""
    height = _columns(voice[:, None], columns)[:, 0] * VOICE_ROWS
    return np.where(np.arange(VOICE_ROWS)[::-1, None] + 0.5 < height, LEVELS + 1, LEVELS).astype(np.uint8)


def _build(
    scratch: Path,
    trace: DenoiseTrace,
    done: DenoisedFile,
    scores: Mapping[str, Mapping[str, float]] | None,
    notes: Mapping[str, str] | None,
) -> None:
    sounds = list(_sounds(trace, done))
    powers = {name: power_spectrogram(samples, rate) for name, samples, rate in sounds}
    reference = max(float(power.max()) for power in powers.values())
    embedded = sum(2 * len(samples) for _, samples, _ in sounds) <= MAX_EMBEDDED_BYTES
    tracks = []
    for (name, samples, rate), note in zip(sounds, ("as it was recorded", done.model), strict=True):
        levels = levels_of(powers[name], reference)
        (scratch / f"{name}.png").write_bytes(encode_png(levels, colour_map()))
        tracks.append(page_track(scratch, name, note, samples, rate, levels, embedded=embedded))
    pictures = []
    for entry, png in _pictures(trace, done, len(powers["cleaned"][0])):
        (scratch / f"{entry['key']}.png").write_bytes(png)
        pictures.append(entry | {"picture": data_uri("image/png", png)})
    notes = notes or {}
    page = {
        "verb": "denoise",
        "headline": _headline(done),
        "input": notes.get("input", ""),
        "duration_s": done.seconds,
        "slot_s": FRAME_S,
        "top_khz": done.sample_rate / 2000,
        "embedded": embedded,
        "sources": [],
        "tracks": tracks,
        "pictures": pictures,
        "frames": _frames_of_page(trace),
        "columns": [name.capitalize() for name in TRACKS],
        "table_title": "What was taken away",
        "table": _table(trace, done, scores or {}),
        "settings": _settings(done, notes),
    }
    (scratch / PAGE).write_text(page_html(page), encoding="utf-8")


def _pictures(trace: DenoiseTrace, done: DenoisedFile, columns: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The page's entries of the pictures, and the pictures as PNG."""
    colours = colour_map()
    bands = ErbBands()
    gains = trace.frames[:, 3:]
    labels = [[1 - (band + 0.5) / len(gains[0]), f"{bands.centres_hz[band] / 1000:.3g}"] for band in LABELLED_BANDS]
    note = f"of the {len(gains[0])} ERB bands, bright: kept, black: {GAIN_FLOOR_DB:.0f} dB"
    picture = gains_picture(gains, min(columns, len(gains)))
    yield _entry("gains", "Gains", note, labels, "kHz", 150), encode_png(picture, colours)

    low = resample(trace.noisy, done.input_rate, PITCH_RATE)
    wide = min(MAX_COLUMNS, max(1, round(done.seconds / COLUMN_S)))
    power = power_spectrogram(low, PITCH_RATE, wide, PITCH_WINDOW_S)
    levels = levels_of(power, float(power.max()))
    draw_pitch(levels, trace.frames)
    inks = np.array([_PITCH_INK, _FAINT_INK], np.uint8)
    labels = [[1 - hz / (PITCH_RATE / 2), f"{hz / 1000:g}"] for hz in range(0, PITCH_RATE // 2 + 1, 200)]
    note = "the track, drawn over the noisy sound; faint where it is unsure"
    yield _entry("pitch", "Pitch", note, labels, "kHz", 190), encode_png(levels, np.concatenate([colours, inks]))

    picture = voice_picture(trace.frames[:, 2], min(columns, len(trace.frames)))
    palette = np.concatenate([colours, np.array([_PAPER_INK, _VOICE_INK], np.uint8)])
    labels = [[1.0, "0"], [0.0, "100"]]
    yield _entry("voice", "Voice", "probability that somebody speaks", labels, "%", 48), encode_png(picture, palette)


def _entry(key: str, name: str, note: str, labels: list[list[Any]], unit: str, height_px: int) -> dict[str, Any]:
    return {"key": key, "name": name, "note": note, "labels": labels, "unit": unit, "height_px": height_px}


def _sounds(trace: DenoiseTrace, done: DenoisedFile) -> Iterator[tuple[str, np.ndarray, int]]:
    """Name, samples and rate of both tracks."""
    yield "noisy", trace.noisy, done.input_rate
    yield "cleaned", trace.cleaned, done.sample_rate


def _frames_of_page(trace: DenoiseTrace) -> dict[str, Any]:
    pitch_hz, correlation, voice = trace.frames[:, :3].T
    tracked = (voice > 0.5) & (correlation > 0.5)
    return {
        "step_s": FRAME_S,
        "voice": np.rint(100 * voice).astype(int).tolist(),
        "pitch_hz": np.where(tracked, np.rint(pitch_hz), 0).astype(int).tolist(),
    }


def _headline(done: DenoisedFile) -> str:
    if done.attenuation_db is None:
        return "There is nothing to hear."
    return (
        f"{done.model} took {done.attenuation_db:.1f} dB of the sound's energy away. "
        f"It hears voice in {100 * done.voice_share:.0f} % of the time."
    )


def _table(trace: DenoiseTrace, done: DenoisedFile, scores: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Groups of rows as the template wants them, with a text for each track."""
    quality = []
    for name in dict.fromkeys(name for track in TRACKS for name in scores.get(track, {})):
        values = [scores.get(track, {}).get(name, np.nan) for track in TRACKS]
        row: dict[str, Any] = {"name": name, "values": [_number(value, "{:.2f}") for value in values]}
        if np.isfinite(values).all() and values[0] != values[1]:
            row["better"] = int(values[1] > values[0])
        quality.append(row)
    voiced = trace.frames[:, 2] > 0.5
    levels = []
    for name, where in (("All of it", None), ("With voice", voiced), ("Without", ~voiced)):
        values = [_level(samples, rate, where) for _, samples, rate in _sounds(trace, done)]
        levels.append({"name": name, "values": [_number(value, "{:.1f} dB") for value in values]})
    cost = [{"name": "CPU", "hint": "of one core", "values": ["", f"{100 * done.cpu_seconds_per_second:.2f} %"]}]
    groups = [("Quality", quality), ("Mean level, full scale is 0 dB", levels), ("Cost", cost)]
    return [{"title": title, "rows": rows} for title, rows in groups if rows]


def _level(samples: NDArray[np.float32], rate: int, where: NDArray[np.bool_] | None) -> float:
    """Mean level in dB of some frames of a track, NaN where there are none."""
    if where is not None:
        frame = (np.arange(len(samples)) / (rate * FRAME_S)).astype(np.intp)
        samples = samples[where[np.minimum(frame, len(where) - 1)]]
    return level_db(samples) if len(samples) else float("nan")


def _number(value: float, form: str) -> str:
    return form.format(value) if np.isfinite(value) else "–"


def _settings(done: DenoisedFile, notes: Mapping[str, str]) -> list[tuple[str, str]]:
    rate = f"{done.input_rate} Hz" + (f", {done.sample_rate} Hz out" if done.sample_rate != done.input_rate else "")
    channels = "1" if done.channels == 1 else f"{done.channels}, shown as their mean"
    return [*notes.items(), ("sample rate", rate), ("channels", channels)]


def _columns(values: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """Means over time, each over at least one frame: (frames, n) to (columns, n), for at most as many columns."""
    edges = (np.arange(columns + 1) * len(values) / columns).astype(np.intp)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    return ((sums[edges[1:]] - sums[edges[:-1]]) / np.diff(edges)[:, None]).astype(np.float32)


def _row(channels: Sequence[FrameReport]) -> np.ndarray:
    """One row of `DenoiseTrace.frames`, of what became of a frame of each channel."""
    best = max(channels, key=lambda report: report.voice_probability)
    pitch_hz = INNER_RATE / best.pitch_period if best.pitch_period else 0.0
    gains = np.mean([report.gains for report in channels], axis=0)
    return np.concatenate([[pitch_hz, best.pitch_correlation, best.voice_probability], gains])
