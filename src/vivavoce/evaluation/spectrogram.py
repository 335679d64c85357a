"""Spectrograms as PNG pictures, made with NumPy and zlib alone.

A report of a call must not need a plotting library, so this file has its own short-time Fourier transform, its own
colour map and the few bytes of PNG (W3C Recommendation "Portable Network Graphics", third edition) around them. The
pictures are palette images: the level of a cell is its palette index, and the last indices are the inks of the marks.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ROWS = 256  # half of the shortest transform below; about the height at which a page shows a picture on a dense screen
MAX_COLUMNS = 2400  # fills a wide dense screen; a 20-ms slot keeps two columns in calls of up to 24 s
WINDOW_S = 0.02  # resolves the harmonics of a voice and is as long as the slot that a lost packet leaves empty
COLUMN_S = 0.005  # a quarter of the window: finer columns would show no more
FLOOR_DB = -80.0  # below this, relative to the loudest cell of the original, a cell is black

LEVELS = 240  # palette entries of the colour map; the 16 left over are for inks
LOST_ROWS, STRIP_ROWS, GAP_ROWS = 10, 18, 3  # heights of the marks around a picture

# From night through purple and coral to cream. Each anchor is placed at its own CIE lightness, so that equal steps in
# decibels look equally large, also in greyscale and to colour-blind eyes.
_ANCHORS = ((5, 4, 20), (38, 18, 84), (84, 24, 122), (138, 38, 126), (196, 58, 106), (236, 102, 84), (250, 158, 98),
            (253, 212, 146), (253, 251, 214))  # fmt: skip
_CHUNK_SAMPLES = (
    1 << 22
)  # at most this many windowed samples are in memory at once: an hour of speech is no special case


def power_spectrogram(
    samples: NDArray[np.float32], sample_rate: int, columns: int | None = None, window_s: float = WINDOW_S
) -> NDArray[np.float32]:
    """Mean power over time and linear frequency.

    Args:
        samples: Shape (samples,), at least one.
        sample_rate: In Hz.
        columns: Width of the result; as many as `MAX_COLUMNS` allows, 5 ms each, where not given. A column that is
            longer than a window is the mean of all windows that fit into it, so nothing short goes unseen.
        window_s: Length of the window; a longer one tells closer frequencies apart.

    Returns:
        Shape (ROWS, columns); row 0 is the highest frequency, half the sample rate, as in a picture.

    Raises:
        ValueError: There are no samples.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"a spectrogram needs samples of shape (samples,), got {samples.shape}")
    columns = columns or int(np.clip(np.ceil(samples.size / (COLUMN_S * sample_rate)), 1, MAX_COLUMNS))
    window_samples = max(2, round(window_s * sample_rate))
    window = np.hanning(window_samples + 2)[1:-1].astype(np.float32)
    bins_per_row = -(-window_samples // (2 * ROWS))
    step = samples.size / columns
    windows = max(1, int(step // window_samples))
    padded = np.pad(samples, (window_samples // 2, window_samples))
    power = np.empty((ROWS, columns), dtype=np.float32)
    chunk = max(1, _CHUNK_SAMPLES // (windows * window_samples))
    for first in range(0, columns, chunk):
        column = np.arange(first, min(first + chunk, columns))
        centres = (column[:, None] + (np.arange(windows) + 0.5) / windows) * step
        frames = padded[centres.astype(np.intp)[..., None] + np.arange(window_samples)] * window
        spectrum = np.fft.rfft(frames, 2 * ROWS * bins_per_row)[..., :-1]
        cells = (spectrum.real**2 + spectrum.imag**2).mean(axis=1).reshape(len(column), ROWS, bins_per_row).mean(axis=2)
        power[:, column] = cells.T[::-1]
    return power


def levels_of(power: NDArray[np.float32], reference: float) -> NDArray[np.uint8]:
    """Palette indices of powers on a logarithmic scale.

    Args:
        power: Any shape.
        reference: The power that is 0 dB; the brightest colour stands for it and for everything above.

    Returns:
        The shape of `power`, 0 at `FLOOR_DB` and below, `LEVELS - 1` at 0 dB.
    """
    decibels = 10 * np.log10(np.maximum(power, 1e-20) / max(reference, 1e-20))
    # Digital silence has no reference: it is black, not as bright as can be.
    decibels = np.where(np.asarray(power) > 1e-20, decibels, FLOOR_DB)
    return np.rint(np.clip(1 - decibels / FLOOR_DB, 0, 1) * (LEVELS - 1)).astype(np.uint8)


def lightness(colours: NDArray[np.floating]) -> NDArray[np.float64]:
    """CIE 1976 lightness, 0 to 100, of sRGB colours of shape (..., 3) in [0, 255] (IEC 61966-2-1)."""
    unit = np.asarray(colours, dtype=np.float64) / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, luminance * 24389 / 27)


def colour_map() -> NDArray[np.uint8]:
    """The colours of the levels, dark to bright, shape (LEVELS, 3)."""
    anchors = np.array(_ANCHORS, dtype=np.float64)
    places = lightness(anchors)
    wanted = np.linspace(places[0], places[-1], LEVELS)
    return np.stack([np.rint(np.interp(wanted, places, anchors[:, c])) for c in range(3)], axis=1).astype(np.uint8)


def encode_png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """Write a palette image.

    Args:
        pixels: Palette indices, shape (height, width).
        palette: Shape (colours, 3), at most 256 colours.
    """
    height, width = pixels.shape
    # PNG section 9: each row opens with its filter type. Neighbouring rows of a spectrogram differ little, and their
    # difference ("up", type 2) packs better than the rows.
    rows = np.diff(pixels, axis=0, prepend=np.zeros((1, width), dtype=np.uint8))
    lines = np.concatenate([np.full((height, 1), 2, dtype=np.uint8), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def shares_per_column(values: NDArray[np.integer], kinds: int, columns: int, slots: float) -> NDArray[np.float64]:
    """How a row of slots divides each column of a picture.

    Args:
        values: The kind of each slot, shape (slots,), each below `kinds`.
        kinds: How many kinds there are.
        columns: Width of the picture.
        slots: How many slots the picture spans; not whole where the last one is cut short.

    Returns:
        Shape (kinds, columns), the share of each kind among the slots that fall into a column; zeros after the last.
    """
    edges = (np.arange(columns + 1) * (slots / columns)).astype(np.intp)
    first, last = edges[:-1], np.maximum(edges[1:], edges[:-1] + 1)
    shares = np.zeros((kinds, columns))
    for kind in range(kinds):
        running = np.concatenate([[0], np.cumsum(np.asarray(values) == kind)])
        shares[kind] = running[np.minimum(last, len(values))] - running[np.minimum(first, len(values))]
    return shares / (last - first)


def marked(
    levels: NDArray[np.uint8],
    inks: Sequence[tuple[int, int, int]],
    lost: NDArray[np.bool_],
    sources: NDArray[np.integer],
    slots: float,
) -> bytes:
    """A picture with a lane of lost packets above and a strip of slot sources below, as PNG.

    Args:
        levels: Shape (ROWS, columns).
        inks: Paper, colour of a lost packet, then one colour for each source; at most 16.
        lost: Shape (packets,), one packet a slot.
        sources: Index of each slot's source, shape (slots,).
        slots: How many slots the picture spans.
    """
    palette = np.concatenate([colour_map(), np.array(inks, dtype=np.uint8)])
    columns = levels.shape[1]
    gap = np.full((GAP_ROWS, columns), LEVELS, dtype=np.uint8)
    share_lost = shares_per_column(lost.astype(np.intp), 2, columns, slots)[1]
    lane = np.where(np.arange(LOST_ROWS)[::-1, None] < share_lost * LOST_ROWS, LEVELS + 1, LEVELS).astype(np.uint8)
    # Stacked from the bottom, in the order of the inks: where a column spans many slots, heights are shares.
    stacked = np.cumsum(shares_per_column(sources, len(inks) - 2, columns, slots), axis=0) * STRIP_ROWS
    from_bottom = np.arange(STRIP_ROWS)[::-1, None] + 0.5
    above = (from_bottom[None] > stacked[:, None, :]).sum(axis=0)
    strip = np.where(above < len(inks) - 2, LEVELS + 2 + above, LEVELS).astype(np.uint8)
    return encode_png(np.concatenate([lane, gap, levels, gap, strip]), palette)
