"""Training of FARGAN's spectral postfilter, on what its engine makes of the features of speech."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vivavoce._core import Model, speech_features
from vivavoce.signal.cepstrum import HOP, PREEMPHASIS, SAMPLE_RATE
from vivavoce.training.distributed import join
from vivavoce.training.export import read_weights, source_revision, write_model, write_weights
from vivavoce.training.loop import LoopConfig, Trainer
from vivavoce.training.run import Arrays, Run, begin_with, train, validation_batches
from vivavoce.training.speech import SpeechMaker, speech_of
from vivavoce.vocoder.contest import Contest
from vivavoce.vocoder.disturbance import disturbance, loudness_distance
from vivavoce.vocoder.fargan import SIZES, Fargan
from vivavoce.vocoder.fargan_image import fargan_image
from vivavoce.vocoder.loss import spectral_convergence
from vivavoce.vocoder.spectral_postfilter import DELAY, SpectralPostfilter
from vivavoce.vocoder.synthesis import synthesise

PREFIX = "postfilter."
EDGE = DELAY * HOP  # samples at either end of a sequence that are not whole
DISTURBANCE_WEIGHT = 0.4


@dataclass(frozen=True)
class PostfilterRun(Run):
    """A training run; `init` is the FARGAN whose postfilter is trained, with its card beside it.

    Attributes:
        frames: Length of a sequence; an item is cut into as many as `echo` says.
        adversarial: Weight of adversaries that learn with it, see `vocoder.contest`; 0 for none.
    """

    frames: int = 80
    adversarial: float = 0.0


class MadeMaker:
    """Items of one split: features, what FARGAN makes of them, and the truth.

    Args:
        speech: Makes the truth.
        weights: A checkpoint of `vocoder.fargan.Fargan`; its postfilter does not count.
        metadata: Of the checkpoint.
    """

    def __init__(self, speech: SpeechMaker, weights: Arrays, metadata: dict[str, str]) -> None:
        self.speech = speech
        bare = {name: 0 * weight if name.startswith(PREFIX) else weight for name, weight in weights.items()}
        self.model = Model.from_bytes(fargan_image(bare, metadata))

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        """Features, shape (frames + 1, 20), and samples made and true, shape (160 * frames,), float32."""
        truth = self.speech.speech(index)
        frames = len(truth) // HOP - 1
        features = speech_features(truth, frames + 1)
        made = synthesise(self.model, features)
        return {"features": features, "made": made, "truth": truth[: frames * HOP].astype(np.float32)}


def cut_made(items: Arrays, frames: int, random: np.random.Generator) -> Arrays:
    """A sequence out of each item of `MadeMaker`, stacked, with one more feature before it and one at its end."""
    starts = random.integers(1, items["features"].shape[1] - frames, len(items["features"]))
    features = [row[at - 1 : at + frames + 1] for row, at in zip(items["features"], starts, strict=True)]
    samples = {
        name: np.stack([row[at * HOP : (at + frames) * HOP] for row, at in zip(items[name], starts, strict=True)])
        for name in ("made", "truth")
    }
    return {"features": np.stack(features), **samples}


def loss_of(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch of sequences: what is heard, and spectra with and without pre-emphasis."""
    inner = slice(EDGE, -EDGE)
    made, contest, more = model(batch["truth"], inner, batch["made"], batch["features"])
    made, truth = made[:, inner], batch["truth"][:, inner]
    loudness = loudness_distance(made, truth, SAMPLE_RATE)
    spectral = (spectral_convergence(made, truth) + spectral_convergence(_sharp(made), _sharp(truth))) / 2
    heard = disturbance(made, truth, SAMPLE_RATE)
    terms = {"disturbance": heard, "loudness": loudness, "spectral": spectral}
    loss = DISTURBANCE_WEIGHT * heard + loudness + spectral + contest
    return loss, {**{name: term.detach() for name, term in terms.items()}, **more}


def _sharp(samples: Tensor) -> Tensor:
    return samples[:, 1:] - PREEMPHASIS * samples[:, :-1]


def train_postfilter(run: PostfilterRun, loop: LoopConfig, validation_items: int) -> Path:
    """Train, or go on training, the spectral postfilter of a FARGAN.

    Args:
        run: What is trained.
        loop: How.
        validation_items: Of the split `val`, that every checkpoint is judged by.

    Returns:
        The folder with `weights.safetensors`, all weights of FARGAN with the averaged ones of its postfilter, and,
        under the model's name, the model.

    Raises:
        AudioFileError, OSError, ValueError: The corpora or the FARGAN to begin with are not what they should be.
    """
    weights, metadata, card = _fargan_of(run)
    fargan = Fargan(SIZES[metadata["size"]])
    begin_with(fargan, weights, run.init or Path())
    processes = join()
    torch.manual_seed(run.seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    contest = Contest(fargan.postfilter, run.adversarial, run.frames * HOP - 2 * EDGE)
    matrices = fargan.postfilter.matrices()
    trainer = Trainer(contest, loop, run.folder, processes, matrices, contest.adversary)

    def maker(split: str, seed: int) -> MadeMaker:
        return MadeMaker(speech_of(run, split, seed), weights, metadata)

    def prepared(items: Arrays, random: np.random.Generator) -> Arrays:
        return cut_made(items, run.frames, random)

    def export(average: Contest[SpectralPostfilter]) -> None:
        trained = average.maker.state_dict()
        trained = {PREFIX + name: weight.float().cpu().numpy() for name, weight in trained.items()}
        write_weights(run.weights, weights | trained, metadata | {"name": run.name})

    share = max(1, run.batch // processes.count)
    validation = validation_batches(maker("val", 0), prepared, share, validation_items)
    train(
        run,
        trainer,
        maker("train", run.seed + 1000 * processes.rank),
        loss_of,
        validation,
        export,
        lambda loss: finish(run, trainer, card, loss),
        prepare=prepared,
    )
    return run.folder


def _fargan_of(run: PostfilterRun) -> tuple[Arrays, dict[str, str], dict[str, Any]]:
    """Weights, metadata and card of the FARGAN that a run begins with.

    Raises:
        OSError: One cannot be read.
        ValueError: They are none of a FARGAN, or the run's sequences are longer than its items.
    """
    if run.init is None:
        raise ValueError("a postfilter is trained behind a FARGAN: init must name its weights")
    if (run.frames + 2) * HOP >= run.seconds * SAMPLE_RATE:
        raise ValueError(f"a sequence of {run.frames} frames is too long for items of {run.seconds:g} s")
    weights, metadata = read_weights(run.init)
    if metadata.get("system") != "fargan" or metadata.get("size") not in SIZES:
        raise ValueError(f"{run.init}: no weights of a FARGAN")
    return weights, metadata, json.loads(run.init.with_suffix(".json").read_text())


def finish(
    run: PostfilterRun, trainer: Trainer[Contest[SpectralPostfilter]], card: dict[str, Any], validation_loss: float
) -> None:
    """Write the model, its image and its card: that of the FARGAN, with how its postfilter was trained."""
    of_postfilter = {
        "recipe": "recipes/fargan-postfilter.sh",
        "source_revision": source_revision(),
        "steps": trainer.step,
        "hours_of_audio_seen": round(trainer.step * run.batch * run.frames / 360_000, 1),
        "validation_loss": round(validation_loss, 4),
    }
    image = fargan_image(*read_weights(run.weights))
    write_model(run.folder, run.name, run.weights, image, card | {"name": run.name, "postfilter": of_postfilter})
