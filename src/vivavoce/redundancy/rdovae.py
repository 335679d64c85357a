"""The RDO-VAE of deep redundancy in PyTorch: for training, and the truth that the core's engine is held to.

J.-M. Valin, A. Mustafa and J. Büthe, "Low-bitrate redundancy coding of speech using a rate-distortion-optimized
variational autoencoder" (ICASSP 2023, arXiv 2212.04453). The encoder runs forward in time: every 20 ms a latent vector
that describes the last 40 ms, and a state from which a decoder can begin there. The decoder runs backward, 40 ms a
step, over every second latent vector. What is sent is rounded by `redundancy.quantiser`.

Departing from the paper, a matrix leads past the layers on either side, from features to latent vectors and from these
to features: through layers that end in tanh alone, fine levels did not become finer than 1.8 dB, where 28 principal
components have 1.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vivavoce.redundancy.image import CHUNK, STRIDE
from vivavoce.redundancy.payload import LEVELS
from vivavoce.redundancy.quantiser import Quantiser
from vivavoce.signal.cepstrum import FEATURES
from vivavoce.training.precision import mixed_precision

GATES = 3  # of a GRU
DILATIONS = (1, 2, 2, 2, 2)


@dataclass(frozen=True)
class RdoVaeSize:
    """Widths of the layers.

    Attributes:
        encoder: Of its GRUs, a multiple of 16; its first layer and its convolutions are twice as wide.
        decoder: Of its GRUs, a multiple of 32; its first layer has one and a half, its convolutions half of it, and
            the layers that states pass have twice as much.
        latent: Numbers of a latent vector, before those are left out that are always 0.
        state: Numbers of a state, the same.
    """

    encoder: int
    decoder: int
    latent: int
    state: int


SIZES = {
    "tiny": RdoVaeSize(16, 32, 16, 16),  # for tests
    "base": RdoVaeSize(32, 64, 48, 64),  # the widths of libopus 1.6
}


class Layer(nn.Module):
    """A GRU and a convolution over two steps, each of which adds what it says to what it has heard."""

    glu: nn.Linear | None

    def __init__(self, inputs: int, gru: int, convolution: int, dilation: int, gated: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, gru, batch_first=True)
        self.glu = nn.Linear(gru, gru, bias=False) if gated else None
        self.dense = nn.Linear(inputs + gru, convolution)
        self.convolution = nn.Conv1d(convolution, convolution, 2, dilation=dilation)
        for block in cast(Tensor, self.gru.weight_hh_l0).chunk(GATES):
            nn.init.orthogonal_(block)

    def forward(self, heard: Tensor, state: Tensor | None = None) -> Tensor:
        """Run over whole sequences: shape (batch, steps, inputs) to (batch, steps, inputs + gru + convolution)."""
        said, _ = self.gru(heard, state)
        if self.glu is not None:
            said = said * torch.sigmoid(self.glu(said))
        heard = torch.cat([heard, said], -1)
        dense = torch.tanh(self.dense(heard)).transpose(1, 2)
        past = functional.pad(dense, (self.convolution.dilation[0], 0))
        return torch.cat([heard, torch.tanh(self.convolution(past)).transpose(1, 2)], -1)


class Encoder(nn.Module):
    """Features to latent vectors and states."""

    def __init__(self, size: RdoVaeSize) -> None:
        super().__init__()
        self.first = nn.Linear(STRIDE * FEATURES, 2 * size.encoder)
        self.layers, width = _layers(2 * size.encoder, size.encoder, 2 * size.encoder, gated=False)
        self.latent = nn.Linear(width, size.latent)
        self.direct = nn.Linear(CHUNK * FEATURES, size.latent, bias=False)
        self.hidden_state = nn.Linear(width, 2 * size.decoder)
        self.state = nn.Linear(2 * size.decoder, size.state)
        with torch.no_grad():
            self.first.weight *= 0.3  # cepstra are larger than what a tanh tells apart

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """From silence: shape (batch, frames, 20) to (batch, frames / 2, latent) and (batch, frames / 2, state)."""
        steps = features.unflatten(1, (-1, STRIDE)).flatten(2)
        chunks = torch.cat([functional.pad(steps, (0, 0, 1, 0))[:, :-1], steps], -1)
        heard = torch.tanh(self.first(steps))
        for layer in self.layers:
            heard = layer(heard)
        return self.latent(heard) + self.direct(chunks), self.state(torch.tanh(self.hidden_state(heard)))


class Decoder(nn.Module):
    """Latent vectors to features, backward in time."""

    def __init__(self, size: RdoVaeSize) -> None:
        super().__init__()
        self.first = nn.Linear(size.latent + 1, 3 * size.decoder // 2)
        self.layers, width = _layers(3 * size.decoder // 2, size.decoder, size.decoder // 2, gated=True)
        self.output = nn.Linear(width, CHUNK * FEATURES)
        self.direct = nn.Linear(size.latent, CHUNK * FEATURES, bias=False)
        self.hidden_state = nn.Linear(size.state, 2 * size.decoder)
        self.states = nn.Linear(2 * size.decoder, len(DILATIONS) * size.decoder)

    def forward(self, latents: Tensor, state: Tensor, levels: Tensor) -> Tensor:
        """Decode.

        Args:
            latents: The newest first, shape (batch, chunks, latent).
            state: At the newest, shape (batch, state).
            levels: Of the quantiser, from 0 to 15, shape (batch, chunks).

        Returns:
            Features, those of the newest chunk first but in their order within each, shape (batch, chunks, 4, 20).
        """
        states = torch.tanh(self.states(torch.tanh(self.hidden_state(state)))).chunk(len(self.layers), 1)
        told = levels.to(latents)[..., None] / ((LEVELS - 1) / 2) - 1
        heard = torch.tanh(self.first(torch.cat([latents, told], -1)))
        for layer, begin in zip(self.layers, states, strict=True):
            heard = layer(heard, begin[None].contiguous())
        return (self.output(heard) + self.direct(latents)).unflatten(-1, (CHUNK, FEATURES))


@dataclass
class Coded:
    """What became of spans of speech, the newest chunk first.

    Attributes:
        features: Decoded, shape (spans, chunks, 4, 20).
        soft_bits, bits: Of latent vectors, by the smooth and by the true distribution; shape (spans, chunks).
        soft_state_bits, state_bits: The same of the states; shape (spans,).
    """

    features: Tensor
    soft_bits: Tensor
    bits: Tensor
    soft_state_bits: Tensor
    state_bits: Tensor


class RdoVae(nn.Module):
    """Encoder, decoder, and the quantisers between them.

    Attributes:
        size: Widths of the layers.
    """

    def __init__(self, size: RdoVaeSize) -> None:
        super().__init__()
        self.size = size
        self.encoder = Encoder(size)
        self.decoder = Decoder(size)
        self.latent_quantiser = Quantiser(size.latent)
        self.state_quantiser = Quantiser(size.state)

    def forward(self, features: Tensor, places: Tensor, levels: Tensor, whole: Tensor) -> Coded:
        """Encode sequences, and decode spans of them.

        Args:
            features: Shape (batch, frames, 20).
            places: Encoder steps whose latent vectors a span has, the newest first: shape (batch, spans, chunks).
            levels: Of the quantiser, the same shape.
            whole: Which spans are rounded; the others get noise that stands for it. Shape (batch, spans).
        """
        with mixed_precision(features.device):  # not of what is rounded and judged
            latents, states = self.encoder(features)
        rows = torch.arange(len(features), device=features.device)[:, None, None]
        latents = latents.float()[rows, places].flatten(0, 1)
        states = states.float()[rows[..., 0], places[..., 0]].flatten(0, 1)
        levels, whole = levels.flatten(0, 1), whole.flatten()
        latents, *bits = self.latent_quantiser(latents, levels, whole[:, None, None])
        states, *state_bits = self.state_quantiser(states, levels[:, 0], whole[:, None])
        with mixed_precision(features.device):
            decoded = self.decoder(latents, states, levels)
        return Coded(decoded.float(), *bits, *state_bits)

    def matrices(self) -> list[dict[str, Any]]:
        """Groups for `training.muon`: what is inside of the networks, gate by gate."""
        layers = [cast(Layer, layer) for layer in (*self.encoder.layers, *self.decoder.layers)]
        plain = [weight for layer in layers for weight in (layer.dense.weight, layer.convolution.weight)]
        plain += [layer.glu.weight for layer in layers if layer.glu is not None]
        gates = [weight for layer in layers for weight in (layer.gru.weight_ih_l0, layer.gru.weight_hh_l0)]
        return [{"params": plain}, {"params": gates, "blocks": GATES}]


def _layers(width: int, gru: int, convolution: int, *, gated: bool) -> tuple[nn.ModuleList, int]:
    """The five layers behind a first one of this width, and how wide it has become."""
    layers = nn.ModuleList()
    for dilation in DILATIONS:
        layers.append(Layer(width, gru, convolution, dilation, gated))
        width += gru + convolution
    return layers, width
