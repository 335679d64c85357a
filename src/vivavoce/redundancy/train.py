"""Training of the RDO-VAE: speech to spans as packets describe them, the run, and what it exports.

The work is done by `vivavoce.training`; this file says what an RDO-VAE learns from it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vivavoce._core import speech_features
from vivavoce.redundancy.image import quantiser_tables, rdovae_image
from vivavoce.redundancy.loss import loudness_of, rate_distortion
from vivavoce.redundancy.payload import LEVELS
from vivavoce.redundancy.rdovae import CHUNK, SIZES, STRIDE, RdoVae
from vivavoce.signal.cepstrum import HOP, SAMPLE_RATE
from vivavoce.training.corpus import SPEECH_CORPORA
from vivavoce.training.distributed import join
from vivavoce.training.export import read_weights, write_model
from vivavoce.training.loop import LoopConfig, Trainer
from vivavoce.training.run import Run, begin_with, card_of, train, validation_batches, write_averaged
from vivavoce.training.speech import SpeechMaker, speech_of

CHUNKS = 24  # of a span: nearly a second
SPAN_STEPS = 2 * CHUNKS + 2  # of the encoder: latent vectors overlap, and a span begins at an even or an odd one
LEVEL_SLOPE = 0.5  # a chunk: at most so much coarser than the one after it
STEADY = 0.3  # of the spans have one level
RATE_STEPS = 0.1  # of the run: until bits count as much as they should; at first there is nothing to be saved
# The same of the state's. Where its bits counted as soon as those of the latent vectors, the decoder never learned to
# use it: of 64 numbers 4 were left.
STATE_RATE_STEPS = 0.6
SYSTEM = "rdovae"


@dataclass(frozen=True)
class RdoVaeRun(Run):
    """A training run.

    Attributes:
        model_id: By which payloads tell models apart, from 0 to 31; no two released models have the same.
    """

    model_id: int = 1


class ItemMaker:
    """Items of one split: features, shape (frames, 20)."""

    def __init__(self, speech: SpeechMaker) -> None:
        self.speech = speech

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        """Arrays of item `index`."""
        samples = self.speech.speech(index)
        return {"features": speech_features(samples, len(samples) // HOP)}


def cut(items: dict[str, np.ndarray], random: np.random.Generator) -> dict[str, np.ndarray]:
    """Spans of each item, as packets would describe them.

    Returns:
        Features, shape (batch, frames, 20); places, the encoder steps of each span's latent vectors, the newest first,
        and levels, both (batch, spans, 24); whole, which spans are rounded, (batch, spans).
    """
    features = items["features"]
    batch, spans = len(features), features.shape[1] // STRIDE // SPAN_STEPS
    parity = random.integers(0, 2, (batch, spans, 1))
    newest = SPAN_STEPS * np.arange(spans)[:, None] + 2 * CHUNKS - 1 + parity
    chunks = np.arange(CHUNKS)
    finest = random.integers(0, LEVELS, (batch, spans, 1))
    slope = LEVEL_SLOPE * random.random((batch, spans, 1)) * (random.random((batch, spans, 1)) > STEADY)
    coarsest = random.integers(finest, LEVELS)
    return {
        "features": features,
        "places": newest - 2 * chunks,
        "levels": np.minimum(coarsest, np.round(finest + slope * chunks)).astype(np.int64),
        "whole": np.arange(batch * spans).reshape(batch, spans) % 2 == 0,
    }


def cut_to_judge(items: dict[str, np.ndarray], random: np.random.Generator) -> dict[str, np.ndarray]:
    """The same for validation: all spans are rounded, as calls have them."""
    spans = cut(items, random)
    return {**spans, "whole": np.ones_like(spans["whole"])}


class Coder(nn.Module):
    """What is trained.

    Attributes:
        vae: The networks.
        share, state_share: How much bits of latent vectors and of states count already.
    """

    def __init__(self, vae: RdoVae) -> None:
        super().__init__()
        self.vae = vae
        self.share = self.state_share = 1.0

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch of `cut`."""
        features, places, levels = batch["features"], batch["places"], batch["levels"]
        coded = self.vae(features, places, levels, batch["whole"])
        frames = STRIDE * (places[..., None] + 1) - CHUNK + torch.arange(CHUNK, device=places.device)
        rows = torch.arange(len(features), device=places.device)[:, None, None, None]
        truth = features[rows, frames].flatten(0, 1)
        loudness = loudness_of(features).repeat_interleave(places.shape[1])
        return rate_distortion(coded, truth, loudness, levels.flatten(0, 1), self.share, self.state_share)


def loss_of(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch of spans."""
    return model(batch)


def train_rdovae(run: RdoVaeRun, loop: LoopConfig, validation_items: int) -> Path:
    """Train, or go on training, an RDO-VAE.

    Args:
        run: What is trained; an item is a sequence for the encoder, out of which spans are decoded.
        loop: How.
        validation_items: Of the split `val`, that every checkpoint is judged by.

    Returns:
        The folder with `weights.safetensors`, the averaged weights, and, under the model's name, the model.

    Raises:
        AudioFileError, ValueError: The corpora or the weights to begin with are not what they should be, or items are
            too short.
    """
    if (shortest := SPAN_STEPS * STRIDE / 100) > run.seconds:
        raise ValueError(f"items must last {shortest:g} s, a span and what it may begin with, got {run.seconds:g}")
    processes = join()
    torch.manual_seed(run.seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    make = ItemMaker(speech_of(run, "train", run.seed + 1000 * processes.rank))
    vae = RdoVae(SIZES[run.size])
    if run.init:
        begin_with(vae, read_weights(run.init)[0], run.init)
    model = Coder(vae)
    trainer = Trainer(model, loop, run.folder, processes, vae.matrices())

    def before_step(step: int) -> None:
        model.share = 1.0 if run.init else min(1.0, 0.1 + step / (RATE_STEPS * loop.steps))
        model.state_share = min(1.0, 0.1 + step / (STATE_RATE_STEPS * loop.steps)) ** 2

    validation = validation_batches(ItemMaker(speech_of(run, "val", seed=0)), cut_to_judge, run.batch, validation_items)
    train(
        run,
        trainer,
        make,
        loss_of,
        validation,
        lambda average: write_averaged(average.vae, run, SYSTEM, SAMPLE_RATE, model_id=str(run.model_id)),
        lambda loss: finish(run, trainer, loss),
        prepare=cut,
        before_step=before_step,
    )
    return run.folder


def finish(run: RdoVaeRun, trainer: Trainer[Coder], validation_loss: float) -> None:
    """Write the model, its image and its card."""
    weights, metadata = read_weights(run.weights)
    sent = {name: len(quantiser_tables(weights, f"{name}_quantiser").kept) for name in ("latent", "state")}
    card = card_of(
        run,
        trainer,
        validation_loss,
        system=SYSTEM,
        sample_rate=SAMPLE_RATE,
        architecture={
            "source": "Valin et al., arXiv 2212.04453",
            "size": run.size,
            "weights": sum(weight.size for weight in weights.values()),
            "precision": "int8 weights and activations, float32 state; tables in whole numbers",
            **asdict(SIZES[run.size]),
            "model_id": run.model_id,
            "sent": sent,
        },
        corpora=SPEECH_CORPORA,
        hours={"hours_of_audio_seen": trainer.step * run.batch * run.seconds / 3_600},
    )
    write_model(run.folder, run.name, run.weights, rdovae_image(weights, metadata), card)
