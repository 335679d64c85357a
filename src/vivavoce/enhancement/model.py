"""The network of PercepNet in PyTorch: for training, and the truth that the core's engine is held to.

J.-M. Valin et al., "A perceptually-motivated approach for low-complexity, real-time enhancement of fullband speech"
(INTERSPEECH 2020), section 4: two convolutions over time hold the look-ahead, GRUs the memory; one head gives the gain
of each band, another the comb-filter strength. Departures: the first two layers end in tanh, not ReLU, so that every
activation fits int8 with one scale; voice activity is one more row of the gains' head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vivavoce.enhancement.features import FEATURES
from vivavoce.signal.bands import BANDS

CONV1_FRAMES, CONV2_FRAMES = 5, 3
ACTIVATION_STEPS = 127  # activations lie in -1 ... 1, and int8 holds 127 steps to either side
WEIGHT_STEPS = 127
WEIGHT_LIMIT = 0.5  # so that int8 has steps fine enough for all weights of a row
TANH_GAIN = 1.6  # of first weights: keeps the spread of what passes a tanh
GATES = 3  # of a GRU
MEMORY_FRAMES = (1.5, 200.0)  # a unit of a GRU remembers at first


@dataclass(frozen=True)
class PercepNetSize:
    """Widths of the layers.

    Attributes:
        dense: First layer.
        conv: Both convolutions.
        gru: The three GRUs of the trunk and that of the gains.
        strengths: GRU of the strengths.
    """

    dense: int
    conv: int
    gru: int
    strengths: int


SIZES = {
    "tiny": PercepNetSize(32, 32, 32, 16),  # for tests
    "small": PercepNetSize(128, 224, 224, 96),  # 1.7M weights
    "large": PercepNetSize(128, 512, 512, 128),  # the paper's 8M
}


class PercepNet(nn.Module):
    """Features of a stream to gains, strengths and voice activity.

    Attributes:
        size: Widths of the layers.
        lookahead: The output at step t belongs to frame t - lookahead.
        quantised: Weights and activations pass through the rounding of int8, gradients straight through it.
    """

    def __init__(self, size: PercepNetSize, lookahead: int = 2) -> None:
        super().__init__()
        self.size, self.lookahead, self.quantised = size, lookahead, False
        self.input = nn.Linear(FEATURES, size.dense)
        self.conv1 = nn.Conv1d(size.dense, size.conv, CONV1_FRAMES)
        self.conv2 = nn.Conv1d(size.conv, size.conv, CONV2_FRAMES)
        self.gru1 = _gru(size.conv, size.gru)
        self.gru2 = _gru(size.gru, size.gru)
        self.gru3 = _gru(size.gru, size.gru)
        self.gains_gru = _gru(size.gru, size.gru)
        self.strengths_gru = _gru(size.gru + size.conv, size.strengths)
        self.gains = nn.Linear(size.conv + 4 * size.gru, BANDS + 1)
        self.strengths = nn.Linear(size.strengths, BANDS)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run over whole sequences.

        Args:
            features: Shape (batch, frames, 70).

        Returns:
            Gains (batch, frames, 34), strengths (batch, frames, 34), both before the sigmoid, and the logit of voice
            activity (batch, frames).
        """
        x = self._activation(torch.tanh(self.input(features)))
        x = self._activation(torch.tanh(self._convolve(self.conv1, x)))
        conv = self._activation(torch.tanh(self._convolve(self.conv2, x)))
        gru1 = self._recur(self.gru1, conv)
        gru2 = self._recur(self.gru2, gru1)
        gru3 = self._recur(self.gru3, gru2)
        for_gains = self._recur(self.gains_gru, gru3)
        for_strengths = self._recur(self.strengths_gru, torch.cat([gru3, conv], dim=-1))
        gains = self._linear(self.gains, torch.cat([conv, gru1, gru2, gru3, for_gains], dim=-1))
        return gains[..., :BANDS], self._linear(self.strengths, for_strengths), gains[..., BANDS]

    @torch.no_grad()
    def initialise(self, examples: Tensor) -> None:
        """First weights with which every layer is in its range from the first step on.

        With PyTorch's own, what reaches the last of four GRUs is almost constant (after 100 steps of 24 items the loss
        was 0.68; with these 0.51). The first layer scales each feature; recurrent weights are orthogonal; biases of
        the update gates spread the units' memories evenly over the logarithm of time (C. Tallec, Y. Ollivier, "Can
        recurrent neural networks warp time?", ICLR 2018).

        Args:
            examples: Features, shape (..., 70).
        """
        rows = examples.flatten(0, -2)
        spread = rows.std(0).clamp_min(0.01)
        for weight in self.parameters():
            if weight.dim() == 1:
                weight.zero_()
        self.input.weight.normal_(0, FEATURES**-0.5).div_(spread)
        self.input.bias.copy_(-self.input.weight @ rows.mean(0))
        for convolution in (self.conv1, self.conv2):
            convolution.weight.normal_(0, TANH_GAIN * convolution.weight[0].numel() ** -0.5)
        shortest, longest = (math.log(frames) for frames in MEMORY_FRAMES)
        for layer in (self.gru1, self.gru2, self.gru3, self.gains_gru, self.strengths_gru):
            weights, width = dict(layer.named_parameters()), layer.hidden_size
            weights["weight_ih_l0"].normal_(0, TANH_GAIN * layer.input_size**-0.5)
            for gate in weights["weight_hh_l0"].split(width):
                nn.init.orthogonal_(gate)
            memories = torch.empty(width).uniform_(shortest, longest).exp()
            weights["bias_ih_l0"][width : 2 * width] = (memories - 1).log()

    def matrices(self) -> list[dict[str, Any]]:
        """Weights of the inner layers, as groups for `Muon`: convolutions, and GRUs gate by gate."""
        grus = (self.gru1, self.gru2, self.gru3, self.gains_gru, self.strengths_gru)
        recurrent = [weight for layer in grus for weight in layer.parameters() if weight.dim() > 1]
        return [
            {"params": [self.conv1.weight, self.conv2.weight]},
            {"params": recurrent, "blocks": GATES},
        ]

    @torch.no_grad()
    def clamp_weights(self) -> None:
        """Keep the weights that become int8 within WEIGHT_LIMIT; to be called after each step of the optimiser."""
        for name, weight in self.named_parameters():
            if weight.dim() > 1 and not name.startswith("input."):
                weight.clamp_(-WEIGHT_LIMIT, WEIGHT_LIMIT)

    def _convolve(self, layer: nn.Conv1d, x: Tensor) -> Tensor:
        """Causal: step t sees steps up to t."""
        (frames,) = layer.kernel_size
        padded = functional.pad(x.transpose(1, 2), (frames - 1, 0))
        return functional.conv1d(padded, self._weight(layer.weight), layer.bias).transpose(1, 2)

    def _recur(self, layer: nn.GRU, x: Tensor) -> Tensor:
        if not self.quantised:
            return layer(x)[0]
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = {name: getattr(layer, name) for name in names}
        rounded = {name: self._weight(weight) if weight.dim() > 1 else weight for name, weight in weights.items()}
        return self._activation(torch.func.functional_call(layer, rounded, (x,))[0])

    def _linear(self, layer: nn.Linear, x: Tensor) -> Tensor:
        return functional.linear(x, self._weight(layer.weight), layer.bias)

    def _weight(self, weight: Tensor) -> Tensor:
        """Rounded to int8 with one scale a row (an output), as `vivavoce.training.image` rounds it."""
        if not self.quantised:
            return weight
        scale = weight.detach().flatten(1).abs().amax(1).clamp_min(1e-12) / WEIGHT_STEPS
        return _round_through(weight, scale.view(-1, *[1] * (weight.dim() - 1)))

    def _activation(self, x: Tensor) -> Tensor:
        return _round_through(x, 1 / ACTIVATION_STEPS) if self.quantised else x


def _gru(inputs: int, width: int) -> nn.GRU:
    return nn.GRU(inputs, width, batch_first=True)


def _round_through(x: Tensor, step: Tensor | float) -> Tensor:
    """The nearest multiple of `step`; the gradient passes as if nothing had been done."""
    return x + (torch.round(x / step) * step - x).detach()


def core_weights(model: PercepNet) -> dict[str, Tensor]:
    """Weights under the names that files have: those of PyTorch without the layer number of its GRUs."""
    return {name.removesuffix("_l0"): weight.detach() for name, weight in model.state_dict().items()}


def load_core_weights(model: PercepNet, weights: dict[str, Tensor]) -> None:
    """The inverse of `core_weights`.

    Raises:
        ValueError: Names or shapes are not those of the model.
    """
    own = model.state_dict()
    try:
        model.load_state_dict({name: weights[name.removesuffix("_l0")].to(own[name].dtype) for name in own})
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"these weights are of another network: {error}") from None
