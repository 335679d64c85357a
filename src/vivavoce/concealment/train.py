"""Training of the feature predictor: speech to features with gaps as calls have them, the run, and what it exports.

The work is done by `vivavoce.training`; this file says what a predictor learns from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from vivavoce.training.export import LICENCES, read_weights, source_revision, write_model, write_weights
from vivavoce.training.loop import LoopConfig, Trainer
from vivavoce.training.pool import ItemPool
from vivavoce.training.speech import SpeechConfig, SpeechMaker

FRAMES_PER_PACKET = 2
MAX_LOST = 20  # frames; nobody can guess further, and what is played has faded
TOLD_SHARE = 0.2  # of the gaps: filled by redundancy, up to somewhere
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class PredictorRun:
    """A training run.

    Attributes:
        data: Folder of the corpora, and of the traces in `loss/`.
        cache: Where decoded corpora are kept.
        folder: Of checkpoint, log and weights.
        name: Of the model.
        size: A name of SIZES.
        init: Weights to begin with.
        batch: Items of a step, over all processes.
        seconds: Length of an item.
        echo: How often an item is used on average, each time with other gaps.
        window: Batches that items are drawn from, where they are used again.
        workers: Processes that make items, for each process that trains.
        seed: Of items, draws and first weights.
        validation_items: Of the split `val`, that every checkpoint is judged by.
    """

    data: Path
    cache: Path
    folder: Path
    name: str = "plc"
    size: str = "base"
    init: Path | None = None
    batch: int = 64
    seconds: float = 2.0
    echo: int = 4
    window: int = 16
    workers: int = 1
    seed: int = 1
    validation_items: int = 128


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


def train_predictor(run: PredictorRun, loop: LoopConfig) -> Path:
    """Train, or go on training, a feature predictor.

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
        weights = read_weights(run.init)[0]
        model.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    validation = _validation(run, traces)
    trainer = Trainer(model, loop, run.folder, processes)

    def at_checkpoint(trainer: Trainer[FeaturePredictor]) -> None:
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
        return cut(pool.batch(step), traces, np.random.default_rng([run.seed, processes.rank, step]))

    with pool:
        trainer.run(batch_of, loss_of, at_checkpoint=at_checkpoint)
    if processes.first:  # also where the run was killed between its last checkpoint and this
        export(trainer.average, run)
        finish(run, trainer, _validate(trainer, validation))
    processes.leave()
    return run.folder


def export(model: FeaturePredictor, run: PredictorRun) -> None:
    """Write the weights."""
    weights = {name: weight.float().cpu().numpy() for name, weight in model.state_dict().items()}
    metadata = {"system": "plc", "name": run.name, "sample_rate": str(SAMPLE_RATE)}
    write_weights(run.folder / WEIGHTS, weights, metadata)


def finish(run: PredictorRun, trainer: Trainer[FeaturePredictor], validation_loss: float) -> None:
    """Write the model, its image and its card."""
    weights, metadata = read_weights(run.folder / WEIGHTS)
    card = {
        "system": "plc",
        "architecture": {
            "source": "Valin et al., INTERSPEECH 2022",
            "size": run.size,
            "weights": sum(weight.size for weight in weights.values()),
            "precision": "int8 weights and activations, float32 state",
            **asdict(SIZES[run.size]),
        },
        "sample_rate": SAMPLE_RATE,
        "data": {name: LICENCES[name] for name in SPEECH_CORPORA},
        "splits": {"train": "weights", "val": "validation loss"},
        "recipe": "recipes/plc.sh",
        "source_revision": source_revision(),
        "begun_from": run.init.name if run.init else None,
        "steps": trainer.step,
        "hours_of_audio_seen": round(trainer.step * run.batch * run.seconds / 3600, 1),
        "device": trainer.processes.device.type,
        "metrics": {"validation_loss": round(validation_loss, 4)},
        "licence": "BSD-2-Clause",
    }
    write_model(run.folder, run.name, run.folder / WEIGHTS, predictor_image(weights, metadata), card)


def _speech(run: PredictorRun, split: str, seed: int) -> SpeechMaker:
    config = SpeechConfig(seconds=run.seconds)
    return SpeechMaker(load_corpus(run.data, SPEECH_CORPORA, split, run.cache), config, seed)


def _validation(run: PredictorRun, traces: Sequence[np.ndarray]) -> list[dict[str, Tensor]]:
    """Batches of the split `val`, always the same."""
    make = ItemMaker(_speech(run, "val", seed=0))
    items = [make(index) for index in range(run.validation_items)]
    batches = []
    for at in range(0, len(items), run.batch):
        chosen = items[at : at + run.batch]
        stacked = {name: np.stack([item[name] for item in chosen]) for name in chosen[0]}
        gaps = cut(stacked, traces, np.random.default_rng(at))
        batches.append({name: torch.from_numpy(array) for name, array in gaps.items()})
    return batches


@torch.no_grad()
def _validate(trainer: Trainer[FeaturePredictor], batches: list[dict[str, Tensor]]) -> float:
    device = trainer.processes.device
    losses = [loss_of(trainer.average, {k: v.to(device) for k, v in batch.items()})[0] for batch in batches]
    return float(torch.stack(losses).mean())
