"""How latent vectors are rounded, and what that costs: a scale, a dead zone and a Laplace distribution a dimension.

After section 3 of the RDO-VAE paper (arXiv 2212.04453). There are 16 levels, from fine to coarse; each has its own
numbers for every dimension. Departing from the paper, those of a level are read off a curve through four points, so
that each step of the training moves all levels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from vivavoce.redundancy.image import DEAD_ZONE, LEARNED, MAX_DECAY
from vivavoce.redundancy.payload import LEVELS, MAX_MAGNITUDE

KNOTS = 4  # of the curves over the levels
FINEST = 8.0  # steps per unit at first
SOFT_ZERO = 0.1  # how gradually the dead zone begins and ends
MIN_PROBABILITY = 1e-4


class Quantiser(nn.Module):
    """Numbers to integers and back, for every level.

    Args:
        dimensions: Of the vectors.
    """

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions
        fine_to_coarse = torch.linspace(FINEST, 0, KNOTS)[:, None].repeat(1, dimensions)
        self.scale = nn.Parameter(fine_to_coarse / LEARNED)
        self.dead_zone = nn.Parameter(torch.zeros(KNOTS, dimensions))
        self.decay = nn.Parameter(torch.zeros(KNOTS, dimensions))
        self.zero = nn.Parameter(torch.zeros(KNOTS, dimensions))

    def forward(self, values: Tensor, levels: Tensor, whole: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Round values, shape (..., dimensions), or add the noise that stands for it.

        Args:
            values: What is rounded.
            levels: From 0 to 15, shape (...,).
            whole: Which are rounded; of any shape that goes with that of the values.

        Returns:
            The values as they are decoded; their bits by the smooth and by the true distribution, shape (...,).
        """
        numbers = self.at(levels)
        steps = numbers.steps(values).clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE)  # as payloads limit them
        true = rounded(steps)
        decoded = torch.where(whole, true, noisy(steps)) / numbers.scale
        return decoded, numbers.soft_bits(steps).sum(-1), numbers.bits(true).sum(-1)

    def at(self, levels: Tensor) -> Levels:
        """The numbers of levels from 0 to 15, of any shape."""
        place = levels.to(self.scale) / (LEVELS - 1) * (KNOTS - 1)
        weights = (1 - (place[..., None] - torch.arange(KNOTS, device=place.device)).abs()).clamp(min=0)
        weights = LEARNED * weights
        decay = MAX_DECAY * torch.sigmoid(weights @ self.decay)
        half_step = torch.log(decay) * (0.5 + 0.5 * torch.sigmoid(weights @ self.zero))
        return Levels(
            functional.softplus(weights @ self.scale),
            DEAD_ZONE * functional.softplus(weights @ self.dead_zone),
            decay,
            1 - torch.exp(half_step),
        )


class Levels:
    """The numbers of levels, each of shape (..., dimensions).

    Attributes:
        scale: Steps per unit.
        dead_zone: Half of its width, in steps.
        decay: P(k + 1) / P(k), for k from 1 on.
        zero: P(0).
    """

    def __init__(self, scale: Tensor, dead_zone: Tensor, decay: Tensor, zero: Tensor) -> None:
        self.scale, self.dead_zone, self.decay, self.zero = scale, dead_zone, decay, zero

    def steps(self, values: Tensor) -> Tensor:
        """What is to be rounded."""
        scaled = values * self.scale
        return scaled - self.dead_zone * torch.tanh(scaled / (self.dead_zone + SOFT_ZERO))

    def soft_bits(self, steps: Tensor) -> Tensor:
        """What steps cost under the distribution without its exception at 0; it has a gradient everywhere."""
        decay = self.decay
        return -(torch.log((1 - decay) / (1 + decay)) + steps.abs() * torch.log(decay)) / math.log(2)

    def bits(self, rounded: Tensor) -> Tensor:
        """What whole steps cost: their gradient is that of the distribution alone."""
        rounded = rounded.detach().abs()
        zero, decay = (part.clamp(MIN_PROBABILITY, 1 - MIN_PROBABILITY) for part in (self.zero, self.decay))
        some = torch.log(0.5 * (1 - zero) * (1 - decay)) + (rounded - 1) * torch.log(decay)
        return -torch.where(rounded > 0, some, torch.log(zero)) / math.log(2)


def rounded(steps: Tensor) -> Tensor:
    """Whole steps, with the gradient of what they were."""
    return steps + (torch.round(steps) - steps).detach()


def noisy(steps: Tensor) -> Tensor:
    """Steps with noise that stands for rounding."""
    return steps + torch.rand_like(steps) - 0.5
