"""How wrong the network's gains and strengths are, in compressed units that follow the ear.

The gains' loss is that of J.-M. Valin et al. (INTERSPEECH 2020), section 4.2: squares and fourth powers of compressed
differences. Eight terms are added:

- the spectral shape of frames with speech: differences less their mean over the frame. On ten clips of `val`, a network
  with the true shape in place of its own gained 0.76 PESQ-WB, with the true mean of each frame 0.13; yet most of the
  plain loss, and of the noise in its gradient, is the mean;
- each band once more, weighted by how loud it is in the frame: what is loud is heard;
- the distances on the scales of PESQ and of STOI (`pesq_loss.py`, `stoi_loss.py`), of items with speech, behind the
  limit on decay and the post-filter: what they do to speech the network then makes up for;
- the opinion that DNSMOS has of a few items (`dnsmos_loss.py`);
- the level of an item's speech, in bels: PESQ and STOI forgive one that is wrong throughout, and without this term a
  network that was trained by them made the speech of 16 clips of `val` 2.3 dB fainter (1.2 before);
- the noise that is left in pauses, in bels: on 16 clips of `val`, a network without this term left 25 dB more there
  than RNNoise, and DNSMOS heard it (BAK 0.26 lower);
- over-attenuation once more: D. Rika et al., "DPDFNet: boosting DeepFilterNet2 via dual-path RNN" (2025), gained 0.24
  DNSMOS by charging twice for speech that is removed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vivavoce.enhancement.dnsmos_loss import dnsmos_distance
from vivavoce.enhancement.pesq_loss import pesq_distance
from vivavoce.enhancement.postfilter import MAX_DECAY, POSTFILTER_BETA, TINY
from vivavoce.enhancement.stoi_loss import stoi_distance

GAMMA = 0.5  # gains and 1 - strengths are compared as their square roots
FOURTH_POWER = 10.0  # C_4: rare large errors are heard
EPSILON = 1e-4  # added below each root, whose slope at 0 is infinite
LOUDNESS_POWER = 0.6  # |Y|^0.3, squared: units of the features are 20 dB
MAX_LOUDNESS = 4.0
MIN_LOUDNESS = 0.3  # faint bands count too
LEVEL_TOLERANCE = 0.05  # bels
PAUSE = 1e-4  # a frame's energy below the speech's
INAUDIBLE = 1e-6
NOISE_ALONE = 1e-2  # of the noise is the level of speech where there is none
MIN_SPEECH = 0.1  # of an item's frames, for these scales to mean something


@dataclass(frozen=True)
class LossWeights:
    """What each term counts.

    Attributes:
        shape: Spectral shape of frames with speech.
        loudness: Bands weighted by their loudness.
        over_attenuation: Gains below the target, once more.
        pesq: Distance on the scale of PESQ.
        stoi: Distance on the scale of STOI.
        dnsmos: Distance from the best opinion.
        level: Level of speech.
        residual: Noise left in pauses.
        strengths: Comb-filter strengths.
        voice: Voice activity.
    """

    shape: float = 5.0
    loudness: float = 1.0
    over_attenuation: float = 2.0
    pesq: float = 1.2
    stoi: float = 30.0
    dnsmos: float = 0.8
    level: float = 2.0
    residual: float = 0.4
    strengths: float = 0.5
    voice: float = 0.05


@dataclass(frozen=True)
class Targets:
    """What the network should say.

    Attributes:
        gains: Shape (batch, frames, bands), 0 to 1.
        strengths: Likewise.
        voice: 1 where there is speech, shape (batch, frames).
        levels: Band levels of the noisy frame in units of 20 dB, shape (batch, frames, bands).
        energies: Band energies of the noisy frame, likewise, in any one unit for an item.
        mask: 1 for bands that the item's speech has, shape (batch, 1, bands).
        judged: Which items DNSMOS is asked about, shape (batch,), bool; None: no item.
        sound: The noisy side of these at 16 kHz, shape (judged items, samples).
    """

    gains: Tensor
    strengths: Tensor
    voice: Tensor
    levels: Tensor
    energies: Tensor
    mask: Tensor
    judged: Tensor | None = None
    sound: Tensor | None = None


def percepnet_loss(
    outputs: tuple[Tensor, Tensor, Tensor], targets: Targets, weights: LossWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a batch.

    Args:
        outputs: What `PercepNet.forward` returns, aligned with the targets.
        targets: Of the same shape.
        weights: What each term counts.

    Returns:
        The loss, and each term's value by name, not weighted.
    """
    gain_logits, strength_logits, voice_logits = (output.float() for output in outputs)
    loudness = torch.clamp(torch.pow(10.0, LOUDNESS_POWER * targets.levels), max=MAX_LOUDNESS)
    gains = torch.sigmoid(gain_logits)
    lack = _root(targets.gains) - _root(gains)
    gain_error = _powers(lack)
    over_attenuation = functional.relu(lack).square() * (MIN_LOUDNESS + loudness)
    strength_error = (_root(1 - targets.strengths) - _root(torch.sigmoid(-strength_logits))).square()
    heard = (MIN_LOUDNESS + loudness) * targets.mask * targets.voice[..., None]
    terms = {
        "shape": (heard * _powers(lack - _frame_mean(lack, heard))).sum() / heard.sum().clamp_min(1),
        "gains": _mean(gain_error, targets.mask),
        "loudness": _mean(gain_error * loudness, targets.mask),
        "over_attenuation": _mean(over_attenuation, targets.mask),
        **_on_scales(gains, targets),
        "strengths": _mean(strength_error * (MIN_LOUDNESS + loudness) * (0.1 + targets.gains), targets.mask),
        "voice": functional.binary_cross_entropy_with_logits(voice_logits, targets.voice),
    }
    loss = terms["gains"] + (
        weights.shape * terms["shape"]
        + weights.loudness * terms["loudness"]
        + weights.over_attenuation * terms["over_attenuation"]
        + weights.pesq * terms["pesq"]
        + weights.stoi * terms["stoi"]
        + weights.dnsmos * terms["dnsmos"]
        + weights.level * terms["level"]
        + weights.residual * terms["residual"]
        + weights.strengths * terms["strengths"]
        + weights.voice * terms["voice"]
    )
    return loss, {name: term.detach() for name, term in terms.items()}


def applied_gains(gains: Tensor, energies: Tensor) -> Tensor:
    """What `limit_decay` and `envelope_postfilter` make of gains, with a gradient.

    Args:
        gains: Shape (batch, frames, bands), 0 to 1.
        energies: Of the noisy bands, likewise.

    Returns:
        Likewise; up to a little more than 1.
    """
    decay = MAX_DECAY
    for frames in (1, 2, 4):  # a gain is forgotten 8 frames later, 48 dB down
        gains = torch.maximum(gains, decay * functional.pad(gains, (0, 0, frames, 0))[:, : gains.shape[1]])
        decay *= decay
    warped = gains * torch.sin(math.pi / 2 * gains)
    before, after = ((g.square() * energies).sum(-1, keepdim=True) for g in (gains, warped))
    ratio = (before + TINY) / (after + TINY)
    return warped * ((1 + POSTFILTER_BETA) / (1 / ratio + POSTFILTER_BETA * ratio)).sqrt()


def _on_scales(gains: Tensor, targets: Targets) -> dict[str, Tensor]:
    """The terms behind the post-filter, by name; bands that the item's speech has not are silent."""
    speech = (targets.voice.mean(-1) >= MIN_SPEECH).float()
    noisy = targets.energies * targets.mask
    applied = applied_gains(gains, noisy)
    clean, denoised = (g.square() * noisy for g in (targets.gains, applied))
    distances = {
        "pesq": pesq_distance(clean, denoised, targets.mask),
        "stoi": stoi_distance(clean, denoised, targets.voice, targets.mask),
    }
    terms = {name: (distance * speech).sum() / speech.sum().clamp_min(1) for name, distance in distances.items()}
    terms["dnsmos"] = applied.new_zeros(())
    if targets.judged is not None and targets.sound is not None and targets.judged.any():
        terms["dnsmos"] = dnsmos_distance(applied[targets.judged], targets.sound).mean()
    return {**terms, "level": _level(clean, denoised, targets), "residual": _residual(clean, denoised, noisy, targets)}


def _level(clean: Tensor, denoised: Tensor, targets: Targets) -> Tensor:
    """Energy of an item's speech against what it should be, squared bels; 0 without speech."""
    wanted, got = ((energies * targets.voice[..., None]).sum((1, 2)) + TINY for energies in (clean, denoised))
    return functional.relu(torch.log10(got / wanted).abs() - LEVEL_TOLERANCE).square().mean()


def _residual(clean: Tensor, denoised: Tensor, noisy: Tensor, targets: Targets) -> Tensor:
    """Noise in pauses over what is inaudible beside the speech, in bels."""
    wanted, left, heard = (energies.sum(-1) for energies in (clean, denoised, noisy))
    speech = (wanted * targets.voice).sum(-1, keepdim=True) / targets.voice.sum(-1, keepdim=True).clamp_min(1)
    level = speech + NOISE_ALONE * heard.mean(-1, keepdim=True) + TINY
    excess = functional.relu(torch.log10((left / level + INAUDIBLE) / (wanted / level + INAUDIBLE)))
    pause = (wanted < PAUSE * level).float()
    return (excess * pause).sum() / pause.sum().clamp_min(1)


def _root(x: Tensor) -> Tensor:
    return torch.pow(x + EPSILON, GAMMA)


def _powers(x: Tensor) -> Tensor:
    square = x.square()
    return square + FOURTH_POWER * square.square()


def _frame_mean(x: Tensor, weights: Tensor) -> Tensor:
    return (x * weights).sum(-1, keepdim=True) / weights.sum(-1, keepdim=True).clamp_min(1e-3)


def _mean(errors: Tensor, mask: Tensor) -> Tensor:
    return (errors * mask).sum() / (mask.sum() * errors.shape[1]).clamp_min(1)
