"""Training of FARGAN: its loss, the run, and what it exports.

The work is done by `vivavoce.training`. As in the paper there is no
teacher forcing: each sequence begins with two frames that are known, and then hears itself alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vivavoce.signal.cepstrum import HOP, SAMPLE_RATE
from vivavoce.training.corpus import SPEECH_CORPORA
from vivavoce.training.distributed import join
from vivavoce.training.export import read_weights, write_model
from vivavoce.training.loop import LoopConfig, Trainer
from vivavoce.training.precision import matrix_precision
from vivavoce.training.run import Arrays, Run, begin_with, card_of, train, validation_batches, write_averaged
from vivavoce.training.speech import speech_of
from vivavoce.vocoder.contest import Contest
from vivavoce.vocoder.fargan import SIZES, Fargan, Heard
from vivavoce.vocoder.fargan_image import fargan_image
from vivavoce.vocoder.loss import vocoder_loss
from vivavoce.vocoder.sequences import PRIMED, ItemMaker, cut

SYSTEM = "fargan"
WHOLE = slice(None)


@dataclass(frozen=True)
class FarganRun(Run):
    """A training run.

    Attributes:
        frames: Length of a sequence, without those that are known; an item is cut into as many as `echo` says.
        adversarial: Weight of adversaries that learn with it, see `vocoder.contest`; 0 for none.
        compiled: Whether the step of a frame is compiled: twice as fast, after two minutes; takes a C++ compiler.
    """

    frames: int = 15
    adversarial: float = 0.0
    compiled: bool = True


def loss_of(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch of sequences."""
    heard = {name: array for name, array in batch.items() if name != "samples"}
    precision = matrix_precision(batch["samples"].device)  # twice as fast, and int8 will be coarser
    made, contest, more = model(batch["samples"], WHOLE, Heard(**heard), PRIMED, precision)
    loss, terms = vocoder_loss(made, batch["samples"], PRIMED * HOP, HOP)
    return loss + contest, {**terms, **more}


def train_fargan(run: FarganRun, loop: LoopConfig, validation_items: int) -> Path:
    """Train, or go on training, a FARGAN.

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
    model = Fargan(SIZES[run.size])
    if run.init:
        begin_with(model, read_weights(run.init)[0], run.init)
    model.postfilter.requires_grad_(False)

    def prepared(items: Arrays, random: np.random.Generator) -> Arrays:
        return cut(items, run.frames, random)

    judged, share = ItemMaker(speech_of(run, "val", seed=0)), max(1, run.batch // processes.count)
    validation = validation_batches(judged, prepared, share, validation_items)
    contest = Contest(model, run.adversarial, (PRIMED + run.frames) * HOP)
    trainer = Trainer(contest, loop, run.folder, processes, model.matrices(), contest.adversary)
    if run.compiled:
        model.step = trainer.average.maker.step = torch.compile(model.step, dynamic=False)
    train(
        run,
        trainer,
        make,
        loss_of,
        validation,
        lambda average: write_averaged(average.maker, run, SYSTEM, SAMPLE_RATE),
        lambda loss: finish(run, trainer, loss),
        prepare=prepared,
    )
    return run.folder


def finish(run: FarganRun, trainer: Trainer[Contest[Fargan]], validation_loss: float) -> None:
    """Write the model, its image and its card."""
    weights, metadata = read_weights(run.weights)
    card = card_of(
        run,
        trainer,
        validation_loss,
        system=SYSTEM,
        sample_rate=SAMPLE_RATE,
        architecture={
            "source": "Valin et al., arXiv 2405.21069",
            "size": run.size,
            "weights": sum(weight.size for weight in weights.values()),
            "precision": "int8 weights and activations within sub-frames, float32 state",
            **asdict(SIZES[run.size]),
        },
        corpora=SPEECH_CORPORA,
        hours={"hours_of_audio_seen": trainer.step * run.batch * run.frames / 360_000},
    )
    write_model(run.folder, run.name, run.weights, fargan_image(weights, metadata), card)
