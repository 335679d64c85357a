"""How far what was made disturbs who knows the truth: loudness in critical bands, as a listener hears it.

Two measures to train by. `loudness_distance` is plain: loudness after E. Zwicker, power to 0.23, absolute in level.
`disturbance` is after the perceptual model of ITU-T P.862 (PESQ), in a form that gradients pass: the level of frames
is forgiven, differences below a quarter of the loudness are masked, and what was added counts more than what is
missing. It is no PESQ: nothing is aligned, a steady timbre is not forgiven (a vocoder would take on any), and frames
are averaged where PESQ takes high norms over time.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

FFT, HOP = 512, 256
CRITICAL_BANDS = 49  # of 0.4 bark
EXPONENT = 0.23
QUIET = 1e-4  # of the root mean square: silence is no louder than this
SILENCE = 5e-4  # power of a frame of it
INAUDIBLE = 1e-3  # of a band's power, where a sample's is 1: no less counts
LISTENING_POWER = 3.4e6  # of a frame of the truth, over all bands, where the threshold of hearing at 1 kHz is about 2
MAX_THRESHOLD_DB = 75.0
LEVEL_FLOOR, LEVEL_RANGE, LEVEL_MEMORY = 5e3, (3e-4, 5.0), 0.2
SONE = 0.187
MASKED = 0.25  # of the smaller loudness
ADDED_FLOOR, ADDED_EXPONENT, ADDED_RANGE = 50.0, 1.2, (3.0, 12.0)
EMPHASIS_FLOOR, EMPHASIS_POWER, EMPHASIS_EXPONENT = 1e5, 1e7, -0.04  # quiet frames count a little more
MAX_DISTURBANCE = 45.0
ADDED_WEIGHT = 0.1


def disturbance(made: Tensor, truth: Tensor, sample_rate: int, preemphasis: float = 0.0) -> Tensor:
    """Mean disturbance of frames, with a tenth of what was added: shape (batch, samples), twice, to ().

    Args:
        made: Signals of at least 512 samples.
        truth: The same.
        sample_rate: In Hz.
        preemphasis: Of both signals, the coefficient; it is undone.

    Returns:
        Without a unit; 0 for equal signals, 1 to 2 for a vocoder's.
    """
    heard, width = _threshold(sample_rate, made.device), _band_width(sample_rate)
    a, b = _band_powers(made, sample_rate, preemphasis), _band_powers(truth, sample_rate, preemphasis)
    level = LISTENING_POWER / (b.sum(2).mean(1)[:, None, None] + SILENCE)
    a, b = a * level, b * level
    a = a * _level_differences(a, b, heard)
    loud_a, loud_b = _loudness_above(a, heard), _loudness_above(b, heard)
    difference = ((loud_a - loud_b).abs() - MASKED * torch.minimum(loud_a, loud_b)).clamp(min=0)
    added = ((a + ADDED_FLOOR) / (b + ADDED_FLOOR)) ** ADDED_EXPONENT
    added = torch.where(added < ADDED_RANGE[0], 0.0, added.clamp(max=ADDED_RANGE[1]))
    whole = width * CRITICAL_BANDS
    either = whole * (difference.square().sum(2) * width / whole + 1e-9).sqrt()  # no gradient of 0 without the floor
    only_added = width * (difference * added).sum(2)
    emphasis = ((b.sum(2) + EMPHASIS_FLOOR) / EMPHASIS_POWER) ** EMPHASIS_EXPONENT
    either, only_added = ((part * emphasis).clamp(max=MAX_DISTURBANCE).mean() for part in (either, only_added))
    return either + ADDED_WEIGHT * only_added


def loudness_distance(made: Tensor, truth: Tensor, sample_rate: int) -> Tensor:
    """Mean difference of the loudness of critical bands, relative to their loudness: the same shapes."""
    scale = 1 / (QUIET + truth.square().mean(1, keepdim=True).sqrt())
    a, b = (_loudness(samples * scale, sample_rate) for samples in (made, truth))
    return (a - b).abs().mean() / b.mean()


def _loudness(samples: Tensor, sample_rate: int) -> Tensor:
    bands = _critical_bands(sample_rate, samples.device)
    return (_powers(samples) @ (bands / bands.sum(0).clamp(min=INAUDIBLE)) + INAUDIBLE) ** EXPONENT


def _band_powers(samples: Tensor, sample_rate: int, preemphasis: float) -> Tensor:
    power = _powers(samples)
    if preemphasis:
        angles = torch.linspace(0, math.pi, FFT // 2 + 1, device=samples.device)
        power = power / (1 + preemphasis**2 - 2 * preemphasis * torch.cos(angles))
    bands = _critical_bands(sample_rate, samples.device)
    return power @ (bands / bands.sum(1, keepdim=True).clamp(min=1e-9))  # all power is in some band


def _level_differences(made: Tensor, truth: Tensor, heard: Tensor) -> Tensor:
    """How much more power frames of the truth have, smoothed and bounded: shape (batch, frames, 1)."""
    power = [(bands * (bands > heard)).sum(2) + LEVEL_FLOOR for bands in (made, truth)]
    gains: list[Tensor] = []
    for now in (power[1] / power[0]).unbind(1):
        gains.append(LEVEL_MEMORY * gains[-1] + (1 - LEVEL_MEMORY) * now if gains else now)
    return torch.stack(gains, 1).clamp(*LEVEL_RANGE)[:, :, None]


def _loudness_above(power: Tensor, heard: Tensor) -> Tensor:
    relative = (0.5 + 0.5 * power / heard).clamp(min=1)
    return SONE * (heard / 0.5) ** EXPONENT * (relative**EXPONENT - 1)


def _powers(samples: Tensor) -> Tensor:
    """Power spectra: (batch, samples) to (batch, frames, bins)."""
    window = torch.hann_window(FFT, device=samples.device)
    spectra = torch.stft(samples, FFT, HOP, window=window, center=False, return_complex=True)
    return (spectra.real.square() + spectra.imag.square()).transpose(1, 2)


def _bark(hertz: Tensor) -> Tensor:
    return 6 * torch.asinh(hertz / 600)


def _band_width(sample_rate: int) -> float:
    return float(_bark(torch.tensor(sample_rate / 2))) / CRITICAL_BANDS


@lru_cache(maxsize=32)
def _threshold(sample_rate: int, device: torch.device) -> Tensor:
    """Power at the threshold of hearing of each band, after E. Terhardt (1979)."""
    centres = _band_width(sample_rate) * (torch.arange(CRITICAL_BANDS, device=device) + 0.5)
    kilohertz = 0.6 * torch.sinh(centres / 6)
    decibels = 3.64 * kilohertz**-0.8 - 6.5 * torch.exp(-0.6 * (kilohertz - 3.3) ** 2) + 1e-3 * kilohertz**4
    return 10 ** (decibels.clamp(max=MAX_THRESHOLD_DB) / 10)


@lru_cache(maxsize=32)
def _critical_bands(sample_rate: int, device: torch.device) -> Tensor:
    """Triangles of equal width along the bark scale: (bins, bands)."""
    barks = _bark(torch.fft.rfftfreq(FFT, 1 / sample_rate, device=device))
    width = _band_width(sample_rate)
    centres = width * (torch.arange(CRITICAL_BANDS, device=device) + 0.5)
    return (1 - (barks[:, None] - centres).abs() / width).clamp(min=0)
