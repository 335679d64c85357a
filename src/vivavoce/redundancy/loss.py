"""What the RDO-VAE is judged by: how far decoded features are from the true ones to a listener, and what they cost.

After section 3 of the RDO-VAE paper (arXiv 2212.04453), with the distortion that its authors came to later: errors of
bands count by the loudness of the band beside that of the clip, and large ones more than their square.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vivavoce.redundancy.payload import LAMBDA_RATIO, LEVELS
from vivavoce.redundancy.rdovae import Coded
from vivavoce.signal.cepstrum import BARK_BANDS, PITCH, VOICING, dct_matrix

# Bits against distortion at level 0, as libopus has it; at level 15 it is 2.5 times that of libopus: a second of speech
# has to fit into each packet.
FINEST_LAMBDA = 2e-4
STATE_WEIGHT = 0.04  # of its bits beside those of a latent vector: there is one for some 25 of those
TRUE_WEIGHT = 0.1  # of the bits by the true distribution
SPECTRAL_WEIGHT = 0.05
LARGE, LARGEST = 25.0, 20.0  # of squares of the distortion, and of what is beyond
PITCH_WEIGHT, VOICING_WEIGHT = 28 / 18, 2 / 18
QUIET = 1e-3  # no clip counts as quieter: mean over bands of the root of 16-bit energies


def rate_distortion(
    coded: Coded, truth: Tensor, loudness: Tensor, levels: Tensor, share: float, state_share: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss.

    Args:
        coded: What became of spans.
        truth: Their features, shape (spans, chunks, 4, 20).
        loudness: `loudness_of` their clips, shape (spans,).
        levels: Of the quantiser, shape (spans, chunks).
        share: How much bits of latent vectors count already, from 0 to 1.
        state_share: The same of the state's.

    Returns:
        The loss, and its terms for the log.
    """
    root = torch.sqrt(FINEST_LAMBDA * torch.exp(levels * (math.log(LAMBDA_RATIO) / (LEVELS - 1))))
    missed = distortion(coded.features, truth, loudness[:, None, None]).mean(2)
    bits = coded.soft_bits + TRUE_WEIGHT * coded.bits
    state_bits = coded.soft_state_bits + TRUE_WEIGHT * coded.state_bits
    rate = share * (root * bits).mean() + state_share * STATE_WEIGHT * (root[:, 0] * state_bits).mean()
    terms = {"distortion": missed.mean(), "bits": coded.bits.mean(), "state_bits": coded.state_bits.mean()}
    return rate + (missed / root).mean(), {name: term.detach() for name, term in terms.items()}


def loudness_of(features: Tensor) -> Tensor:
    """Mean over frames and bands of the fourth root of power: shape (batch, frames, 20) to (batch,)."""
    return _loudness(_bands(features)).mean((1, 2)).clamp(min=QUIET)


def distortion(made: Tensor, truth: Tensor, loudness: Tensor) -> Tensor:
    """How far features are from the truth: shape (..., 20), twice, and (...,), to (...,)."""
    error = made - truth
    bands = _bands(error)
    weights = 1.15 - torch.arange(BARK_BANDS, device=made.device) / (2 * BARK_BANDS)
    heard = (weights * _loudness(_bands(truth)) * bands.square()).mean(-1) / loudness
    spectral = (
        SPECTRAL_WEIGHT * bands.square().mean(-1) + heard + torch.minimum(LARGEST * heard, LARGE * heard.square())
    )
    voiced = (truth[..., VOICING] + 0.5).clamp(min=0).square()
    pitch = PITCH_WEIGHT * voiced * error[..., PITCH].abs()
    return spectral + pitch + VOICING_WEIGHT * error[..., VOICING].square()


def _bands(features: Tensor) -> Tensor:
    """Logarithms of band energies, in tens of decibels."""
    return features[..., :BARK_BANDS] @ torch.from_numpy(dct_matrix()).to(features)


def _loudness(bands: Tensor) -> Tensor:
    return 10 ** (bands.clamp(min=-8, max=8) / 2)
