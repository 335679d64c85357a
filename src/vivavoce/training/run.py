"""What every training run has in common: where it is kept, what it is told, how it ends. Nothing here knows a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vivavoce.training.export import LICENCES, source_revision, write_weights
from vivavoce.training.loop import Batch, Network, Trainer
from vivavoce.training.pool import Item, ItemPool
from vivavoce.training.precision import mixed_precision

WEIGHTS = "weights.safetensors"
Arrays = dict[str, np.ndarray]
Loss = Callable[[nn.Module, Batch], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        data: Folder of the corpora.
        cache: Where decoded corpora are kept.
        folder: Of checkpoint, log and weights.
        name: Of the model.
        size: Of the network, by name.
        init: Weights to begin with.
        batch: Items of a step, over all processes.
        seconds: Length of an item.
        echo: How often an item is used on average.
        window: Batches that items are drawn from, where they are used again.
        workers: Processes that make items, for each process that trains.
        seed: Of items, draws and first weights.
    """

    data: Path
    cache: Path
    folder: Path
    name: str
    size: str
    init: Path | None = None
    batch: int = 64
    seconds: float = 4.0
    echo: int = 1
    window: int = 100
    workers: int = 1
    seed: int = 1

    @property
    def weights(self) -> Path:
        """The file of the averaged weights."""
        return self.folder / WEIGHTS


def train(
    run: Run,
    trainer: Trainer[Network],
    make: Callable[[int], Item],
    loss: Loss,
    validation: Sequence[Batch],
    export: Callable[[Network], None],
    finish: Callable[[float], None],
    *,
    prepare: Callable[[dict[str, np.ndarray], np.random.Generator], dict[str, np.ndarray]] = lambda items, random: (
        items
    ),
    before_step: Callable[[int], None] = lambda step: None,
    after_step: Callable[[], None] = lambda: None,
) -> None:
    """Train to the last step, and leave weights and model.

    Args:
        run: What is trained.
        trainer: With the weights to begin with.
        make: An item, from its index.
        loss: Of a batch under a network, and its terms.
        validation: Batches of the split `val`.
        export: Writes the averaged weights.
        finish: Writes the model, told the validation loss; called by the first process alone, at the end.
        prepare: What becomes of a batch of items before it is learned from.
        before_step: Told the step that begins.
        after_step: Called when the weights have changed.
    """
    processes = trainer.processes
    share = max(1, run.batch // processes.count)

    def at_checkpoint(trainer: Trainer[Network]) -> None:
        export(trainer.average)
        print(f"step {trainer.step}: validation loss {validate(trainer, validation, loss):.4f}", flush=True)

    pool = ItemPool(
        make,
        batch=share,
        window=share * (1 if run.echo == 1 else run.window),
        echo=run.echo,
        seed=run.seed + processes.rank,
        workers=run.workers,
        first_step=trainer.step,
    )

    def batch_of(step: int) -> Arrays:
        return prepare(pool.batch(step), np.random.default_rng([run.seed, processes.rank, step]))

    with pool:
        trainer.run(batch_of, loss, before_step=before_step, after_step=after_step, at_checkpoint=at_checkpoint)
    if processes.first:  # also where the run was killed between its last checkpoint and this
        before_step(trainer.step)
        export(trainer.average)
        finish(validate(trainer, validation, loss))
    processes.leave()


def stacked(items: Sequence[Item]) -> Arrays:
    """A batch of items."""
    return {name: np.stack([item[name] for item in items]) for name in items[0]}


def validation_batches(
    make: Callable[[int], Item],
    prepare: Callable[[Arrays, np.random.Generator], Arrays],
    batch: int,
    count: int,
) -> list[Batch]:
    """Batches of the split `val`, always the same.

    Args:
        make: An item, from its index.
        prepare: What becomes of a batch of items before it is judged.
        batch: Items of one; all are whole, as compiled networks need them.
        count: Of items; what makes no whole batch is left out.
    """
    items = [make(index) for index in range(max(batch, count // batch * batch))]
    return [
        tensors(prepare(stacked(items[at : at + batch]), np.random.default_rng(at)))
        for at in range(0, len(items), batch)
    ]


def tensors(arrays: Arrays) -> Batch:
    """The same for PyTorch."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def begin_with(model: nn.Module, weights: Arrays, path: Path) -> None:
    """Give a network the weights of `path`.

    Raises:
        ValueError: They are another network's.
    """
    try:
        model.load_state_dict(tensors(weights))
    except RuntimeError:
        raise ValueError(f"{path}: weights of another network") from None


def write_averaged(average: nn.Module, run: Run, system: str, sample_rate: int, **more: str) -> None:
    """Write the weights of a run.

    Args:
        average: The network with averaged weights.
        run: Says where, and the model's name and size.
        system: What the model is of.
        sample_rate: In Hz.
        more: Metadata that the system has beside.
    """
    weights = {name: weight.float().cpu().numpy() for name, weight in average.state_dict().items()}
    metadata = {"system": system, "name": run.name, "size": run.size, "sample_rate": str(sample_rate), **more}
    write_weights(run.weights, weights, metadata)


@torch.no_grad()
def validate(trainer: Trainer[Network], batches: Sequence[Batch], loss: Loss) -> float:
    """The loss of the averaged weights."""
    device = trainer.processes.device
    with mixed_precision(device, trainer.config.bfloat16):
        losses = [loss(trainer.average, {k: v.to(device) for k, v in batch.items()})[0] for batch in batches]
    return float(torch.stack(losses).mean())


def card_of(
    run: Run,
    trainer: Trainer[Network],
    validation_loss: float,
    *,
    system: str,
    sample_rate: int,
    architecture: dict[str, Any],
    corpora: Sequence[str],
    hours: dict[str, float],
) -> dict[str, Any]:
    """How a model was made: the card of `training.export.write_model`.

    Args:
        run: What was trained.
        trainer: At its end.
        validation_loss: Of the average.
        system: What the model is of; its recipe has the same name.
        sample_rate: In Hz.
        architecture: Of the network, with its source.
        corpora: That were learned from.
        hours: Of audio, by what is counted.
    """
    return {
        "system": system,
        "architecture": architecture,
        "sample_rate": sample_rate,
        "data": {name: LICENCES[name] for name in corpora},
        "splits": {"train": "weights", "val": "validation loss"},
        "recipe": f"recipes/{system}.sh",
        "source_revision": source_revision(),
        "begun_from": run.init.name if run.init else None,
        "steps": trainer.step,
        **{name: round(value, 1) for name, value in hours.items()},
        "device": trainer.processes.device.type,
        "metrics": {"validation_loss": round(validation_loss, 4)},
        "licence": "BSD-2-Clause",
    }
