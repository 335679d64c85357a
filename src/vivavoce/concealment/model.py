"""The predictor of lost features in PyTorch: for training, and the truth that the core's engine is held to.

J.-M. Valin et al., "Real-time packet loss concealment with mixed generative and predictive model" (INTERSPEECH 2022),
section 3: a dense layer and two GRUs, causal; at a lost frame it says what the features there may be.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vivavoce.concealment.features import INPUTS
from vivavoce.signal.cepstrum import FEATURES


@dataclass(frozen=True)
class PredictorSize:
    """Widths of the layers, multiples of 16.

    Attributes:
        dense: First layer.
        gru: Both GRUs.
    """

    dense: int
    gru: int


SIZES = {
    "tiny": PredictorSize(16, 16),  # for tests
    "base": PredictorSize(128, 192),
}


class FeaturePredictor(nn.Module):
    """Features as far as they are known to features everywhere.

    Attributes:
        size: Widths of the layers.
    """

    def __init__(self, size: PredictorSize) -> None:
        super().__init__()
        self.size = size
        self.dense = nn.Linear(INPUTS, size.dense)
        self.gru1 = nn.GRU(size.dense, size.gru, batch_first=True)
        self.gru2 = nn.GRU(size.gru, size.gru, batch_first=True)
        self.output = nn.Linear(size.gru, FEATURES)
        with torch.no_grad():
            self.dense.weight *= 0.3  # cepstra are larger than what a tanh tells apart

    def forward(self, inputs: Tensor) -> Tensor:
        """Run over whole sequences from silence: shape (batch, frames, 57) to (batch, frames, 20)."""
        hidden = torch.tanh(self.dense(inputs))
        first, _ = self.gru1(hidden)
        second, _ = self.gru2(first)
        return self.output(second)
