"""Training of FARGAN: speech to features and samples, the run, and what it exports.

The work is done by `vivavoce.training`; this file says what a vocoder learns from it. As in the paper there is no
teacher forcing: each sequence begins with two frames that are known, and then hears itself alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vivavoce._core import speech_features
from vivavoce.signal.cepstrum import HOP, SAMPLE_RATE, preemphasise
from vivavoce.training.corpus import SPEECH_CORPORA, load_corpus
from vivavoce.training.distributed import Processes, join
from vivavoce.training.export import LICENCES, read_weights, source_revision, write_model, write_weights
from vivavoce.training.loop import LoopConfig, Trainer
from vivavoce.training.pool import ItemPool
from vivavoce.training.speech import SpeechConfig, SpeechMaker
from vivavoce.vocoder.fargan import CONTEXT, MEMORY, SIZES, Fargan
from vivavoce.vocoder.image import fargan_image
from vivavoce.vocoder.loss import vocoder_loss

PRIMED = 2  # frames
HISTORY = -(-MEMORY // HOP)  # frames before them that the pitch prediction looks at
CHOICES = 2  # of that many places in an item, the louder is learned from: pauses say little
PRECISION = torch.bfloat16  # of matrix products: twice as fast, and int8 will be coarser
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class FarganRun:
    """A training run.

    Attributes:
        data: Folder of the corpora.
        cache: Where decoded corpora are kept.
        folder: Of checkpoint, log and weights.
        name: Of the model.
        size: A name of SIZES.
        init: Weights to begin with.
        batch: Sequences of a step, over all processes.
        frames: Length of a sequence, without those that are known.
        echo: How many sequences are cut out of an item on average.
        window: Batches that sequences are drawn from.
        workers: Processes that make items, for each process that trains.
        compiled: Whether the step of a frame is compiled: twice as fast, after two minutes; takes a C++ compiler.
        seed: Of items, draws and first weights.
        validation_items: Of the split `val`, that every checkpoint is judged by.
    """

    data: Path
    cache: Path
    folder: Path
    name: str = "fargan"
    size: str = "base"
    init: Path | None = None
    batch: int = 64
    frames: int = 15
    echo: int = 16
    window: int = 16
    workers: int = 1
    compiled: bool = True
    seed: int = 1
    validation_items: int = 128


class ItemMaker:
    """Items of one split: features and pre-emphasised samples."""

    def __init__(self, speech: SpeechMaker) -> None:
        self.speech = speech

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        """Arrays of item `index`: features, shape (frames, 20), float32; samples, shape (160 * frames,), float32."""
        samples = self.speech.speech(index)
        frames = len(samples) // HOP
        sharp = preemphasise(samples[: frames * HOP].astype(np.float64))
        return {"features": speech_features(samples, frames), "samples": sharp.astype(np.float32)}


def cut(items: dict[str, np.ndarray], frames: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """A sequence out of each item.

    Args:
        items: Features, shape (batch, frames of an item, 20); samples, shape (batch, 160 * frames of an item).
        frames: Of a sequence, without those that are known.
        random: Says which.

    Returns:
        Features, shape (batch, 2 + frames + 2, 20); samples, shape (batch, 258 + 160 * (2 + frames)), of which the
        first 258 are the past.
    """
    features, samples = items["features"], items["samples"]
    length = PRIMED + frames
    last = features.shape[1] - length - CONTEXT
    starts = random.integers(HISTORY, last + 1, (len(features), CHOICES))
    energies = features[..., 0].cumsum(axis=1)
    rows = np.arange(len(features))
    loudness = energies[rows[:, None], starts + length] - energies[rows[:, None], starts]
    chosen = starts[rows, loudness.argmax(axis=1)]
    told = [row[at - CONTEXT : at + length + CONTEXT] for row, at in zip(features, chosen, strict=True)]
    heard = [row[at * HOP - MEMORY : (at + length) * HOP] for row, at in zip(samples, chosen, strict=True)]
    return {"features": np.stack(told), "samples": np.stack(heard)}


def loss_of(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch of sequences."""
    past, truth = batch["samples"][:, :MEMORY], batch["samples"][:, MEMORY:]
    known = PRIMED * HOP
    made = model(batch["features"], past, PRIMED, truth[:, :known], PRECISION)
    return vocoder_loss(made, truth, known, HOP)


def train_fargan(run: FarganRun, loop: LoopConfig) -> Path:
    """Train, or go on training, a FARGAN.

    Returns:
        The folder with `weights.safetensors`, the averaged weights, and, under the model's name, the model.

    Raises:
        AudioFileError, ValueError: The corpora or the weights to begin with are not what they should be.
    """
    processes = join()
    torch.manual_seed(run.seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    make = ItemMaker(_speech(run, "train", run.seed + 1000 * processes.rank))
    model = Fargan(SIZES[run.size])
    if run.init:
        weights = read_weights(run.init)[0]
        model.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    validation = _validation(run, processes)
    trainer = Trainer(model, loop, run.folder, processes, model.matrices())
    if run.compiled:
        model.step = trainer.average.step = torch.compile(model.step, dynamic=False)

    def at_checkpoint(trainer: Trainer[Fargan]) -> None:
        export(trainer.average, run)
        print(f"step {trainer.step}: validation loss {_validate(trainer, validation):.4f}", flush=True)

    share = max(1, run.batch // processes.count)
    pool = ItemPool(
        make,
        batch=share,
        window=share * (1 if run.echo == 1 else run.window),
        echo=run.echo,
        seed=run.seed + processes.rank,
        workers=run.workers,
        first_step=trainer.step,
    )

    def batch_of(step: int) -> dict[str, np.ndarray]:
        return cut(pool.batch(step), run.frames, np.random.default_rng([run.seed, processes.rank, step]))

    with pool:
        trainer.run(batch_of, loss_of, at_checkpoint=at_checkpoint)
    if processes.first:  # also where the run was killed between its last checkpoint and this
        export(trainer.average, run)
        finish(run, trainer, _validate(trainer, validation))
    processes.leave()
    return run.folder


def export(model: Fargan, run: FarganRun) -> None:
    """Write the weights."""
    weights = {name: weight.float().cpu().numpy() for name, weight in model.state_dict().items()}
    metadata = {"system": "fargan", "name": run.name, "size": run.size, "sample_rate": str(SAMPLE_RATE)}
    write_weights(run.folder / WEIGHTS, weights, metadata)


def finish(run: FarganRun, trainer: Trainer[Fargan], validation_loss: float) -> None:
    """Write the model, its image and its card."""
    weights, metadata = read_weights(run.folder / WEIGHTS)
    card = {
        "system": "fargan",
        "architecture": {
            "source": "Valin et al., arXiv 2405.21069",
            "size": run.size,
            "precision": "int8 weights and activations within sub-frames, float32 state",
            "weights": sum(weight.size for weight in weights.values()),
            **asdict(SIZES[run.size]),
        },
        "sample_rate": SAMPLE_RATE,
        "data": {name: LICENCES[name] for name in SPEECH_CORPORA},
        "splits": {"train": "weights", "val": "validation loss"},
        "recipe": "recipes/fargan.sh",
        "source_revision": source_revision(),
        "begun_from": run.init.name if run.init else None,
        "steps": trainer.step,
        "hours_of_audio_seen": round(trainer.step * run.batch * run.frames / 360_000, 1),
        "device": trainer.processes.device.type,
        "metrics": {"validation_loss": round(validation_loss, 4)},
        "licence": "BSD-2-Clause",
    }
    write_model(run.folder, run.name, run.folder / WEIGHTS, fargan_image(weights, metadata), card)


def _speech(run: FarganRun, split: str, seed: int) -> SpeechMaker:
    return SpeechMaker(load_corpus(run.data, SPEECH_CORPORA, split, run.cache), SpeechConfig(), seed)


def _validation(run: FarganRun, processes: Processes) -> list[dict[str, Tensor]]:
    """Batches of the split `val`, always the same."""
    make = ItemMaker(_speech(run, "val", seed=0))
    items = [make(index) for index in range(run.validation_items)]
    share = max(1, run.batch // processes.count)  # the size that the step is compiled for
    batches = []
    for at in range(0, len(items) - share + 1, share):
        stacked = {name: np.stack([item[name] for item in items[at : at + share]]) for name in items[0]}
        sequences = cut(stacked, run.frames, np.random.default_rng(at))
        batches.append({name: torch.from_numpy(array).to(processes.device) for name, array in sequences.items()})
    return batches


@torch.no_grad()
def _validate(trainer: Trainer[Fargan], batches: list[dict[str, Tensor]]) -> float:
    return float(torch.stack([loss_of(trainer.average, batch)[0] for batch in batches]).mean())
