"""The spectral envelope of a few milliseconds: Burg's method, which needs no window and so hears the newest sample.

J. P. Burg, "Maximum entropy spectral analysis" (1975); as features of the last 10 ms before a loss in J.-M. Valin et
al., "Real-time packet loss concealment with mixed generative and predictive model" (INTERSPEECH 2022).
"""

from __future__ import annotations

import numpy as np

from vivavoce.signal.cepstrum import (
    BARK_BANDS,
    FULL_SCALE,
    HOP,
    LPC_ORDER,
    WINDOW,
    bark_weights,
    cepstrum_of_energies,
    preemphasise,
)

HALF = HOP // 2
BURG_FEATURES = 2 * BARK_BANDS
EXPANSION = 0.995  # of the bandwidth: poles on the unit circle have no spectrum
_FLOOR = 1e-9  # of the energy of a half frame
_PREDICTED = 1e-3  # of it: less error than that, and further stages would fit rounding errors


def burg(samples: np.ndarray, order: int = LPC_ORDER) -> tuple[np.ndarray, float]:
    """Linear prediction that minimises the error forward and backward.

    Args:
        samples: Shape (samples,), more than `order`.
        order: Of the prediction.

    Returns:
        The prediction of y[n] from y[n - 1 - k], shape (order,), and the mean square of its error.
    """
    forward, backward = np.array(samples, float), np.array(samples, float)
    prediction = np.zeros(order)
    energy = error = float(forward @ forward) / len(forward)
    for i in range(order):
        if error <= _PREDICTED * energy:
            break
        ahead, behind = forward[i + 1 :], backward[i:-1]
        reflection = 2 * (ahead @ behind) / (ahead @ ahead + behind @ behind + _FLOOR)
        prediction[:i] -= reflection * prediction[:i][::-1]
        prediction[i] = reflection
        error *= 1 - reflection**2
        forward[i + 1 :], backward[i + 1 :] = ahead - reflection * behind, behind - reflection * ahead
    return prediction, float(error)


def burg_cepstrum(samples: np.ndarray) -> np.ndarray:
    """Cepstrum of the envelope of pre-emphasised samples, in the units of `signal.cepstrum`: shape (18,)."""
    prediction, error = burg(samples)
    whitening = np.concatenate([[1.0], -prediction * EXPANSION ** np.arange(1, LPC_ORDER + 1)])
    response = np.abs(np.fft.rfft(whitening, WINDOW)) ** 2
    scale = (FULL_SCALE / WINDOW) ** 2 * (WINDOW / 2)  # of a windowed transform; the window's squares sum to WINDOW / 2
    return cepstrum_of_energies(bark_weights() @ (scale * error / response))


def burg_features(samples: np.ndarray, frames: int) -> np.ndarray:
    """What a predictor hears of each 10 ms beside the cepstrum.

    Args:
        samples: Shape (samples,), float in [-1, 1), 16 kHz; silent outside.
        frames: How many; frame l is samples 160 l to 160 (l + 1), which is where the window of its cepstrum ends.

    Returns:
        Shape (frames, 36): the mean of the cepstra of both halves of the frame, and the second's less the first's.
    """
    sharp = np.zeros(frames * HOP)
    count = min(len(samples), len(sharp))
    sharp[:count] = preemphasise(np.asarray(samples[:count], float))
    halves = np.stack([burg_cepstrum(half) for half in sharp.reshape(-1, HALF)]).reshape(frames, 2, BARK_BANDS)
    return np.concatenate([halves.mean(axis=1), halves[:, 1] - halves[:, 0]], axis=1)
