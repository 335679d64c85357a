"""Training of LPCNet: its loss, the run, and what it exports.

Each sample is told the true ones before it, with a little noise: in synthesis they will not be perfect either.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vivavoce.signal.cepstrum import SAMPLE_RATE
from vivavoce.training.corpus import SPEECH_CORPORA
from vivavoce.training.distributed import join
from vivavoce.training.export import read_weights, write_model
from vivavoce.training.loop import LoopConfig, Trainer
from vivavoce.training.run import Arrays, Run, begin_with, card_of, train, validation_batches, write_averaged
from vivavoce.training.speech import speech_of
from vivavoce.vocoder.lpcnet import SIZES, Lpcnet, bits_of, sampled
from vivavoce.vocoder.lpcnet_image import lpcnet_image
from vivavoce.vocoder.sequences import PRIMED, ItemMaker, cut

SYSTEM = "lpcnet"
MAX_NOISE = 0.3  # of the level, in the past
UNHEARD = 80  # samples at the beginning of a sequence, until the GRUs know where they are


@dataclass(frozen=True)
class LpcnetRun(Run):
    """A training run.

    Attributes:
        frames: Length of a sequence; an item is cut into as many as `echo` says.
    """

    frames: int = 15


def loss_of(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch of sequences: bits a sample, beyond the first 5 ms."""
    samples = batch["samples"]
    heard = sampled(
        *(batch["features"], batch["predictions"], batch["levels"], samples, batch["samples_before"], batch["past"]),
        noise=batch.get("noise", torch.zeros_like(samples)),
    )
    logits = model(heard)
    nats = functional.binary_cross_entropy_with_logits(logits, bits_of(heard.target).to(logits.dtype), reduction="none")
    return nats.sum(-1)[UNHEARD:].mean() / math.log(2), {}


def with_noise(batch: dict[str, np.ndarray], random: np.random.Generator) -> dict[str, np.ndarray]:
    """The batch, with noise for the past of each sequence, relative to the level; validation has none."""
    shape = batch["samples"].shape
    noise = random.uniform(0, MAX_NOISE, (shape[0], 1)) * random.standard_normal(shape)
    return batch | {"noise": noise.astype(np.float32)}


def train_lpcnet(run: LpcnetRun, loop: LoopConfig, validation_items: int) -> Path:
    """Train, or go on training, an LPCNet.

    Args:
        run: What is trained.
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
    make = ItemMaker(speech_of(run, "train", run.seed + 1000 * processes.rank))
    model = Lpcnet(SIZES[run.size])
    if run.init:
        begin_with(model, read_weights(run.init)[0], run.init)

    def prepared(items: Arrays, random: np.random.Generator) -> Arrays:
        return cut(items, run.frames, random)

    judged, share = ItemMaker(speech_of(run, "val", seed=0)), max(1, run.batch // processes.count)
    validation = validation_batches(judged, prepared, share, validation_items)
    trainer = Trainer(model, loop, run.folder, processes)
    train(
        run,
        trainer,
        make,
        loss_of,
        validation,
        lambda average: write_averaged(average, run, SYSTEM, SAMPLE_RATE),
        lambda loss: finish(run, trainer, loss),
        prepare=lambda items, random: with_noise(prepared(items, random), random),
    )
    return run.folder


def finish(run: LpcnetRun, trainer: Trainer[Lpcnet], validation_loss: float) -> None:
    """Write the model, its image and its card."""
    weights, metadata = read_weights(run.weights)
    card = card_of(
        run,
        trainer,
        validation_loss,
        system=SYSTEM,
        sample_rate=SAMPLE_RATE,
        architecture={
            "source": "Valin and Skoglund, ICASSP 2019; Subramani et al., INTERSPEECH 2022",
            "size": run.size,
            "weights": sum(weight.size for weight in weights.values()),
            "precision": "float32, but int8 in the convolution and the conditioning layer",
            **asdict(SIZES[run.size]),
        },
        corpora=SPEECH_CORPORA,
        hours={"hours_of_audio_seen": trainer.step * run.batch * (PRIMED + run.frames) / 360_000},
    )
    write_model(run.folder, run.name, run.weights, lpcnet_image(weights, metadata), card)
