"""The loop that trains any network: schedule, mixed precision, averaged weights, checkpoints, any number of processes.

Nothing here knows a model. A run is killed and taken up again at any time: the checkpoint holds the step, the weights,
their average and the optimisers' state, and batches depend on the step alone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vivavoce.training.distributed import Processes
from vivavoce.training.muon import Muon
from vivavoce.training.precision import mixed_precision

CHECKPOINT = "checkpoint.safetensors"
RATE_SHARE = "rate_share"  # of a group of weights
ADVERSARY_BETAS, ADVERSARY_RATE = (0.5, 0.9), 1 / 3  # the latter of the learning rate
Batch = dict[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class LoopConfig:
    """How a network is trained.

    Attributes:
        steps: Of the optimiser.
        learning_rate: The highest.
        warmup_steps: Until it is reached.
        decay_share: Part of the run, at its end, over which it falls to a twentieth.
        betas: Of AdamW.
        weight_decay: Biases are spared.
        gradient_norm: Longer gradients are scaled down to it.
        average: Share of the old average that a step keeps; what is exported is the average.
        checkpoint_s: Seconds between checkpoints.
        log_steps: Steps between lines of the log.
        bfloat16: Whether matrix products run in bfloat16 where the processor has it.
    """

    steps: int
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    decay_share: float = 0.3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    gradient_norm: float = 1.0
    average: float = 0.995
    checkpoint_s: float = 120.0
    log_steps: int = 10
    bfloat16: bool = True

    def rate(self, step: int) -> float:
        """Learning rate of a step: up, flat, down."""
        decay_steps = self.decay_share * self.steps
        falling = min(1.0, (self.steps - step) / decay_steps) if decay_steps else 1.0
        return self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup_steps)) * max(0.05, falling)


class Trainer(Generic[Network]):
    """A network, its average and its optimisers, at a step.

    Attributes:
        step: Steps done.
        model: The network that is trained.
        average: The moving average of its weights, to be exported.
    """

    def __init__(
        self,
        model: Network,
        config: LoopConfig,
        folder: Path,
        processes: Processes,
        matrices: Sequence[dict[str, Any]] = (),
        adversary: nn.Module | None = None,
    ) -> None:
        """Take up the run in `folder`, or begin one there.

        Args:
            model: First weights.
            config: How it is trained.
            folder: Of the run; it exists.
            processes: That share the work.
            matrices: Groups of weights for Muon; AdamW moves the rest.
            adversary: Part of the model that has to follow the rest quickly; an AdamW of short memory moves it.
        """
        self.config, self.folder, self.processes = config, folder, processes
        self.model = model.to(processes.device)
        self.average = deepcopy(self.model).requires_grad_(False)
        taken = {weight for group in matrices for weight in group["params"]}
        against = [] if adversary is None else list(adversary.parameters())
        taken.update(against)
        rest = [weight for weight in self.model.parameters() if weight.requires_grad and weight not in taken]
        groups = [
            {"params": [weight for weight in rest if weight.dim() > 1], "weight_decay": config.weight_decay},
            {"params": [weight for weight in rest if weight.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)
        ]
        if matrices:
            self.optimizers.append(Muon(matrices, config.learning_rate, weight_decay=config.weight_decay))
        if against:
            group = {"params": against, RATE_SHARE: ADVERSARY_RATE}
            self.optimizers.append(torch.optim.AdamW([group], betas=ADVERSARY_BETAS))
        self.step = 0
        if (folder / CHECKPOINT).exists():
            self._load()

    def run(
        self,
        batch_of: Callable[[int], dict[str, np.ndarray]],
        loss_of: Callable[[nn.Module, Batch], tuple[Tensor, dict[str, Tensor]]],
        *,
        before_step: Callable[[int], None] = lambda step: None,
        after_step: Callable[[], None] = lambda: None,
        at_checkpoint: Callable[[Trainer[Network]], None] = lambda trainer: None,
    ) -> None:
        """Train to the last step.

        Args:
            batch_of: Arrays of a step's batch.
            loss_of: Loss of a batch under a model, and its terms for the log.
            before_step: Told the step that begins.
            after_step: Called when the weights have changed.
            at_checkpoint: Called when a checkpoint has been written, by the first process alone.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        wrapped = self.processes.wrap(self.model)
        terms: dict[str, float] = {}
        counted = 0
        began = saved = time.monotonic()
        while self.step < self.config.steps:
            before_step(self.step)
            batch = {name: torch.from_numpy(a).to(self.processes.device) for name, a in batch_of(self.step).items()}
            loss, parts = self._one(wrapped, loss_of, batch)
            after_step()
            self._update_average()
            self.step += 1
            for name, value in {"loss": loss, **parts}.items():
                terms[name] = terms.get(name, 0.0) + float(value)
            counted += 1
            if self.step % self.config.log_steps == 0:
                means = {name: sum_ / counted for name, sum_ in terms.items()}
                self._log({"step": self.step, "seconds_per_step": (time.monotonic() - began) / counted, **means})
                terms, counted, began = {}, 0, time.monotonic()
            if self.step == self.config.steps or time.monotonic() - saved > self.config.checkpoint_s:
                if self.processes.first:
                    self._save()
                    at_checkpoint(self)
                saved = time.monotonic()

    def _one(
        self, model: nn.Module, loss_of: Callable[[nn.Module, Batch], tuple[Tensor, dict[str, Tensor]]], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = self.config.rate(self.step) * group.get(RATE_SHARE, 1.0)
        with mixed_precision(self.processes.device, self.config.bfloat16):
            loss, parts = loss_of(model, batch)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of step {self.step} is {float(loss.detach())}")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        return loss.detach(), parts

    @torch.no_grad()
    def _update_average(self) -> None:
        keep = min(self.config.average, (self.step + 1) / (self.step + 10))
        for old, new in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            old.lerp_(new, 1 - keep)

    def _log(self, line: dict[str, Any]) -> None:
        if not self.processes.first:
            return
        text = json.dumps({name: round(value, 5) for name, value in line.items()})
        print(text, flush=True)
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(text + "\n")

    def _save(self) -> None:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for number, optimizer in enumerate(self.optimizers):
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{number}.{index}.{name}": value for name, value in state.items()}
        partial = self.folder / (CHECKPOINT + ".partial")
        save_file(
            {name: value.contiguous().clone() for name, value in tensors.items()}, partial, {"step": str(self.step)}
        )
        os.replace(partial, self.folder / CHECKPOINT)

    def _load(self) -> None:
        from safetensors import safe_open

        path = self.folder / CHECKPOINT
        tensors = load_file(path, device=str(self.processes.device))
        with safe_open(path, "pt") as file:
            self.step = int(file.metadata()["step"])
        for module, prefix in ((self.model, "model."), (self.average, "average.")):
            module.load_state_dict({name: tensors[prefix + name] for name in module.state_dict()})
        for number, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            prefix = f"optimizer.{number}."
            for name in filter(lambda name: name.startswith(prefix), tensors):
                index, key = name.removeprefix(prefix).split(".")
                state.setdefault(int(index), {})[key] = tensors[name].cpu() if key == "step" else tensors[name]
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
