"""What predicted features are judged by, at lost frames alone.

After J.-M. Valin et al., INTERSPEECH 2022, section 3.2: absolute errors, so that the middle of what may follow is
predicted and not its mean; too much energy counts more than too little, for a loud guess that is wrong is heard; pitch
counts where there is voice, in octaves up to one, and small errors most.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vivavoce.signal.cepstrum import BARK_BANDS, PITCH, VOICING, dct_matrix

OVERESTIMATE = 0.5  # on top of the absolute error of a band
PITCH_WEIGHT, FINE_PITCH_WEIGHT = 1.0, 8.0
PITCH_RANGE, FINE_PITCH_RANGE = 1.0, 0.4  # octaves beyond which an error is no worse
VOICING_WEIGHT = 1.0
ADVERSARIAL_WEIGHT = 1.0


def prediction_loss(predicted: Tensor, features: Tensor, lost: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss.

    Args:
        predicted: Shape (batch, frames, 20).
        features: The true ones.
        lost: How much each frame counts, shape (batch, frames).

    Returns:
        The loss, and its terms for the log.
    """
    error = predicted - features
    dct = torch.from_numpy(dct_matrix()).to(predicted)
    bands = error[..., :BARK_BANDS] @ dct  # tens of decibels
    voiced = (features[..., VOICING] + 0.5).clamp(0, 1)
    octaves = error[..., PITCH].abs()
    pitch = PITCH_WEIGHT * octaves.clamp(max=PITCH_RANGE) + FINE_PITCH_WEIGHT * octaves.clamp(max=FINE_PITCH_RANGE)
    terms = {
        "cepstrum": error[..., :BARK_BANDS].abs().mean(-1),
        "bands": bands.abs().mean(-1) + OVERESTIMATE * functional.relu(bands).mean(-1),
        "pitch": voiced * pitch,
        "voicing": VOICING_WEIGHT * error[..., VOICING].abs(),
    }
    means = {name: _mean(term, lost) for name, term in terms.items()}
    return torch.stack(list(means.values())).sum(), {name: mean.detach() for name, mean in means.items()}


def adversarial_loss(fooled: Tensor, made: Tensor, true: Tensor, lost: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Least squares of both sides (X. Mao et al., "Least squares generative adversarial networks", ICCV 2017).

    Args:
        fooled: Scores of what was made, by a discriminator that does not learn from it; shape (batch, frames).
        made: The same, by one that does and is to say 0.
        true: Scores of true features, which are to be 1.
        lost: How much each frame counts, shape (batch, frames).

    Returns:
        The loss, and its terms for the log.
    """
    fooling = _mean((fooled - 1).square(), lost)
    telling = _mean(made.square() + (true - 1).square(), lost)
    return ADVERSARIAL_WEIGHT * fooling + telling, {"fooling": fooling.detach(), "telling": telling.detach()}


def _mean(term: Tensor, weight: Tensor) -> Tensor:
    return (term * weight).sum() / weight.sum().clamp(min=1)
