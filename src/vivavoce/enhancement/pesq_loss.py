"""How far the denoised speech is from the clean one on the scale of PESQ, with a gradient, from band energies alone.

ITU-T P.862 (PESQ), its wide-band form P.862.2, with its steps in its order: level, equaliser, frame gain, loudness
after Zwicker, masked disturbance, asymmetry, L6 over 320 ms and L2 over the item. What differs: the bands are the ERB
bands up to 7.6 kHz in place of 49 of the Bark scale, the frames our 10 ms in place of 16, the hearing threshold
Terhardt's formula; there is nothing to align in time.

Against the standard's own program, on 46 clips of `val` as they were, after this system and after four others: the
correlation was 0.96, that of differences on the same clip 0.93, and their size the same (0.98).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vivavoce.enhancement.features import ERB_BANDS

TOP_HZ = 7600.0
SPEECH_HZ = (350.0, 3250.0)  # where the level is taken
SPEECH_ENERGY = 10**7.9  # 79 dB SPL: the level at which all speech is compared
ZWICKER_POWER = 0.23
LOUDNESS_SCALE = 0.1866
MASKED = 0.25  # of the smaller loudness: a difference up to it is not heard
AUDIBLE_FRAME = 1e5
EQUALISER = (0.01, 100.0)
FRAME_GAIN = (3e-4, 5.0)
GAIN_MEMORY = 0.2  # of the frame before
ASYMMETRY_POWER, ASYMMETRY_FROM, ASYMMETRY_MAX = 1.2, 3.0, 12.0
MAX_DISTURBANCE = 45.0
WINDOW, WINDOW_HOP, WINDOW_POWER = 32, 16, 6.0  # frames: 320 ms
SYMMETRIC, ASYMMETRIC = 0.1, 0.0309  # P.862: 4.5 - 0.1 d - 0.0309 d_A
TINY = 1e-6


def _bark(hz: np.ndarray) -> np.ndarray:
    return 13 * np.arctan(7.6e-4 * hz) + 3.5 * np.arctan((hz / 7500) ** 2)


def _tensor(x: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(x, np.float32))


_HZ = ERB_BANDS.centres_hz
HEARD = int(np.sum(_HZ <= TOP_HZ))  # bands
_EDGES = np.concatenate([[0.0], (_HZ[1:] + _HZ[:-1]) / 2])
_KHZ = np.maximum(_HZ[:HEARD], 100) / 1000
_THRESHOLD_DB = 3.64 * _KHZ**-0.8 - 6.5 * np.exp(-0.6 * (_KHZ - 3.3) ** 2) + 1e-3 * _KHZ**4
_LOW = np.minimum(6 / (_bark(1000 * _KHZ) + 2), 2) ** 0.15  # below 4 Bark loudness grows faster

WIDTH = _tensor(np.diff(_bark(_EDGES))[:HEARD])  # Bark
THRESHOLD = _tensor(10 ** (_THRESHOLD_DB / 10))
POWER = _tensor(ZWICKER_POWER * np.maximum(_LOW, 1.0))
SPEECH = _tensor((_HZ[:HEARD] >= SPEECH_HZ[0]) & (_HZ[:HEARD] <= SPEECH_HZ[1]))
MEMORY = _tensor(GAIN_MEMORY ** np.arange(4, -1, -1) * (1 - GAIN_MEMORY))


def pesq_distance(clean: Tensor, denoised: Tensor, mask: Tensor) -> Tensor:
    """What the denoised speech loses of PESQ's 4.5, before the mapping of P.862.2.

    Args:
        clean: Energies of the bands, shape (batch, frames, bands), in any one unit for an item.
        denoised: Likewise.
        mask: 1 for bands that the item's speech has, shape (batch, 1, bands).

    Returns:
        Shape (batch,). Means nothing for an item without speech.
    """
    mask, width, threshold = mask[..., :HEARD], WIDTH.to(clean.device), THRESHOLD.to(clean.device)
    reference = _at_level(clean[..., :HEARD])
    degraded = _at_level(denoised[..., :HEARD])
    active = (reference > 100 * threshold) & ((reference * width).sum(-1, keepdim=True) > AUDIBLE_FRAME)
    heard, got = (reference * active).sum(1, keepdim=True), (degraded * active).sum(1, keepdim=True)
    reference = reference * ((got + 1000) / (heard + 1000)).clamp(*EQUALISER)
    degraded = degraded * _frame_gain(reference, degraded, width * mask)[..., None]

    wanted, loudness = _loudness(reference), _loudness(degraded)
    difference = loudness - wanted
    disturbance = functional.relu(difference.abs() - MASKED * torch.minimum(wanted, loudness)) * mask
    ratio = ((degraded + 50) / (reference + 50)).pow(ASYMMETRY_POWER)
    ratio = torch.where(ratio < ASYMMETRY_FROM, torch.zeros_like(ratio), ratio.clamp(max=ASYMMETRY_MAX))
    symmetric = ((disturbance * width).square().sum(-1) * width.sum() + TINY).sqrt()
    asymmetric = (disturbance * (difference > 0) * ratio * width).sum(-1)
    weight = (((reference * width * mask).sum(-1) + 1e5) / 1e7).pow(0.04)
    return SYMMETRIC * _over_time(symmetric / weight) + ASYMMETRIC * _over_time(asymmetric / weight)


def _at_level(energies: Tensor) -> Tensor:
    """Energy a Bark, at the level of all speech."""
    level = (energies * SPEECH.to(energies.device)).sum(-1).mean(-1)[:, None, None]
    return energies * SPEECH_ENERGY / (level + 1e-12) / WIDTH.to(energies.device)


def _frame_gain(reference: Tensor, degraded: Tensor, width: Tensor) -> Tensor:
    """What brings each frame to the reference's audible energy, smoothed, shape (batch, frames)."""
    threshold = THRESHOLD.to(reference.device)
    wanted = (reference * (reference > threshold) * width).sum(-1)
    got = (degraded * (degraded > threshold) * width).sum(-1)
    gain = (wanted + 5e3) / (got + 5e3)
    padded = functional.pad(gain[:, None], (len(MEMORY) - 1, 0), mode="replicate")
    return functional.conv1d(padded, MEMORY.to(gain.device)[None, None])[:, 0].clamp(*FRAME_GAIN)


def _loudness(energies: Tensor) -> Tensor:
    threshold, power = THRESHOLD.to(energies.device), POWER.to(energies.device)
    sone = (threshold / 0.5) ** power * ((0.5 + 0.5 * energies / threshold).pow(power) - 1)
    return LOUDNESS_SCALE * functional.relu(sone)


def _over_time(frames: Tensor) -> Tensor:
    windows = frames.clamp(max=MAX_DISTURBANCE).unfold(1, min(WINDOW, frames.shape[1]), WINDOW_HOP)
    worst = (windows.pow(WINDOW_POWER).mean(-1) + TINY).pow(1 / WINDOW_POWER)
    return (worst.square().mean(-1) + TINY).sqrt()
