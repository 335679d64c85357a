"""Windows of overlapping frames: the one truth that the core's windows are tested against.

The Vorbis window is that of the Vorbis I specification, section 4.3.1. Both are computed in double precision and
rounded once, to float32.
"""

from __future__ import annotations

import numpy as np


def vorbis_window(size: int) -> np.ndarray:
    """The power-complementary window, applied at analysis and again at synthesis, with frames half a window apart.

    Args:
        size: Samples; even, at least 2.

    Returns:
        `sin(pi/2 sin^2(pi (n + 1/2) / size))`, shape (size,), float32; `w[n]^2 + w[n + size/2]^2 = 1`.

    Raises:
        ValueError: `size` is odd or below 2.
    """
    if size < 2 or size % 2:
        raise ValueError(f"size must be even and at least 2, got {size}")
    inner = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    return np.sin(np.pi / 2 * inner**2).astype(np.float32)


def hann_window(size: int) -> np.ndarray:
    """The periodic Hann window, whose copies half a window apart sum to 1.

    Args:
        size: Samples; at least 1.

    Returns:
        `1/2 - 1/2 cos(2 pi n / size)`, shape (size,), float32.

    Raises:
        ValueError: `size` is below 1.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


def analyse(samples: np.ndarray, frames: int, size: int = 960) -> np.ndarray:
    """Spectra of overlapping Vorbis windows; frame l spans samples size/2 (l - 1) to size/2 (l + 1).

    Args:
        samples: Shape (samples,), float; silent outside.
        frames: Number of frames.
        size: Samples of a window.

    Returns:
        Shape (frames, size/2 + 1), complex.
    """
    hop = size // 2
    padded = np.zeros((frames + 1) * hop)
    count = min(len(samples), frames * hop)
    padded[hop : hop + count] = samples[:count]
    hops = padded.reshape(frames + 1, hop)
    return np.fft.rfft(np.concatenate([hops[:-1], hops[1:]], axis=1) * vorbis_window(size))


def synthesise(spectra: np.ndarray, size: int = 960) -> np.ndarray:
    """Overlap-add of what `analyse` made: shape (frames, size/2 + 1) to ((frames - 1) * size/2,).

    Sample 0 is sample 0 of the signal that was analysed.
    """
    hop = size // 2
    windows = np.fft.irfft(spectra, size) * vorbis_window(size)
    return (windows[:-1, hop:] + windows[1:, :hop]).ravel()
