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

from vivavoce._core import lpc_of_cepstrum, speech_features
from vivavoce.signal.cepstrum import BARK_BANDS, HOP, LPC_ORDER, SAMPLE_RATE, preemphasise
from vivavoce.training.corpus import SPEECH_CORPORA
from vivavoce.training.distributed import join
from vivavoce.training.export import read_weights, write_model, write_weights
from vivavoce.training.loop import Batch, LoopConfig, Trainer
from vivavoce.training.run import Run, card_of, stacked, tensors, train
from vivavoce.training.speech import SpeechMaker, speech_of
from vivavoce.vocoder.fargan import CONTEXT, MEMORY, SIZES, SUBFRAME, SUBFRAMES, Fargan, Heard
from vivavoce.vocoder.image import fargan_image
from vivavoce.vocoder.loss import vocoder_loss

PRIMED = 2  # frames
HISTORY = -(-MEMORY // HOP)  # frames before them that the pitch prediction looks at
CHOICES = 2  # of that many places in an item, the louder is learned from: pauses say little
PRECISION = torch.bfloat16  # of matrix products: twice as fast, and int8 will be coarser
SYSTEM = "fargan"


@dataclass(frozen=True)
class FarganRun(Run):
    """A training run.

    Attributes:
        frames: Length of a sequence, without those that are known; an item is cut into as many as `echo` says.
        compiled: Whether the step of a frame is compiled: twice as fast, after two minutes; takes a C++ compiler.
    """

    frames: int = 15
    compiled: bool = True


class ItemMaker:
    """Items of one split: features, and speech as excitation of its linear prediction."""

    def __init__(self, speech: SpeechMaker) -> None:
        self.speech = speech

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        """Arrays of item `index`, float32.

        Features, shape (frames, 20); predictions, shape (frames, 4, 16); levels, shape (frames, 4); samples,
        pre-emphasised, and excitation, shape (160 * frames,). The last frame has no prediction.
        """
        samples = self.speech.speech(index)
        frames = len(samples) // HOP
        features = speech_features(samples, frames)
        predictions, levels = subframe_predictions(features)
        sharp = preemphasise(samples[: frames * HOP].astype(np.float64)).astype(np.float32)
        return {
            "features": features,
            "predictions": predictions,
            "levels": levels,
            "samples": sharp,
            "excitation": excitation_of(sharp, predictions),
        }


def subframe_predictions(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear prediction and level of the excitation of each sub-frame, from cepstra that go over from frame to frame.

    Args:
        features: Shape (frames, 20), float32.

    Returns:
        Shape (frames, 4, 16) and (frames, 4), float32; zeros in the last frame, of which the end is not known.
    """
    cepstra = features[:, :BARK_BANDS]
    steps = ((2 * np.arange(SUBFRAMES) + 1) / (2 * SUBFRAMES))[:, None].astype(np.float32)
    between = cepstra[:-1, None] + steps * (cepstra[1:, None] - cepstra[:-1, None])
    predictions, levels = lpc_of_cepstrum(np.ascontiguousarray(between.reshape(-1, BARK_BANDS)))
    return (
        np.pad(predictions.reshape(-1, SUBFRAMES, LPC_ORDER), ((0, 1), (0, 0), (0, 0))),
        np.pad(levels.reshape(-1, SUBFRAMES), ((0, 1), (0, 0))),
    )


def excitation_of(samples: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """What the predictions leave of pre-emphasised samples, silent before: shape (160 * frames,)."""
    blocks = samples.reshape(*predictions.shape[:2], SUBFRAME)
    padded = np.pad(samples, (LPC_ORDER, 0))
    excitation = blocks.copy()
    for k in range(LPC_ORDER):
        past = padded[LPC_ORDER - 1 - k : LPC_ORDER - 1 - k + len(samples)].reshape(blocks.shape)
        excitation -= predictions[..., k : k + 1] * past
    return excitation.reshape(-1)


def cut(items: dict[str, np.ndarray], frames: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """A sequence out of each item.

    Args:
        items: Those of `ItemMaker`, stacked.
        frames: Of a sequence, without those that are known.
        random: Says which.

    Returns:
        What `vocoder.fargan.Heard` has, of PRIMED + frames frames, and the true samples.
    """
    features = items["features"]
    length = PRIMED + frames
    last = features.shape[1] - length - CONTEXT
    starts = random.integers(HISTORY, last + 1, (len(features), CHOICES))
    energies = features[..., 0].cumsum(axis=1)
    rows = np.arange(len(features))
    loudness = energies[rows[:, None], starts + length] - energies[rows[:, None], starts]
    chosen = starts[rows, loudness.argmax(axis=1)]

    def take(name: str, before: int, count: int, unit: int) -> np.ndarray:
        """`count` entries of each item, the first so many before the start of the sequence."""
        return np.stack(
            [row[at * unit - before : at * unit - before + count] for row, at in zip(items[name], chosen, strict=True)]
        )

    return {
        "features": take("features", CONTEXT, length + 2 * CONTEXT, 1),
        "predictions": take("predictions", 0, length, 1),
        "levels": take("levels", 0, length, 1),
        "past": take("excitation", MEMORY, MEMORY, HOP),
        "samples_before": take("samples", LPC_ORDER, LPC_ORDER, HOP)[:, ::-1].copy(),
        "excitation": take("excitation", 0, length * HOP, HOP),
        "samples": take("samples", 0, length * HOP, HOP),
    }


def loss_of(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch of sequences."""
    heard = {name: array for name, array in batch.items() if name != "samples"}
    made = model(Heard(**heard), PRIMED, PRECISION)
    return vocoder_loss(made, batch["samples"], PRIMED * HOP, HOP)


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
        model.load_state_dict(tensors(read_weights(run.init)[0]))
    validation = _validation(run, max(1, run.batch // processes.count), validation_items)
    trainer = Trainer(model, loop, run.folder, processes, model.matrices())
    if run.compiled:
        model.step = trainer.average.step = torch.compile(model.step, dynamic=False)
    train(
        run,
        trainer,
        make,
        loss_of,
        validation,
        lambda average: export(average, run),
        lambda loss: finish(run, trainer, loss),
        prepare=lambda items, random: cut(items, run.frames, random),
    )
    return run.folder


def export(model: Fargan, run: Run) -> None:
    """Write the weights."""
    weights = {name: weight.float().cpu().numpy() for name, weight in model.state_dict().items()}
    metadata = {"system": SYSTEM, "name": run.name, "size": run.size, "sample_rate": str(SAMPLE_RATE)}
    write_weights(run.weights, weights, metadata)


def finish(run: FarganRun, trainer: Trainer[Fargan], validation_loss: float) -> None:
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


def _validation(run: FarganRun, batch: int, count: int) -> list[Batch]:
    """Batches of the split `val`, always the same, and of the one size that the step is compiled for."""
    make = ItemMaker(speech_of(run, "val", seed=0))
    items = [make(index) for index in range(count // batch * batch)]
    return [
        tensors(cut(stacked(items[at : at + batch]), run.frames, np.random.default_rng(at)))
        for at in range(0, len(items), batch)
    ]
