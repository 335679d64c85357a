"""What a vocoder's samples are judged by: spectra at many resolutions, and the phase where it takes over.

After section III of the FARGAN paper (arXiv 2405.21069): the spectral convergence of the roots of the magnitudes, and
the cosine distance of the first frame that is not known. And how loud critical bands are, after E. Zwicker: power to
0.23, as measures of perceived quality have it.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

FFT_SIZES = (2560, 1280, 640, 320, 160, 80)
HOPS_PER_WINDOW = 4
FLOOR = 1e-5  # of squares, where that of the signal is 1: what is 50 dB below it does not count
QUIET = 1e-4  # of the root mean square: silence is no louder than this
JOIN_WEIGHT = 0.03
LOUDNESS_FFT, LOUDNESS_HOP = 512, 128
CRITICAL_BANDS = 48  # of 0.4 bark
LOUDNESS = 0.23
INAUDIBLE = 1e-3  # of a band's power, where a sample's is 1: no less counts


def vocoder_loss(made: Tensor, truth: Tensor, primed: int, join: int) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of pre-emphasised signals.

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
    loss = spectral + JOIN_WEIGHT * (1 - cosine)
    return loss, {"spectral": spectral.detach(), "join": 1 - cosine.detach()}


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


def loudness_distance(made: Tensor, truth: Tensor, sample_rate: int) -> Tensor:
    """Mean difference of the loudness of critical bands, relative to their loudness: shape (batch, samples), to ()."""
    scale = 1 / (QUIET + truth.square().mean(1, keepdim=True).sqrt())
    a, b = (_loudness(samples * scale, sample_rate) for samples in (made, truth))
    return (a - b).abs().mean() / b.mean()


def _loudness(samples: Tensor, sample_rate: int) -> Tensor:
    window = torch.hann_window(LOUDNESS_FFT, device=samples.device)
    spectra = torch.stft(samples, LOUDNESS_FFT, LOUDNESS_HOP, window=window, return_complex=True)
    power = (spectra.real.square() + spectra.imag.square()).transpose(1, 2)
    return (power @ _critical_bands(sample_rate, samples.device) + INAUDIBLE) ** LOUDNESS


@lru_cache(maxsize=32)
def _critical_bands(sample_rate: int, device: torch.device) -> Tensor:
    """Mean power of triangles along the bark scale 6 asinh(f / 600): (bins, bands)."""
    barks = 6 * torch.asinh(torch.fft.rfftfreq(LOUDNESS_FFT, 1 / sample_rate, device=device) / 600)
    width = barks[-1] / CRITICAL_BANDS
    centres = width * (torch.arange(CRITICAL_BANDS, device=device) + 0.5)
    bands = (1 - (barks[:, None] - centres).abs() / width).clamp(min=0)
    return bands / bands.sum(0).clamp(min=INAUDIBLE)


def _root_magnitudes(samples: Tensor, size: int) -> Tensor:
    window = _window(size, samples.device)
    spectra = torch.stft(samples, size, size // HOPS_PER_WINDOW, window=window, return_complex=True)
    return (spectra.real.square() + spectra.imag.square() + FLOOR).sqrt().sqrt()


@lru_cache(maxsize=32)
def _window(size: int, device: torch.device) -> Tensor:
    """Hann, of energy 1."""
    window = torch.hann_window(size, device=device)
    return window / window.square().sum().sqrt()
