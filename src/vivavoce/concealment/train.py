"""Training of the feature predictor: speech to features with gaps as calls have them, the run, and what it exports.

The work is done by `vivavoce.training`; this file says what a predictor learns from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vivavoce._core import burg_features, speech_features
from vivavoce.concealment.features import LOST, RECEIVED, TOLD, predictor_inputs
from vivavoce.concealment.image import predictor_image
from vivavoce.concealment.loss import adversarial_loss, prediction_loss
from vivavoce.concealment.model import SIZES, AdversarialPredictor, FeaturePredictor
from vivavoce.signal.cepstrum import HOP, SAMPLE_RATE
from vivavoce.training.corpus import SPEECH_CORPORA
from vivavoce.training.distributed import join
from vivavoce.training.export import read_weights, write_model
from vivavoce.training.loop import LoopConfig, Trainer
from vivavoce.training.run import Run, begin_with, card_of, train, validation_batches, write_averaged
from vivavoce.training.speech import SpeechMaker, speech_of

FRAMES_PER_PACKET = 2
HEARD = 16  # frames before a gap, which the core starts the predictor with
GAP = 20  # frames; nobody can guess further, and what is played has faded
MIN_WEIGHT = 0.12  # of the last frames of a gap: few get so far, but those are heard most
TOLD_SHARE = 0.15  # of the gaps: the frames before were filled by redundancy, back to somewhere
FORESEEN_SHARE, LONG_SHARE = 0.7, 0.5  # of the gaps have their end in sight; of those are as long as one likes
CHOICES, ANYWHERE = 2, 0.3  # of that many places in an item the louder is learned from, but for a part
SYSTEM = "plc"


class ItemMaker:
    """Items of one split: features and Burg cepstra, shape (frames, 20) and (frames, 36)."""

    def __init__(self, speech: SpeechMaker) -> None:
        self.speech = speech

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        """Arrays of item `index`."""
        samples = self.speech.speech(index)
        frames = len(samples) // HOP
        return {"features": speech_features(samples, frames), "burg": burg_features(samples, frames)}


def read_traces(data: Path) -> list[np.ndarray]:
    """The traces of `loss/`, one bool a packet.

    Raises:
        ValueError: There are none, one holds something else than 0 and 1, or in one nothing is lost.
    """
    traces = [np.array(path.read_text().split()) for path in sorted(Path(data, "loss").glob("*.txt"))]
    if not traces or any("1" not in trace or not np.isin(trace, ("0", "1")).all() for trace in traces):
        raise ValueError(f"{data}/loss must hold traces of 0 and 1, one packet a line, with losses")
    return [trace == "1" for trace in traces]


def context_of_loss(traces: Sequence[np.ndarray], random: np.random.Generator, count: int) -> np.ndarray:
    """What is known of the HEARD frames before losses: RECEIVED, LOST or TOLD, shape (count, 16), float32.

    Args:
        traces: One bool a packet; as often as losses begin in one, it is drawn from.
        random: Decides everything.
        count: How many.
    """
    befores = []
    for trace in traces:
        begins = np.flatnonzero(trace & ~np.roll(trace, 1))
        before = begins[:, None] - np.arange(HEARD // FRAMES_PER_PACKET, 0, -1)
        befores.append(np.take(trace, before, mode="wrap"))
    drawn = np.concatenate(befores)[random.integers(sum(map(len, befores)), size=count)]
    known = np.where(np.repeat(drawn, FRAMES_PER_PACKET, axis=1), LOST, RECEIVED).astype(np.float32)
    for row in np.flatnonzero(random.random(count) < TOLD_SHARE):
        known[row, HEARD - int(random.integers(1, HEARD + 1)) :] = TOLD
    return known


def gap_lengths(traces: Sequence[np.ndarray]) -> np.ndarray:
    """Frames of each gap of the traces."""
    lengths = []
    for trace in traces:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], trace, [0]]).astype(int)))
        lengths.append(edges[1::2] - edges[::2])
    return FRAMES_PER_PACKET * np.concatenate(lengths)


def gap_weights(traces: Sequence[np.ndarray]) -> np.ndarray:
    """How much each frame of a gap counts, shape (20,): how many gaps get so far; no less than MIN_WEIGHT."""
    frames = gap_lengths(traces)
    return np.array([max(float((frames > n).mean()), MIN_WEIGHT) for n in range(GAP)], np.float32)


def ends_in_sight(traces: Sequence[np.ndarray], random: np.random.Generator, count: int) -> np.ndarray:
    """Frames of gaps whose end is known when they begin, shape (count,); 0 for one that has none in sight."""
    longest = GAP - 2  # behind it there is one frame that is lost in part, and one that is known
    likely = np.minimum(random.choice(gap_lengths(traces), count), longest)
    drawn = FRAMES_PER_PACKET * random.integers(1, longest // FRAMES_PER_PACKET + 1, count)
    lengths = np.where(random.random(count) < LONG_SHARE, drawn, likely)
    return np.where(random.random(count) < FORESEEN_SHARE, lengths, 0)


def cut(
    items: dict[str, np.ndarray], traces: Sequence[np.ndarray], random: np.random.Generator
) -> dict[str, np.ndarray]:
    """A gap out of each item, after as much as the core analyses before one.

    Returns:
        Inputs, shape (batch, 36, 78); features, shape (batch, 36, 20); lost, how much each frame counts, shape
        (batch, 36).
    """
    features = items["features"]
    batch, length = len(features), HEARD + GAP
    rows = np.arange(batch)
    starts = random.integers(0, features.shape[1] - length + 1, (batch, CHOICES))
    loudest = np.lib.stride_tricks.sliding_window_view(features[..., 0], length, axis=1).max(axis=-1)
    chosen = starts[rows, loudest[rows[:, None], starts].argmax(axis=1)]
    chosen = np.where(random.random(batch) < ANYWHERE, starts[:, 0], chosen)
    known = np.full((batch, length), LOST, np.float32)
    known[:, :HEARD] = context_of_loss(traces, random, batch)
    here = chosen[:, None] + np.arange(length)
    taken = {name: array[rows[:, None], here] for name, array in items.items()}
    ends = ends_in_sight(traces, random, batch)[:, None]
    frame = np.arange(length) - HEARD
    ahead = np.where((ends > 0) & (frame >= 0), np.maximum(ends + 1 - frame, 0), 0)
    foreseen = taken["features"][rows, HEARD + 1 + ends[:, 0]]
    weights = np.concatenate([np.zeros(HEARD, np.float32), gap_weights(traces)])
    return {
        "inputs": predictor_inputs(taken["burg"], taken["features"], known, foreseen, ahead).astype(np.float32),
        "features": taken["features"],
        "lost": np.where(ends > 0, ahead > 0, weights).astype(np.float32),
    }


def loss_of(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch of gaps."""
    features, lost = batch["features"], batch["lost"]
    judged = model(batch["inputs"], features, lost > 0)
    loss, terms = prediction_loss(judged.predicted.float(), features, lost)
    scores = (judged.fooled.float(), judged.made.float(), judged.true.float())
    adversarial, more = adversarial_loss(*scores, lost)
    return loss + adversarial, {**terms, **more}


def train_predictor(run: Run, loop: LoopConfig, validation_items: int) -> Path:
    """Train, or go on training, a feature predictor.

    Args:
        run: `data` also holds the traces, in `loss/`; each time an item is used, it has other gaps.
        loop: How.
        validation_items: Of the split `val`, that every checkpoint is judged by.

    Returns:
        The folder with `weights.safetensors`, the averaged weights, and, under the model's name, the model.

    Raises:
        AudioFileError, ValueError: The corpora, the traces or the weights to begin with are not what they should be.
    """
    processes = join()
    torch.manual_seed(run.seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    traces = read_traces(run.data)
    make = ItemMaker(speech_of(run, "train", run.seed + 1000 * processes.rank))
    predictor = FeaturePredictor(SIZES[run.size])
    if run.init:
        begin_with(predictor, read_weights(run.init)[0], run.init)
    model = AdversarialPredictor(predictor)
    trainer = Trainer(model, loop, run.folder, processes, adversary=model.discriminator)
    judged = ItemMaker(speech_of(run, "val", seed=0))
    validation = validation_batches(
        judged, lambda items, random: cut(items, traces, random), run.batch, validation_items
    )
    train(
        run,
        trainer,
        make,
        loss_of,
        validation,
        lambda average: write_averaged(average.predictor, run, SYSTEM, SAMPLE_RATE),
        lambda loss: finish(run, trainer, loss),
        prepare=lambda items, random: cut(items, traces, random),
    )
    return run.folder


def finish(run: Run, trainer: Trainer[AdversarialPredictor], validation_loss: float) -> None:
    """Write the model, its image and its card."""
    weights, metadata = read_weights(run.weights)
    card = card_of(
        run,
        trainer,
        validation_loss,
        system=SYSTEM,
        sample_rate=SAMPLE_RATE,
        architecture={
            "source": "Valin et al., INTERSPEECH 2022",
            "size": run.size,
            "weights": sum(weight.size for weight in weights.values()),
            "precision": "int8 weights and activations of the GRUs, float32 state",
            **asdict(SIZES[run.size]),
        },
        corpora=SPEECH_CORPORA,
        hours={"hours_of_audio_seen": trainer.step * run.batch * (HEARD + GAP) / 360_000},
    )
    write_model(run.folder, run.name, run.weights, predictor_image(weights, metadata), card)
