"""The network of FARGAN in PyTorch: for training, and the truth that the core's engine is held to.

J.-M. Valin et al., "Very low complexity speech synthesis using framewise autoregressive GAN (FARGAN) with pitch
prediction" (arXiv 2405.21069). Speech is made in sub-frames of 2.5 ms; each sees what it would be if it repeated itself
one pitch period ago, the sub-frame before, and a conditioning vector, all relative to a gain. Signals here are
pre-emphasised. Departures, so that less must be learned:

- the network makes the excitation of a linear prediction that the cepstrum tells, as that of LPCNet does, and what it
  looks back at is excitation: the envelope need not be learned, and the gain starts from the level of what is left;
- it adds to the pitch prediction, which one more gate weights, where the paper's replaces it;
- pitch and envelope go over from frame to frame in steps of a sub-frame;
- what is heard of the excitation has its pitch prediction added once more: harmonics stand out (PLCMOS +0.06 to +0.08,
  PESQ +0.02 to +0.03 in copy synthesis; 16 readers of split val);
- what is made passes a spectral postfilter, `vocoder.spectral_postfilter`, trained behind the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vivavoce.signal.cepstrum import HOP, LPC_ORDER, VOICING
from vivavoce.vocoder.frames import (
    MARGIN,
    MEMORY,
    MIN_LEVEL,
    SUBFRAME,
    SUBFRAMES,
    FrameNetwork,
    periods_of,
    subframe_periods,
)
from vivavoce.vocoder.spectral_postfilter import SpectralPostfilter

PREDICTION = SUBFRAME + 2 * MARGIN  # so that the network can interpolate
GATES = 3  # of a GRU
PREDICTION_GATES = 5  # of the GRUs, of the last hidden layer, and of the result
FRAMEWISE = ("embedding", "dense", "convolution", "condition", "gain", "postfilter")  # layers that run once a frame
LEVEL_OFFSET = 1.5  # the gain over the root mean square of the excitation, as a logarithm: peaks are higher
MAX_LOG_GAIN = 1.0
REPEATED = 0.5  # share of the pitch prediction that is added to what is heard ...
VOICED = (0.2, 0.5)  # ... rising from none, by the voicing feature


@dataclass(frozen=True)
class FarganSize:
    """Widths of the layers, multiples of 16.

    Attributes:
        embedding: Of the pitch period, any number.
        dense: Of a frame.
        convolution: Over three frames.
        condition: Of a sub-frame.
        input: Of the sub-frame's first layer.
        grus: The three.
        output: Of the last hidden layer.
    """

    embedding: int
    dense: int
    convolution: int
    condition: int
    input: int
    grus: tuple[int, int, int]
    output: int


SIZES = {
    "tiny": FarganSize(4, 16, 16, 16, 32, (32, 16, 16), 16),  # for tests
    "base": FarganSize(12, 64, 128, 80, 192, (160, 128, 128), 128),  # the paper's, 0.8M weights
}


@dataclass
class FarganState:
    """What a batch of streams remembers between sub-frames.

    Attributes:
        past: The last MEMORY samples of the excitation, shape (batch, 258).
        input: The last input of the first layer, shape (batch, condition + 84).
        grus: Their states.
    """

    past: Tensor
    input: Tensor
    grus: tuple[Tensor, Tensor, Tensor]


@dataclass
class Heard:
    """What a batch of sequences is made from.

    Attributes:
        features: Shape (batch, frames + 2, 20): one more on either side than frames are made.
        predictions: Of `signal.cepstrum.lpc_of_cepstrum` for each sub-frame, shape (batch, frames, 4, 16).
        levels: Of the excitation, by the same, shape (batch, frames, 4).
        past: The last MEMORY samples of the excitation before, shape (batch, 258).
        samples_before: The last 16 samples before, the newest first, shape (batch, 16).
        excitation: That of the true samples, shape (batch, 160 * frames), or of those that are known.
    """

    features: Tensor
    predictions: Tensor
    levels: Tensor
    past: Tensor
    samples_before: Tensor
    excitation: Tensor


class Fargan(FrameNetwork):
    """Features to pre-emphasised speech.

    Attributes:
        size: Widths of the layers.
    """

    def __init__(self, size: FarganSize) -> None:
        super().__init__(size.embedding, size.dense, size.convolution, size.condition)
        self.size = size
        width, (first, second, third) = size.input, size.grus
        self.gain = nn.Linear(size.condition, 1)
        self.input = nn.Linear(2 * (size.condition + PREDICTION + SUBFRAME), width)
        self.input_glu = nn.Linear(width, width, bias=False)
        self.gates = nn.Linear(width, PREDICTION_GATES)
        self.gru1 = nn.GRUCell(width + 2 * SUBFRAME, first)
        self.gru2 = nn.GRUCell(first + 2 * SUBFRAME, second)
        self.gru3 = nn.GRUCell(second + 2 * SUBFRAME, third)
        self.glu1 = nn.Linear(first, first, bias=False)
        self.glu2 = nn.Linear(second, second, bias=False)
        self.glu3 = nn.Linear(third, third, bias=False)
        self.skip = nn.Linear(first + second + third + width + 2 * SUBFRAME, size.output)
        self.skip_glu = nn.Linear(size.output, size.output, bias=False)
        self.output = nn.Linear(size.output, SUBFRAME)
        self.postfilter = SpectralPostfilter(2 * width)
        self.step = frame
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        for cell in (self.gru1, self.gru2, self.gru3):
            for block in cell.weight_hh.chunk(GATES):
                nn.init.orthogonal_(block)
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)

    def begin(self, past: Tensor, dtype: torch.dtype = torch.float32) -> FarganState:
        """State before the sub-frame that follows `past`; the memories are empty."""
        widths = (self.size.condition + PREDICTION + SUBFRAME, *self.size.grus)
        last, first, second, third = (past.new_zeros(len(past), width, dtype=dtype) for width in widths)
        return FarganState(past, last, (first, second, third))

    def matrices(self) -> list[dict[str, Any]]:
        """Groups for `training.muon`: what is inside of the network, gate by gate."""
        layers = (self.convolution, self.condition, self.input, self.input_glu, self.glu1, self.glu2, self.glu3)
        cells = (self.gru1, self.gru2, self.gru3)
        return [
            {"params": [layer.weight for layer in (*layers, self.skip, self.skip_glu)]},
            {"params": [weight for cell in cells for weight in (cell.weight_ih, cell.weight_hh)], "blocks": GATES},
        ]

    def weights(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """What `step` calculates with, rounded once for all sub-frames."""
        return {name: weight.to(dtype) for name, weight in self.named_parameters() if not name.startswith(FRAMEWISE)}

    def forward(
        self, heard: Heard, primed: int = 0, dtype: torch.dtype = torch.float32, postfiltered: bool = False
    ) -> Tensor:
        """Synthesise.

        Args:
            heard: What the network is told.
            primed: So many frames at the beginning are known.
            dtype: Of matrix products within sub-frames.
            postfiltered: With its pitch prediction added, as the spectral postfilter hears it; training leaves it out.

        Returns:
            Pre-emphasised samples, shape (batch, 160 * frames); those of primed frames are the known ones.
        """
        conditions = self.conditions(heard.features)
        log_gains = torch.log(heard.levels[..., None] + MIN_LEVEL) + LEVEL_OFFSET + self.gain(conditions)
        gains = torch.exp(torch.clamp(log_gains, max=MAX_LOG_GAIN))
        taps = period_taps(subframe_periods(periods_of(heard.features)))
        weights, excitation = self.weights(dtype), []
        state = self.begin(heard.past, dtype)
        for index in range(conditions.shape[1]):
            known = heard.excitation[:, index * HOP : (index + 1) * HOP] if index < primed else None
            told = conditions[:, index], gains[:, index], taps[:, index]
            made, state = self.step(weights, *told, state, known)
            excitation.append(made)
        whole = torch.cat(excitation, 1)
        if postfiltered:
            whole = pitch_postfilter(whole, heard.past, taps, heard.features[..., VOICING], primed)
        return lpc_synthesis(whole, heard.predictions, heard.samples_before)


def frame(
    weights: dict[str, Tensor],
    conditions: Tensor,
    gains: Tensor,
    taps: Tensor,
    state: FarganState,
    known: Tensor | None = None,
) -> tuple[Tensor, FarganState]:
    """The sub-frames of one frame: shapes as in `subframe`, with a second dimension of 4, and 160 samples."""
    excitation = []
    for index in range(SUBFRAMES):
        truth = None if known is None else known[:, index * SUBFRAME : (index + 1) * SUBFRAME]
        made, state = subframe(weights, conditions[:, index], gains[:, index], taps[:, index], state, truth)
        excitation.append(made)
    return torch.cat(excitation, 1), state


def subframe(
    weights: dict[str, Tensor],
    condition: Tensor,
    gain: Tensor,
    taps: Tensor,
    state: FarganState,
    known: Tensor | None = None,
) -> tuple[Tensor, FarganState]:
    """One sub-frame.

    Args:
        weights: Of `Fargan.weights`.
        condition: Shape (batch, condition).
        gain: Of the excitation, shape (batch, 1).
        taps: Where in the past the prediction lies: `period_taps`, shape (batch, 44), int64.
        state: Before it.
        known: Excitation that counts instead of the result, shape (batch, 40).

    Returns:
        Excitation, shape (batch, 40), and the state behind it.
    """
    dtype = state.input.dtype

    def dense(name: str, inputs: Tensor) -> Tensor:
        return functional.linear(inputs, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    def gated(name: str, inputs: Tensor) -> Tensor:
        return inputs * torch.sigmoid(dense(name, inputs))

    def gru(name: str, inputs: Tensor, hidden: Tensor) -> Tensor:
        inputs = functional.linear(inputs, weights[f"{name}.weight_ih"], weights[f"{name}.bias_ih"])
        recurrent = functional.linear(hidden, weights[f"{name}.weight_hh"], weights[f"{name}.bias_hh"])
        (r, z, n), (hr, hz, hn) = inputs.chunk(GATES, 1), recurrent.chunk(GATES, 1)
        update = torch.sigmoid(z + hz)
        candidate = torch.tanh(n + torch.sigmoid(r + hr) * hn)
        return candidate + update * (hidden - candidate)

    scale = 1 / (MIN_LEVEL + gain)
    repeated = torch.clamp(scale * torch.gather(state.past, 1, taps), -1, 1)
    prediction = repeated.to(dtype)
    previous = torch.clamp(scale * state.past[:, -SUBFRAME:], -1, 1).to(dtype)
    core = prediction[:, MARGIN:-MARGIN]
    now = torch.cat([condition.to(dtype), prediction, previous], 1)
    hidden = gated("input_glu", torch.tanh(dense("input", torch.cat([state.input, now], 1))))
    gates = torch.sigmoid(dense("gates", hidden))
    outputs, states = [hidden], []
    for index, name in enumerate(("1", "2", "3")):
        inputs = torch.cat([outputs[-1], gates[:, index : index + 1] * core, previous], 1)
        states.append(gru(f"gru{name}", inputs, state.grus[index]))
        outputs.append(gated(f"glu{name}", states[-1]))
    joined = torch.cat([*outputs[1:], hidden, gates[:, 3:4] * core, previous], 1)
    last = gated("skip_glu", torch.tanh(dense("skip", joined)))
    again = gates[:, 4:5].float() * repeated[:, MARGIN:-MARGIN]
    excitation = gain * (torch.tanh(dense("output", last).float()) + again)
    if known is not None:
        excitation = known
    past = torch.cat([state.past[:, SUBFRAME:], excitation], 1)
    return excitation, FarganState(past, now, (states[0], states[1], states[2]))


def pitch_postfilter(excitation: Tensor, past: Tensor, taps: Tensor, voicing: Tensor, primed: int) -> Tensor:
    """The excitation as it is heard.

    Args:
        excitation: Shape (batch, 160 * frames).
        past: Before it, shape (batch, 258).
        taps: Of all sub-frames, shape (batch, frames, 4, 44).
        voicing: Features, shape (batch, frames + 2).
        primed: So many frames at the beginning are heard as they are.
    """
    whole = torch.cat([past, excitation], 1)
    places = taps.flatten(1, 2) + SUBFRAME * torch.arange(taps.shape[1] * SUBFRAMES, device=taps.device)[:, None]
    again = torch.gather(whole, 1, places[..., MARGIN:-MARGIN].flatten(1)).clamp(-1, 1)
    parts = (2 * torch.arange(SUBFRAMES, device=voicing.device) + 1) / (2 * SUBFRAMES)
    before, after = voicing[:, 1:-1, None], voicing[:, 2:, None]
    strength = REPEATED * ((before + parts * (after - before) - VOICED[0]) / (VOICED[1] - VOICED[0])).clamp(0, 1)
    strength[:, :primed] = 0
    strength = strength.flatten(1).repeat_interleave(SUBFRAME, 1)
    return (excitation + strength * again) / (1 + strength)


def lpc_synthesis(excitation: Tensor, predictions: Tensor, before: Tensor) -> Tensor:
    """What the filters make of their excitation.

    Through matrices, of which only the last samples of a sub-frame wait for the one before.

    Args:
        excitation: Shape (batch, 160 * frames).
        predictions: Shape (batch, frames, 4, 16).
        before: The 16 samples before, the newest first, shape (batch, 16).

    Returns:
        Shape (batch, 160 * frames).
    """
    predictions = predictions.flatten(1, 2)
    synthesis = synthesis_matrix(predictions)
    ringing = synthesis[..., :LPC_ORDER] @ ringing_matrix(predictions)
    driven = (synthesis @ excitation.unflatten(1, (-1, SUBFRAME, 1)))[..., 0]
    newest = [before]
    tails = zip(driven[..., -LPC_ORDER:].unbind(1), ringing[..., -LPC_ORDER:, :].unbind(1), strict=True)
    for tail, rings in tails:
        newest.append((tail + (rings @ newest[-1][..., None])[..., 0]).flip(1))
    rung = (ringing @ torch.stack(newest[:-1], 1)[..., None])[..., 0]
    return (driven + rung).flatten(1)


def synthesis_matrix(predictions: Tensor) -> Tensor:
    """What the filter makes of an excitation from rest: shape (..., 16) to (..., 40, 40)."""
    response = [torch.ones_like(predictions[..., 0])]
    while len(response) < SUBFRAME:
        past = torch.stack(response[: -LPC_ORDER - 1 : -1], -1)
        response.append((past * predictions[..., : past.shape[-1]]).sum(-1))
    padded = functional.pad(torch.stack(response, -1), (1, 0))
    lags = torch.arange(SUBFRAME, device=predictions.device)
    lags = lags[:, None] - lags
    return padded[..., (lags + 1).clamp(min=0)]


def ringing_matrix(predictions: Tensor) -> Tensor:
    """The excitation that stands for the last samples, the newest first: shape (..., 16) to (..., 16, 16)."""
    padded = functional.pad(predictions, (0, 1))
    places = torch.arange(LPC_ORDER, device=predictions.device)
    return padded[..., (places[:, None] + places).clamp(max=LPC_ORDER)]


def period_taps(periods: Tensor) -> Tensor:
    """Which of the last MEMORY samples predict a sub-frame: shape (...) to (..., 44), int64.

    Those one period before; where that is shorter than they are, they repeat.
    """
    offsets = torch.arange(-MARGIN, SUBFRAME + MARGIN, device=periods.device)
    period = periods[..., None]
    return MEMORY + torch.where(offsets < period, offsets - period, offsets - 2 * period)
