"""Adversarial training of what makes samples: networks that see spectra learn to tell them from speech.

After section III of the FARGAN paper (arXiv 2405.21069): one network a resolution sees logarithms of magnitudes and
where in the spectrum they lie; least squares of both sides (X. Mao et al., ICCV 2017), and hidden activations of what
was made are to be those of the truth (K. Kumar et al., "MelGAN", NeurIPS 2019).
"""

from __future__ import annotations

from typing import Any, Generic

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from vivavoce.training.loop import Network

FFT_SIZES = (64, 128, 256, 512, 1024, 2048)
CHANNELS = 16
POSITIONS = 4  # channels that tell the frequency
LAYERS = 3
SLOPE = 0.2
FLOOR = 1e-4  # of magnitudes, where the root mean square of the truth is 1
SILENCE = 1e-4  # no signal counts as quieter
MATCH_WEIGHT = 5.0
SHARES = 3  # of a batch: a judge sees one of them, or judging would take three times as long as making


class Contest(nn.Module, Generic[Network]):
    """A network that makes samples, and those that tell them from speech; one trainer moves both.

    Attributes:
        maker: What is to be trained.
        judges: Its adversaries; empty where it has none.
        weight: Of what they say, beside the rest of the maker's loss.
    """

    def __init__(self, maker: Network, weight: float, samples: int) -> None:
        """Take the network, the weight, 0 for no contest, and how many samples are judged at once."""
        super().__init__()
        self.maker = maker
        self.weight = weight
        sizes = [size for size in FFT_SIZES if weight > 0 and size // 2 < samples]  # as long as they can be mirrored
        self.judges = nn.ModuleList(SpectralJudge(size) for size in sizes)

    @property
    def adversary(self) -> nn.Module | None:
        """The judges, for `training.loop.Trainer`."""
        return self.judges if self.weight > 0 else None

    def forward(self, truth: Tensor, judged: slice, *given: Any) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Make samples and have them judged; the gradients of the one side do not reach the other's weights.

        Args:
            truth: Shape (batch, samples).
            judged: Which of the samples.
            given: What the maker is called with.

        Returns:
            What was made, the same shape as `truth`; the loss of both sides, (); its terms for the log.
        """
        made = self.maker(*given)
        if not self.weight:
            return made, made.new_zeros(()), {}
        scale = 1 / (SILENCE + truth[:, judged].square().mean(1, keepdim=True).sqrt())
        a, b = made[:, judged].float() * scale, truth[:, judged] * scale
        fooling, matching, telling = made.new_zeros(()), made.new_zeros(()), made.new_zeros(())
        shares = min(SHARES, len(a))
        for index, judge in enumerate(self.judges):
            seen, true = (samples[index % shares :: shares] for samples in (a, b))
            frozen = {name: weight.detach() for name, weight in judge.named_parameters()}
            fooled = functional_call(judge, frozen, (seen,))
            made_so, true_so = judge(seen.detach()), judge(true)
            fooling = fooling + (fooled[-1] - 1).square().mean()
            telling = telling + made_so[-1].square().mean() + (true_so[-1] - 1).square().mean()
            for hidden, aim in zip(fooled[:-1], true_so[:-1], strict=True):
                matching = matching + (hidden - aim.detach()).abs().mean() / aim.detach().abs().mean() / LAYERS
        fooling, matching, telling = (sum_ / len(self.judges) for sum_ in (fooling, matching, telling))
        terms = {"fooling": fooling.detach(), "matching": matching.detach(), "telling": telling.detach()}
        return made, self.weight * (fooling + MATCH_WEIGHT * matching) + telling, terms


class SpectralJudge(nn.Module):
    """Tells speech, 1, from what is made, 0, by spectra of one resolution.

    Args:
        size: Of the FFT; the hop is a quarter.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.hidden = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(
                nn.Conv2d(channels + POSITIONS, CHANNELS, (3, 5), stride=(1, 2), padding=(1, 2))
            )
            for channels in (1, *[CHANNELS] * (LAYERS - 1))
        )
        self.score = nn.Conv2d(CHANNELS, 1, 3, padding=1)

    def forward(self, samples: Tensor) -> list[Tensor]:
        """Hidden activations, and last the scores by frame and band, of samples of shape (batch, samples)."""
        window = torch.hann_window(self.size, device=samples.device)
        window = window / window.square().sum().sqrt()
        spectra = torch.stft(samples, self.size, self.size // 4, window=window, return_complex=True)
        power = (spectra.real.square() + spectra.imag.square())[:, None, 1:].transpose(2, 3)
        heard = torch.log10(power + FLOOR**2) / 2
        said = []
        for layer in self.hidden:
            heard = functional.leaky_relu(layer(torch.cat([heard, _positions(heard)], 1)), SLOPE)
            said.append(heard)
        return [*said, self.score(heard)]


def _positions(heard: Tensor) -> Tensor:
    """Sines of the frequency, on (batch, channels, frames, bins): (batch, 4, frames, bins)."""
    batch, _, frames, bins = heard.shape
    place = torch.linspace(0, torch.pi, bins, device=heard.device)
    waves = [torch.cos(place), torch.sin(place), torch.cos(2 * place), torch.sin(2 * place)]
    return torch.stack(waves)[:, None].expand(batch, POSITIONS, frames, bins)
