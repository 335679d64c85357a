"""What every vocoder is told of a frame, and the layers that tell its sub-frames of 2.5 ms.

Frame k of the samples lies between the centres of features k and k + 1; pitch and envelope go over from the one to the
other in steps of a sub-frame. Signals are pre-emphasised.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vivavoce.signal.cepstrum import FEATURES, HOP
from vivavoce.signal.pitch import WIDE_BAND

SUBFRAMES = 4  # of a frame
SUBFRAME = HOP // SUBFRAMES
MAX_PERIOD, MIN_PERIOD = WIDE_BAND.max_period, WIDE_BAND.min_period
MARGIN = 2  # samples on either side of what is one period ago
MEMORY = MAX_PERIOD + MARGIN  # samples of the excitation that are looked back at
GLIDE = 1.25  # periods further apart are two pitches, and nothing goes over between them
CONTEXT = 1  # frames of features on either side
MIN_LEVEL = 1e-5  # of an excitation


class FrameNetwork(nn.Module):
    """Features to a conditioning vector for each sub-frame.

    Args:
        embedding: Width of that of the pitch period, any number.
        dense: Of the layer that sees one frame, a multiple of 16.
        convolution: Of the one over three frames, likewise.
        condition: Of a sub-frame's vector, likewise.
    """

    def __init__(self, embedding: int, dense: int, convolution: int, condition: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(MAX_PERIOD - MIN_PERIOD + 1, embedding)
        self.dense = nn.Linear(FEATURES + embedding, dense)
        self.convolution = nn.Conv1d(dense, convolution, 2 * CONTEXT + 1)
        self.condition = nn.Linear(convolution, SUBFRAMES * condition)
        with torch.no_grad():
            # cepstra are up to ten times as large as what a tanh tells apart
            self.dense.weight[:, 0] *= 0.2
            nn.init.normal_(self.embedding.weight, std=0.3)

    def conditions(self, features: Tensor) -> Tensor:
        """What the sub-frames of all frames but the outer ones are told.

        Args:
            features: Shape (batch, frames + 2, 20).

        Returns:
            Shape (batch, frames, 4, condition).
        """
        joined = torch.cat([features, self.embedding(periods_of(features) - MIN_PERIOD)], -1)
        dense = torch.tanh(self.dense(joined))
        hidden = torch.tanh(self.convolution(dense.transpose(1, 2))).transpose(1, 2)
        return torch.tanh(self.condition(hidden)).unflatten(-1, (SUBFRAMES, -1))


def periods_of(features: Tensor) -> Tensor:
    """Pitch periods that features tell, whole samples, int64: `signal.cepstrum.period_of_feature`."""
    octaves = torch.clamp(features[..., -2].float(), -1.5, 1.5)
    return torch.floor(0.5 + MAX_PERIOD / torch.exp2(octaves + 1.5)).long()


def subframe_periods(periods: Tensor) -> Tensor:
    """Period of each sub-frame, shape (..., frames + 2) to (..., frames, 4), int64.

    Frame k lies between the centres of features k and k + 1: it goes over from the one to the other where they are
    close, in integers, which are the same everywhere; else the nearer one counts.
    """
    before, after = periods[..., 1:-1, None], periods[..., 2:, None]
    step = 2 * torch.arange(SUBFRAMES, device=periods.device) + 1
    between = (before * (2 * SUBFRAMES - step) + after * step + SUBFRAMES) // (2 * SUBFRAMES)
    glides = torch.maximum(before, after) <= GLIDE * torch.minimum(before, after)
    return torch.where(glides, between, torch.where(step < SUBFRAMES, before, after))
