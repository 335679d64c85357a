"""How much of its intelligibility speech loses on the scale of STOI, with a gradient, from band energies alone.

C. H. Taal et al., "An algorithm for intelligibility prediction of time-frequency weighted noisy speech" (IEEE TASLP 19,
2011): in each band, the correlation of the clean envelope with the other over 384 ms. What differs: the bands are the
ERB bands from 150 Hz to 4.3 kHz in place of thirds of an octave, the frames our 10 ms in place of 12.8, and silence is
weighed down instead of cut out.

Unlike any measure of loudness it counts the faint upper bands of speech as much as the loud lower ones.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vivavoce.enhancement.features import ERB_BANDS

LOWEST_HZ, HIGHEST_HZ = 150.0, 4300.0
SEGMENT, HOP = 38, 4  # frames
CLIP = 1 + 10 ** (15 / 20)  # times the clean envelope: what is worse than -15 dB is no worse
TINY = 1e-12

_HZ = ERB_BANDS.centres_hz
FIRST, LAST = int(np.sum(_HZ < LOWEST_HZ)), int(np.sum(_HZ <= HIGHEST_HZ))


def stoi_distance(clean: Tensor, denoised: Tensor, voice: Tensor, mask: Tensor) -> Tensor:
    """One minus STOI.

    Args:
        clean: Energies of the bands, shape (batch, frames, bands), in any one unit for an item.
        denoised: Likewise.
        voice: 1 where there is speech, shape (batch, frames).
        mask: 1 for bands that the item's speech has, shape (batch, 1, bands).

    Returns:
        Shape (batch,); 0 for an item without speech.
    """
    segment = min(SEGMENT, clean.shape[1])
    peak = clean.amax((1, 2), keepdim=True) + TINY
    x, y = (_segments((energies / peak + TINY).sqrt(), segment) for energies in (clean, denoised))
    level = x.square().sum(-1, keepdim=True).sqrt() / y.square().sum(-1, keepdim=True).sqrt()
    y = torch.minimum(y * level, CLIP * x)
    x, y = x - x.mean(-1, keepdim=True), y - y.mean(-1, keepdim=True)
    product = (x * y).sum(-1) / (x.square().sum(-1) * y.square().sum(-1) + TINY**2).sqrt()
    weight = voice.unfold(1, segment, HOP).mean(-1)[..., None] * mask[..., FIRST:LAST]
    return ((1 - product) * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(TINY)


def _segments(envelopes: Tensor, segment: int) -> Tensor:
    return envelopes[..., FIRST:LAST].unfold(1, segment, HOP)
