"""The 20 features of LPCNet and its relatives: what a vocoder needs to know of 10 ms of speech at 16 kHz.

18 Bark-scale cepstral coefficients, pitch and voicing, after J.-M. Valin and J. Skoglund, "LPCNet: improving neural
speech synthesis through linear prediction" (ICASSP 2019), with the bands, floors and scales that its successors in DRED
and FARGAN use. Departing from them, pitch comes from our own tracker (`signal.pitch`) on the signal itself.

Frame l is centred on sample 160 l and its window ends at sample 160 (l + 1): no feature needs more look-ahead.
"""

from __future__ import annotations

import numpy as np

from vivavoce.signal.pitch import WIDE_BAND, track_pitch
from vivavoce.signal.stft import analyse

SAMPLE_RATE = 16_000
HOP = 160
WINDOW = 2 * HOP
BINS = WINDOW // 2 + 1
BARK_BANDS = 18
FEATURES = BARK_BANDS + 2
PITCH, VOICING = BARK_BANDS, BARK_BANDS + 1  # where they stand
PREEMPHASIS = 0.85
LPC_ORDER = 16
FULL_SCALE = 32_768.0  # energies are those of 16-bit samples

_BIN_HZ = SAMPLE_RATE // WINDOW
_CENTRES = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 34, 40]) * 200 // _BIN_HZ
_MIN_ENERGY = 1e-2
_RANGE, _SLOPE = 8.0, 2.5  # below the loudest band, and below the band before, in units of 10 dB
_MEAN_C0 = 4.0
_MAX_PERIOD = WIDE_BAND.max_period
# Energy of a bin from that of its band: the bands sum over more bins the higher they are.
_PER_BIN = np.array([0.8, *7 * [1.0], 0.667, *3 * [0.5], 0.333, *2 * [0.25], 0.2, 0.167, 0.174])
# Correlation at lag 0 of a signal whose mean square is 1: the window's squares sum to half of its length, and a band
# counts all of its bins, which are 4 at first.
_CORRELATION_OF_POWER = 4 * (FULL_SCALE / WINDOW) ** 2 * WINDOW / 2
_ROUNDING = _CORRELATION_OF_POWER / FULL_SCALE**2 / 12  # of 16-bit samples


def bark_weights() -> np.ndarray:
    """Weight of each bin in each band, shape (bands, bins), float32: triangles that sum to 1, the outer two doubled."""
    points = np.interp(np.arange(BINS), _CENTRES, np.arange(BARK_BANDS))
    weights = np.maximum(0, 1 - np.abs(points - np.arange(BARK_BANDS)[:, None]))
    weights[[0, -1]] *= 2
    return weights.astype(np.float32)


def dct_matrix() -> np.ndarray:
    """Orthonormal DCT-II: shape (coefficients, bands)."""
    n = np.arange(BARK_BANDS)
    matrix = np.sqrt(2 / BARK_BANDS) * np.cos(np.pi / BARK_BANDS * n[:, None] * (n + 0.5))
    matrix[0] *= np.sqrt(0.5)
    return matrix


def preemphasise(samples: np.ndarray) -> np.ndarray:
    """x[n] - 0.85 x[n - 1], silent before: shape (samples,)."""
    return samples - PREEMPHASIS * np.concatenate([[0.0], samples[:-1]]) if len(samples) else samples


def cepstrum_of_energies(energies: np.ndarray) -> np.ndarray:
    """Band energies of 16-bit samples to cepstra, (..., 18) both.

    A band counts as no more than 80 dB below the loudest so far and 25 dB below the one before it: the noise of silent
    bands says nothing.
    """
    logs = np.log10(_MIN_ENERGY + energies)
    floored = np.empty_like(logs)
    loudest = follow = np.full(logs.shape[:-1], -2.0)
    for band in range(BARK_BANDS):
        floored[..., band] = np.maximum(np.maximum(loudest - _RANGE, follow - _SLOPE), logs[..., band])
        loudest = np.maximum(loudest, floored[..., band])
        follow = np.maximum(follow - _SLOPE, floored[..., band])
    cepstra = floored @ dct_matrix().T
    cepstra[..., 0] -= _MEAN_C0
    return cepstra


def energies_of_cepstrum(cepstra: np.ndarray) -> np.ndarray:
    """The inverse, (..., 18) both."""
    shifted = np.array(cepstra, float)
    shifted[..., 0] += _MEAN_C0
    return 10 ** (shifted @ dct_matrix())


def lpc_of_cepstrum(cepstra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear prediction of the pre-emphasised signal with the envelope that the cepstrum describes.

    Args:
        cepstra: Shape (frames, 18).

    Returns:
        The prediction of y[n] is the sum of a[k] y[n - 1 - k]: a, shape (frames, 16); and the root mean square of what
        it leaves of a signal in [-1, 1), shape (frames,).
    """
    weights = bark_weights()
    weights[[0, -1]] /= 2
    spectrum = (energies_of_cepstrum(cepstra) * _PER_BIN) @ weights
    correlation = np.fft.irfft(spectrum, WINDOW)[..., : LPC_ORDER + 1]
    correlation[..., 0] += 1e-4 * correlation[..., 0] + _ROUNDING
    correlation[..., 1:] *= 1 - 6e-5 * np.arange(1, LPC_ORDER + 1) ** 2
    predictions, errors = zip(*(levinson(row) for row in np.atleast_2d(correlation)), strict=True)
    return np.stack(predictions), np.sqrt(np.array(errors) / _CORRELATION_OF_POWER)


def levinson(correlation: np.ndarray) -> tuple[np.ndarray, float]:
    """Levinson-Durbin: autocorrelation, shape (order + 1,), to prediction, shape (order,), and its error.

    It ends early where 30 dB are predicted: what follows would fit rounding errors.
    """
    order = len(correlation) - 1
    prediction = np.zeros(order)
    error = correlation[0]
    for i in range(order):
        if error <= 0.001 * correlation[0]:
            break
        reflection = (correlation[i + 1] - prediction[:i] @ correlation[i:0:-1]) / error
        prediction[:i] -= reflection * prediction[:i][::-1]
        prediction[i] = reflection
        error -= reflection**2 * error
    return prediction, float(error)


def pitch_feature(periods: np.ndarray) -> np.ndarray:
    """Periods of 32 to 256 samples to octaves, from 1.5 down to -1.5."""
    return np.log2(_MAX_PERIOD / np.asarray(periods, float)) - 1.5


def period_of_feature(feature: np.ndarray) -> np.ndarray:
    """The inverse, rounded to whole samples, int."""
    clipped = np.clip(feature, -1.5, 1.5)
    return np.floor(0.5 + _MAX_PERIOD / 2 ** (clipped + 1.5)).astype(int)


def voicing_feature(correlations: np.ndarray) -> np.ndarray:
    """Normalised correlations, -1 to 1, to about -0.5 to 0.5: what is below 0 says no more than 0 does."""
    return np.log1p(np.exp(5 * correlations)) / np.log1p(np.exp(5)) - 0.5


def speech_features(samples: np.ndarray, frames: int, lookahead: int = 0) -> np.ndarray:
    """Features of a signal.

    Args:
        samples: Shape (samples,), float in [-1, 1), 16 kHz; silent outside.
        frames: How many.
        lookahead: Frames beyond its own end that the pitch of a frame may look at.

    Returns:
        Shape (frames, 20).
    """
    spectra = analyse(preemphasise(np.asarray(samples, float)), frames, WINDOW) * (FULL_SCALE / WINDOW)
    energies = (spectra.real**2 + spectra.imag**2) @ bark_weights().T
    track = track_pitch(samples, frames, lookahead, WIDE_BAND)
    features = np.empty((frames, FEATURES))
    features[:, :BARK_BANDS] = cepstrum_of_energies(energies)
    features[:, PITCH] = pitch_feature(track.periods)
    features[:, VOICING] = voicing_feature(track.correlations)
    return features
