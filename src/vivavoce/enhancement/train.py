"""Training of PercepNet: mixtures to features and targets, the run, and what it exports.

The work is done by `vivavoce.training`; this file says what a PercepNet learns from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from vivavoce._core import percepnet_targets
from vivavoce.enhancement import dnsmos_loss
from vivavoce.enhancement.features import ERB_BANDS
from vivavoce.enhancement.image import model_image
from vivavoce.enhancement.loss import LossWeights, Targets, percepnet_loss
from vivavoce.enhancement.model import SIZES, PercepNet, core_weights, load_core_weights
from vivavoce.signal.bands import BANDS
from vivavoce.signal.pitch import HOP, SAMPLE_RATE
from vivavoce.training.corpus import NOISE_CORPORA, SPEECH_CORPORA, load_corpus
from vivavoce.training.distributed import join
from vivavoce.training.export import read_weights, write_model, write_weights
from vivavoce.training.loop import Batch, LoopConfig, Trainer
from vivavoce.training.mixing import MixConfig, Mixer, Mixture
from vivavoce.training.rooms import RIR_CORPUS, Room, measured_rooms, simulate_rooms
from vivavoce.training.run import Run, card_of, stacked, tensors, train

FULL_BAND_HZ = 20_000
VOICE_BELOW_PEAK = 1e-3  # a frame is speech when its clean energy is within 30 dB of the loudest
MIN_ENERGY = 1e-6  # of a band, before its logarithm: far below 1 bit of 16
MASK_BELOW = 0.97  # of the bandwidth: a band whose middle is above it has lost too much of itself
LEVEL_SHIFT = (-0.6, 0.15)  # units of 20 dB: as if something louder had come before
JUDGED_ONE_IN = 16  # items; DNSMOS costs as much as the network on twenty
JUDGED_FROM_HZ = 7_000  # it takes what is missing below for damage
JUDGED_DB = -26.0  # dBFS of active speech: the opinion depends on the level
EXAMPLES = 16  # items by which first weights are scaled
SYSTEM = "percepnet"


@dataclass(frozen=True)
class PercepNetRun(Run):
    """A training run.

    Attributes:
        lookahead: Frames, 0 or 2.
        rooms: Number of simulated rooms.
        quantise_share: Part of the run, at its end, with the rounding of int8.
    """

    lookahead: int = 2
    rooms: int = 300
    quantise_share: float = 0.2


class ItemMaker:
    """Items of one split: features and targets of a mixture, in half precision."""

    def __init__(self, mixer: Mixer, lookahead: int, *, shift_levels: bool) -> None:
        self.mixer, self.lookahead, self.shift_levels = mixer, lookahead, shift_levels

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        """Arrays of item `index`.

        Features (frames, 70); gains, strengths, log_energies (frames, 34); voice (frames,); mask (34,); whether DNSMOS
        is asked about it, shape (), and for it the noisy samples at 16 kHz.
        """
        mixture = self.mixer.mixture(index)
        item = training_item(mixture, self.lookahead)
        judged = index % JUDGED_ONE_IN == 0 and np.isfinite(mixture.snr_db) and mixture.bandwidth_hz >= JUDGED_FROM_HZ
        item["judged"] = np.array(judged, np.float32)
        item["sound"] = judged_sound(mixture) if judged else np.zeros(len(mixture.noisy) // 3, np.float32)
        random = np.random.default_rng([self.mixer.seed, index, 1])
        if self.shift_levels and random.random() < 0.5:
            item["features"][:, :BANDS] += random.uniform(*LEVEL_SHIFT)
        return {name: array.astype(np.float16) for name, array in item.items()}


def training_item(mixture: Mixture, lookahead: int) -> dict[str, np.ndarray]:
    """Features of a mixture and what the network should say, both in the order in which the network runs.

    The targets at step t are those of frame t - lookahead; the first `lookahead` steps have none and are cut off from
    both by `loss_of`.
    """
    frames = len(mixture.noisy) // HOP
    features, gains, strengths, noisy, clean, attenuations = percepnet_targets(
        mixture.noisy, mixture.clean, frames, lookahead
    )
    energy = clean.sum(axis=1)
    return {
        "features": features,
        "gains": gains * attenuations,
        "strengths": strengths,
        "log_energies": np.log10(noisy + MIN_ENERGY),
        "voice": (energy > VOICE_BELOW_PEAK * max(energy.max(), 1e-6)).astype(np.float32),
        "mask": band_mask(mixture.bandwidth_hz),
    }


def judged_sound(mixture: Mixture) -> np.ndarray:
    """What DNSMOS would hear of the noisy side: 16-kHz samples, shape (samples / 3,)."""
    gain = np.float32(10 ** ((JUDGED_DB - mixture.level_db) / 20))
    return gain * soxr.resample(mixture.noisy, SAMPLE_RATE, dnsmos_loss.SAMPLE_RATE)[: len(mixture.noisy) // 3]


def band_mask(bandwidth_hz: int) -> np.ndarray:
    """1 for each band that speech of this bandwidth says something about, shape (34,)."""
    if bandwidth_hz >= FULL_BAND_HZ:
        return np.ones(BANDS, np.float32)
    return (ERB_BANDS.centres_hz <= MASK_BELOW * bandwidth_hz).astype(np.float32)


def loss_of(weights: LossWeights, lookahead: int) -> Callable:
    """The loss of a batch, for the training loop."""

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        batch = {name: value.float() for name, value in batch.items()}
        outputs = tuple(output[:, lookahead:] for output in model(batch["features"]))
        frames = outputs[0].shape[1]
        targets = Targets(
            batch["gains"][:, :frames],
            batch["strengths"][:, :frames],
            batch["voice"][:, :frames],
            batch["features"][:, :frames, :BANDS],
            torch.pow(10.0, batch["log_energies"][:, :frames]),
            batch["mask"][:, None, :],
            judged := batch["judged"] > 0,
            batch["sound"][judged],
        )
        return percepnet_loss(outputs, targets, weights)

    return loss


def train_percepnet(run: PercepNetRun, loop: LoopConfig, validation_items: int) -> Path:
    """Train, or go on training, a PercepNet.

    Args:
        run: What is trained; simulated rooms are cached too.
        loop: How.
        validation_items: Of the split `val`, that every checkpoint is judged by.

    Returns:
        The folder with `weights.safetensors`, the averaged weights, and, under the model's name, the model.

    Raises:
        AudioFileError, ValueError: The corpora or the weights to begin with are not what they should be.
    """
    processes = join()
    torch.manual_seed(run.seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    make = ItemMaker(_mixer(run, "train", run.seed + 1000 * processes.rank), run.lookahead, shift_levels=True)
    model = PercepNet(SIZES[run.size], run.lookahead)
    if run.init:
        load_core_weights(model, tensors(read_weights(run.init)[0]))
    else:
        items = [make(index)["features"] for index in range(EXAMPLES)]
        model.initialise(torch.from_numpy(np.concatenate(items)).float())
    validation = _validation(run, validation_items)
    trainer = Trainer(model, loop, run.folder, processes, model.matrices())
    quantise_from = round((1 - run.quantise_share) * loop.steps)

    def before_step(step: int) -> None:
        trainer.model.quantised = trainer.average.quantised = step >= quantise_from

    train(
        run,
        trainer,
        make,
        loss_of(LossWeights(), run.lookahead),
        validation,
        lambda average: export(average, run),
        lambda loss: finish(run, trainer, loss),
        before_step=before_step,
        after_step=model.clamp_weights,
    )
    return run.folder


def export(model: PercepNet, run: PercepNetRun) -> None:
    """Write the weights under the names that the core's exporter knows."""
    weights = {name: weight.float().cpu().numpy() for name, weight in core_weights(model).items()}
    write_weights(run.weights, weights, metadata_of(run))


def metadata_of(run: PercepNetRun) -> dict[str, str]:
    """What the file of the weights says of itself."""
    lookahead = str(run.lookahead)
    return {"system": SYSTEM, "name": run.name, "lookahead_frames": lookahead, "sample_rate": str(SAMPLE_RATE)}


def finish(run: PercepNetRun, trainer: Trainer[PercepNet], validation_loss: float) -> None:
    """Write the model, its image and its card."""
    weights, metadata = read_weights(run.weights)
    hours = trainer.step * run.batch * run.seconds / 3600
    card = card_of(
        run,
        trainer,
        validation_loss,
        system=SYSTEM,
        sample_rate=SAMPLE_RATE,
        architecture={
            "source": "Valin et al., INTERSPEECH 2020",
            "size": run.size,
            "weights": sum(weight.size for weight in weights.values()),
            "precision": "int8 weights and activations, float32 state",
            "lookahead_frames": run.lookahead,
            **asdict(SIZES[run.size]),
        },
        corpora=(*SPEECH_CORPORA, *NOISE_CORPORA, RIR_CORPUS),
        hours={"hours_of_audio_seen": hours, "hours_of_mixtures_made": hours / run.echo},
    )
    card["scales_in_the_loss"] = ["PESQ", "STOI", "DNSMOS P.835 OVRL"]
    write_model(run.folder, run.name, run.weights, model_image(weights, metadata), card)


def _mixer(run: PercepNetRun, split: str, seed: int) -> Mixer:
    speech = load_corpus(run.data, SPEECH_CORPORA, split, run.cache)
    noise = load_corpus(run.data, NOISE_CORPORA, split, run.cache)
    return Mixer(speech, noise, _rooms(run, split), MixConfig(seconds=run.seconds), seed)


def _rooms(run: PercepNetRun, split: str) -> list[Room]:
    if split == "train":
        return [*measured_rooms(run.data, run.cache), *simulate_rooms(run.rooms, run.seed, run.cache)]
    return list(simulate_rooms(max(1, run.rooms // 10), run.seed + 1, run.cache))


def _validation(run: PercepNetRun, count: int) -> list[Batch]:
    """Batches of the split `val`, always the same."""
    make = ItemMaker(_mixer(run, "val", seed=0), run.lookahead, shift_levels=False)
    items = [make(index) for index in range(count)]
    return [tensors(stacked(items[at : at + run.batch])) for at in range(0, count, run.batch)]
