"""The predictor of lost features in PyTorch: for training, and the truth that the core's engine is held to.

J.-M. Valin et al., "Real-time packet loss concealment with mixed generative and predictive model" (INTERSPEECH 2022),
section 3: a dense layer and two GRUs, causal; at a lost frame it says what the features there may be.

Departures:

- where the end of a gap is here already, it is told the features there, and how near they are;
- an adversary. Whoever is only to be near in each feature says the middle of what may follow, which is no speech: after
  100 ms the higher cepstral coefficients moved by a fifth of what they should. A discriminator that sees features in
  the gap and about it brings them back.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

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
        """Run over whole sequences from silence: shape (batch, frames, 78) to (batch, frames, 20)."""
        hidden = torch.tanh(self.dense(inputs))
        first, _ = self.gru1(hidden)
        second, _ = self.gru2(first)
        return self.output(second)


# What the discriminator sees each feature divided by. Level and tilt are to count most: with all features brought to
# the same spread it told more, and PLCMOS gained nothing.
SPREAD = (2.0, *[1.0] * (FEATURES - 2), 0.5)


class FeatureDiscriminator(nn.Module):
    """Tells features that were made up from true ones, by a receptive field of 190 ms."""

    WIDTH = 96
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("spread", torch.tensor(SPREAD), persistent=False)
        self.layers = nn.ModuleList(
            [
                nn.Conv1d(FEATURES, self.WIDTH, 5, padding=2),
                nn.Conv1d(self.WIDTH, self.WIDTH, 5, padding=2),
                nn.Conv1d(self.WIDTH, self.WIDTH, 5, padding=4, dilation=2),
            ]
        )
        self.score = nn.Conv1d(self.WIDTH, 1, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Scores of each frame, to be 1 for true ones and else 0: shape (batch, frames, 20) to (batch, frames)."""
        hidden = (features / self.spread).transpose(1, 2)
        for layer in self.layers:
            hidden = functional.leaky_relu(layer(hidden), 0.2)
        return self.score(hidden)[:, 0]


@dataclass
class Judged:
    """What `AdversarialPredictor` says.

    Attributes:
        predicted: Shape (batch, frames, 20).
        fooled: Scores of true features with those predicted in the gaps, to train the predictor; (batch, frames).
        made, true: The same and those of true features alone, to train the discriminator.
    """

    predicted: Tensor
    fooled: Tensor
    made: Tensor
    true: Tensor


class AdversarialPredictor(nn.Module):
    """Predictor and discriminator, which one optimiser trains: gradients of neither reach the other's weights.

    Attributes:
        predictor: What is to be trained.
        discriminator: Its adversary.
    """

    def __init__(self, predictor: FeaturePredictor) -> None:
        super().__init__()
        self.predictor = predictor
        self.discriminator = FeatureDiscriminator()

    def forward(self, inputs: Tensor, features: Tensor, lost: Tensor) -> Judged:
        """Predict and judge: inputs, shape (batch, frames, 78); the true features; where they are lost, as a bool."""
        predicted = self.predictor(inputs)
        filled = torch.where(lost[..., None], predicted, features)
        frozen = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        fooled = functional_call(self.discriminator, frozen, (filled,))
        made, true = self.discriminator(torch.cat([filled.detach(), features])).chunk(2)
        return Judged(predicted, fooled, made, true)
