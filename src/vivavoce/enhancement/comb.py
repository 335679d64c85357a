"""The non-causal comb filter that keeps what repeats with the pitch period and cancels the rest.

J.-M. Valin et al., "A perceptually-motivated approach for low-complexity, real-time enhancement of fullband speech"
(INTERSPEECH 2020), section 3.1: five periods to either side under a Hann window cancel 9 dB of noise. Future taps that
the look-ahead does not reach are left out and the others scaled to sum to 1.
"""

from __future__ import annotations

import numpy as np

from vivavoce.signal.pitch import HOP, MAX_PERIOD

COMB_TAPS = 5  # M: periods to either side
TAP_COUNT = 2 * COMB_TAPS + 1
WINDOW = 2 * HOP
HANN_TAPS = 0.5 + 0.5 * np.cos(np.pi * np.arange(-COMB_TAPS, COMB_TAPS + 1) / (COMB_TAPS + 1))


def comb_taps(periods: np.ndarray, lookahead: int) -> np.ndarray:
    """Weights of the taps at -5 ... 5 periods, 0 for those beyond the look-ahead.

    Args:
        periods: Samples at 48 kHz, shape (frames,), int.
        lookahead: Frames beyond the end of the filtered one.

    Returns:
        Shape (frames, 11); each row sums to 1.
    """
    future = np.minimum(COMB_TAPS, lookahead * HOP // np.asarray(periods))
    taps = np.where(np.arange(-COMB_TAPS, COMB_TAPS + 1) <= future[:, None], HANN_TAPS, 0)
    return taps / taps.sum(axis=1, keepdims=True)


def noise_gain(periods: np.ndarray, lookahead: int) -> np.ndarray:
    """sigma_w^2, the part of white noise's energy that passes: (frames,) to (frames,); 1/8 with all taps."""
    return (comb_taps(periods, lookahead) ** 2).sum(axis=1)


def comb_frames(samples: np.ndarray, periods: np.ndarray, lookahead: int) -> np.ndarray:
    """The filtered window of every frame.

    Args:
        samples: Shape (samples,), float, 48 kHz; silent outside.
        periods: Shape (frames,), int; frame l spans samples 480 (l - 1) to 480 (l + 1).
        lookahead: Frames beyond the end of each frame that may be used.

    Returns:
        Shape (frames, 960), not windowed.
    """
    margin = COMB_TAPS * MAX_PERIOD + WINDOW
    end = len(periods) * HOP
    padded = np.zeros(end + 2 * margin)
    count = min(len(samples), end + margin)
    padded[margin : margin + count] = samples[:count]
    frames = np.zeros((len(periods), WINDOW))
    for frame, (period, taps) in enumerate(zip(periods.tolist(), comb_taps(periods, lookahead), strict=True)):
        start = margin + (frame - 1) * HOP - COMB_TAPS * period
        for k, tap in enumerate(taps):
            if tap:
                frames[frame] += tap * padded[start + k * period : start + k * period + WINDOW]
    return frames
