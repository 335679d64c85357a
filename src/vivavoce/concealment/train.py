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
from vivavoce.concealment.loss import prediction_loss
from vivavoce.concealment.model import SIZES, FeaturePredictor
from vivavoce.signal.cepstrum import HOP, SAMPLE_RATE
from vivavoce.training.corpus import SPEECH_CORPORA, load_corpus
from vivavoce.training.distributed import join
from vivavoce.training.export import read_weights, write_model, write_weights
from vivavoce.training.loop import Batch, LoopConfig, Trainer
from vivavoce.training.run import Run, card_of, stacked, tensors, train
from vivavoce.training.speech import SpeechConfig, SpeechMaker

FRAMES_PER_PACKET = 2
MAX_LOST = 20  # frames; nobody can guess further, and what is played has faded
TOLD_SHARE = 0.2  # of the gaps: filled by redundancy, up to somewhere
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
        ValueError: There are none, or one holds something else than 0 and 1.
    """
    traces = [np.array(path.read_text().split()) for path in sorted(Path(data, "loss").glob("*.txt"))]
    if not traces or any(not len(trace) or not np.isin(trace, ("0", "1")).all() for trace in traces):
        raise ValueError(f"{data}/loss must hold traces of 0 and 1, one packet a line")
    return [trace == "1" for trace in traces]


def draw_gaps(traces: Sequence[np.ndarray], frames: int, random: np.random.Generator) -> np.ndarray:
    """What is known of each frame: RECEIVED, LOST or TOLD, shape (frames,), float32.

    Args:
        traces: One bool a packet.
        frames: How many.
        random: Decides everything.
    """
    trace = traces[int(random.integers(len(traces)))]
    packets = -(-frames // FRAMES_PER_PACKET) + 1
    lost = np.take(trace, int(random.integers(len(trace))) + np.arange(packets), mode="wrap")
    lost = np.repeat(lost, FRAMES_PER_PACKET)[int(random.integers(FRAMES_PER_PACKET)) :][:frames]
    known = np.full(frames, RECEIVED, np.float32)
    run, told = 0, 0
    for frame in np.flatnonzero(lost):
        run = run + 1 if frame and known[frame - 1] != RECEIVED else 1
        if run == 1:
            told = int(random.integers(1, MAX_LOST)) if random.random() < TOLD_SHARE else 0
        if run <= told:
            known[frame] = TOLD
        elif run - told <= MAX_LOST:
            known[frame] = LOST
    return known


def cut(
    items: dict[str, np.ndarray], traces: Sequence[np.ndarray], random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Items with gaps: inputs, shape (batch, frames, 57); features; lost, shape (batch, frames)."""
    features = items["features"]
    known = np.stack([draw_gaps(traces, features.shape[1], random) for _ in features])
    inputs = predictor_inputs(items["burg"], features, known).astype(np.float32)
    return {"inputs": inputs, "features": features, "lost": (known == LOST).astype(np.float32)}


def loss_of(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch of items."""
    return prediction_loss(model(batch["inputs"]).float(), batch["features"], batch["lost"])


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
    make = ItemMaker(_speech(run, "train", run.seed + 1000 * processes.rank))
    model = FeaturePredictor(SIZES[run.size])
    if run.init:
        model.load_state_dict(tensors(read_weights(run.init)[0]))
    trainer = Trainer(model, loop, run.folder, processes)
    train(
        run,
        trainer,
        make,
        loss_of,
        _validation(run, traces, validation_items),
        lambda average: export(average, run),
        lambda loss: finish(run, trainer, loss),
        prepare=lambda items, random: cut(items, traces, random),
    )
    return run.folder


def export(model: FeaturePredictor, run: Run) -> None:
    """Write the weights."""
    weights = {name: weight.float().cpu().numpy() for name, weight in model.state_dict().items()}
    write_weights(run.weights, weights, {"system": SYSTEM, "name": run.name, "sample_rate": str(SAMPLE_RATE)})


def finish(run: Run, trainer: Trainer[FeaturePredictor], validation_loss: float) -> None:
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
        hours={"hours_of_audio_seen": trainer.step * run.batch * run.seconds / 3600},
    )
    write_model(run.folder, run.name, run.weights, predictor_image(weights, metadata), card)


def _speech(run: Run, split: str, seed: int) -> SpeechMaker:
    config = SpeechConfig(seconds=run.seconds)
    return SpeechMaker(load_corpus(run.data, SPEECH_CORPORA, split, run.cache), config, seed)


def _validation(run: Run, traces: Sequence[np.ndarray], count: int) -> list[Batch]:
    """Batches of the split `val`, always the same."""
    make = ItemMaker(_speech(run, "val", seed=0))
    items = [make(index) for index in range(count)]
    return [
        tensors(cut(stacked(items[at : at + run.batch]), traces, np.random.default_rng(at)))
        for at in range(0, count, run.batch)
    ]
