"""One process or many: what `torchrun` has set up, if anything has."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Processes:
    """The processes of a training run, seen from one of them.

    Attributes:
        rank: Number of this one.
        count: How many there are.
        device: What this one calculates on.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the one that logs and saves."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over all processes."""
        if self.count == 1:
            return model
        return nn.parallel.DistributedDataParallel(model)

    def leave(self) -> None:
        """Take leave of the others, when the work is done."""
        if self.count > 1:
            torch.distributed.destroy_process_group()


def join() -> Processes:
    """Join the others where `torchrun` started this process; else be alone. A GPU is used where there is one."""
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    else:
        device = torch.device("cpu")
    if count > 1:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Processes(rank, count, device)
