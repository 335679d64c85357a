"""What a vocoder's samples are judged by: spectra at many resolutions, and the phase where it takes over.

After section III of the FARGAN paper (arXiv 2405.21069): the spectral convergence of the roots of the magnitudes, and
the cosine distance of the first frame that is not known. And what a listener hears of the difference: with that term
copy synthesis has more PESQ, ESTOI and PLCMOS.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from vivavoce.signal.cepstrum import PREEMPHASIS, SAMPLE_RATE
from vivavoce.vocoder.disturbance import QUIET, disturbance

FFT_SIZES = (2560, 1280, 640, 320, 160, 80)
HOPS_PER_WINDOW = 4
FLOOR = 1e-5  # of squares, where that of the signal is 1: what is 50 dB below it does not count
JOIN_WEIGHT = 0.03
DISTURBANCE_WEIGHT = 0.3


def vocoder_loss(made: Tensor, truth: Tensor, primed: int, join: int) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of pre-emphasised signals at 16 kHz.

    Args:
        made: Shape (batch, samples).
        truth: The same.
        primed: So many samples at the beginning are known.
        join: So many samples after them are to have the right phase.

    Returns:
        The loss, and its terms for the log.
    """
    spectral = spectral_convergence(made, truth)
    first = slice(primed, primed + join)
    cosine = torch.cosine_similarity(made[:, first], truth[:, first], 1, eps=QUIET).mean()
    heard = disturbance(made, truth, SAMPLE_RATE, PREEMPHASIS)
    loss = spectral + JOIN_WEIGHT * (1 - cosine) + DISTURBANCE_WEIGHT * heard
    return loss, {"spectral": spectral.detach(), "join": 1 - cosine.detach(), "disturbance": heard.detach()}


def spectral_convergence(made: Tensor, truth: Tensor, sizes: tuple[int, ...] = FFT_SIZES) -> Tensor:
    """Relative error of the roots of the magnitudes, mean over resolutions: shape (batch, samples), twice, to ()."""
    scale = 1 / (QUIET + truth.square().mean(1, keepdim=True).sqrt())
    made, truth = made * scale, truth * scale
    distances = []
    for size in (size for size in sizes if size // 2 < made.shape[1]):  # as long as the signal can be mirrored
        a, b = _root_magnitudes(made, size), _root_magnitudes(truth, size)
        relative = (a - b).square().sum((1, 2)) / b.square().sum((1, 2))
        distances.append((relative + FLOOR).sqrt().mean())  # without a floor, equal spectra have no gradient
    return torch.stack(distances).mean()


def _root_magnitudes(samples: Tensor, size: int) -> Tensor:
    window = _window(size, samples.device)
    spectra = torch.stft(samples, size, size // HOPS_PER_WINDOW, window=window, return_complex=True)
    return (spectra.real.square() + spectra.imag.square() + FLOOR).sqrt().sqrt()


@lru_cache(maxsize=32)
def _window(size: int, device: torch.device) -> Tensor:
    """Hann, of energy 1."""
    window = torch.hann_window(size, device=device)
    return window / window.square().sum().sqrt()
