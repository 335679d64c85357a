"""The network of LPCNet in PyTorch: for training, and the truth that the core's engine is held to.

J.-M. Valin and J. Skoglund, "LPCNet: improving neural speech synthesis through linear prediction" (ICASSP 2019), with
the binary tree for its output of K. Subramani et al., "End-to-end LPCNet: a neural vocoder with fully-differentiable
LPC estimation" (INTERSPEECH 2022). Sample by sample, two GRUs say how what a linear prediction leaves is distributed,
given the sample before, its prediction and what was left before. Departures, so that less must be learned:

- all three are relative to the level of the excitation that the cepstrum tells, so that speech of any level is the same
  to the network, and quiet speech is rounded no more coarsely than loud;
- envelope and conditioning vector change with every sub-frame;
- it is told what was left one pitch period ago, which a small GRU does not remember for so long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vivavoce.signal.cepstrum import LPC_ORDER
from vivavoce.vocoder.frames import MARGIN, MEMORY, MIN_LEVEL, SUBFRAME, FrameNetwork, periods_of, subframe_periods
from vivavoce.vocoder.recurrence import recurrent

BITS = 8
CODES = 2**BITS
ZERO = CODES // 2  # the code of 0
SMALL = 1 / 16  # of the level: below it the scale of codes is linear, above logarithmic
MAX_EXCITATION, MAX_SIGNAL = 16.0, 1024.0  # of the level, beyond which codes do not reach
REPEATED = 2 * MARGIN + 1  # samples about one period ago


@dataclass(frozen=True)
class LpcnetSize:
    """Widths of the layers, multiples of 16 but for the embeddings.

    Attributes:
        embedding: Of the pitch period.
        dense: Of a frame.
        convolution: Over three frames.
        condition: Of a sub-frame.
        sample: Of the embedding of a sample, its prediction or its excitation.
        gru_a: The GRU that does the work.
        gru_b: The one that says the distribution.
    """

    embedding: int
    dense: int
    convolution: int
    condition: int
    sample: int
    gru_a: int
    gru_b: int


SIZES = {
    "tiny": LpcnetSize(4, 16, 16, 16, 8, 16, 16),  # for tests
    "base": LpcnetSize(12, 64, 128, 80, 32, 128, 16),
}


class Lpcnet(FrameNetwork):
    """Features and the past to the distribution of the next sample.

    Attributes:
        size: Widths of the layers.
    """

    def __init__(self, size: LpcnetSize) -> None:
        super().__init__(size.embedding, size.dense, size.convolution, size.condition)
        self.size = size
        self.signal, self.prediction, self.excitation = (nn.Embedding(CODES, size.sample) for _ in range(3))
        self.gru_a = nn.GRU(3 * size.sample + REPEATED + size.condition, size.gru_a)
        self.gru_b = nn.GRU(size.gru_a + size.condition, size.gru_b)
        # of each node of the tree, two neurons, and what each of them counts
        self.first, self.second = nn.Embedding(CODES, size.gru_b + 2), nn.Embedding(CODES, size.gru_b + 2)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        ramp = torch.linspace(-1, 1, CODES)[:, None]  # neighbours are alike
        for codes in (self.signal, self.prediction, self.excitation):
            codes.weight.normal_(std=0.1).add_(ramp * torch.randn(1, self.size.sample))
        for name, weight in self.named_parameters():
            if name.endswith("weight_hh_l0"):
                for block in weight.chunk(3):
                    nn.init.orthogonal_(block)
        for neuron in (self.first, self.second):
            neuron.weight.normal_(std=0.3)

    def forward(self, heard: Sampled) -> Tensor:
        """What each node on the way to the true code says.

        Returns:
            Logits of the bits of `heard.target`, the highest first, shape (samples, batch, 8).
        """
        conditions = self.conditions(heard.features).flatten(1, 2).transpose(0, 1)
        codes = [self.signal(heard.signal), self.prediction(heard.prediction), self.excitation(heard.excitation)]
        told = recurrent(self.gru_a, _inputs(self.gru_a, torch.cat([*codes, heard.repeated], -1), conditions))
        told = recurrent(self.gru_b, _inputs(self.gru_b, told, conditions))
        return self.bits(told, path_of(heard.target))

    def bits(self, told: Tensor, nodes: Tensor) -> Tensor:
        """Logits of nodes: shape (..., gru_b) and (..., nodes), int64, to (..., nodes)."""
        logits = torch.zeros(())
        for neuron in (self.first, self.second):
            inner, bias, share = neuron(nodes).split([told.shape[-1], 1, 1], -1)
            logits = logits + (share * torch.tanh(inner @ told[..., None] + bias))[..., 0]
        return 4 * logits


def _inputs(gru: nn.GRU, samples: Tensor, conditions: Tensor) -> Tensor:
    """What a GRU's input weights make of what each sample and what each sub-frame is told.

    Args:
        gru: The GRU.
        samples: Shape (samples, batch, ...).
        conditions: Shape (samples / 40, batch, ...).
    """
    of_samples, of_conditions = gru.get_parameter("weight_ih_l0").split([samples.shape[-1], conditions.shape[-1]], 1)
    slow = functional.linear(conditions, of_conditions, gru.get_parameter("bias_ih_l0"))
    return functional.linear(samples, of_samples).unflatten(0, (-1, SUBFRAME)).add_(slow[:, None]).flatten(0, 1)


@dataclass
class Sampled:
    """What a batch of sequences is learned from; all but the features begin with the time.

    Attributes:
        features: Shape (batch, frames + 2, 20): one more on either side than frames are made.
        signal, prediction, excitation: Codes of the sample before, of the prediction of this one, and of what was left
            of the one before; shape (160 * frames, batch), int64.
        repeated: What was left about one pitch period ago, shape (160 * frames, batch, 5), as codes between -1 and 1.
        target: Code of what is left of this one, as the first.
    """

    features: Tensor
    signal: Tensor
    prediction: Tensor
    excitation: Tensor
    repeated: Tensor
    target: Tensor


def sampled(
    features: Tensor,
    predictions: Tensor,
    levels: Tensor,
    samples: Tensor,
    before: Tensor,
    past: Tensor,
    noise: Tensor,
) -> Sampled:
    """Codes of a batch of sequences, whose past is not quite what it should be, as in synthesis.

    Args:
        features: Shape (batch, frames + 2, 20).
        predictions: Of `signal.cepstrum.lpc_of_cepstrum` for each sub-frame, shape (batch, frames, 4, 16).
        levels: Of the excitation, by the same, shape (batch, frames, 4).
        samples: Pre-emphasised, shape (batch, 160 * frames).
        before: The 16 before them, the newest first, shape (batch, 16).
        past: The excitation before them, shape (batch, 258).
        noise: That is added to the past, relative to the level, as the samples.
    """
    level = MIN_LEVEL + levels.flatten(1).repeat_interleave(SUBFRAME, 1)
    known = torch.cat([before.flip(1), samples + noise * level], 1)
    filters = predictions.flatten(1, 2)
    count = samples.shape[1]
    prediction = torch.zeros_like(samples)
    for k in range(LPC_ORDER):
        prediction += filters[..., k].repeat_interleave(SUBFRAME, 1) * known[:, LPC_ORDER - 1 - k :][:, :count]
    left = torch.cat([past, known[:, LPC_ORDER:] - prediction], 1)
    periods = subframe_periods(periods_of(features)).flatten(1).repeat_interleave(SUBFRAME, 1)
    places = MEMORY + torch.arange(count, device=periods.device) - periods
    taps = places[..., None] + torch.arange(-MARGIN, MARGIN + 1, device=periods.device)
    repeated = torch.gather(left, 1, taps.flatten(1)).unflatten(1, (count, REPEATED))
    return Sampled(
        features,
        code_of(known[:, LPC_ORDER - 1 : -1] / level, MAX_SIGNAL).t(),
        code_of(prediction / level, MAX_SIGNAL).t(),
        code_of(left[:, MEMORY - 1 : -1] / level, MAX_EXCITATION).t(),
        companded(repeated / level[..., None], MAX_EXCITATION).transpose(0, 1),
        code_of((samples - prediction) / level, MAX_EXCITATION).t(),
    )


def companded(values: Tensor, limit: float) -> Tensor:
    """Values relative to the level on the scale of codes, which ends at -1 and 1."""
    return values.sign() * (torch.log1p(values.abs() / SMALL) / math.log1p(limit / SMALL)).clamp(max=1)


def code_of(values: Tensor, limit: float) -> Tensor:
    """Codes of values relative to the level, int64: 128 is 0, 1 and 255 are the limits."""
    return (ZERO + torch.round((ZERO - 1) * companded(values, limit))).long()


def value_of(codes: Tensor, limit: float) -> Tensor:
    """The inverse."""
    steps = (codes - ZERO).clamp(min=1 - ZERO)
    return SMALL * steps.sign() * torch.expm1(steps.abs() / (ZERO - 1) * math.log1p(limit / SMALL))


def path_of(codes: Tensor) -> Tensor:
    """Nodes on the way to codes: shape (...) to (..., 8). The root is 1, node n leads to 2 n and 2 n + 1."""
    return (codes + CODES)[..., None] >> torch.arange(BITS, 0, -1, device=codes.device)


def bits_of(codes: Tensor) -> Tensor:
    """The bits of codes, the highest first: shape (...) to (..., 8)."""
    return codes[..., None] >> torch.arange(BITS - 1, -1, -1, device=codes.device) & 1
