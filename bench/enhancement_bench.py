"""What all parts of the bench are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from enhancement_peers import Peer, PeerEnvironment

from vivavoce.evaluation.noisy import NoisyClip, build_noisy_set


@dataclass(frozen=True)
class Bench:
    """What to measure.

    Attributes:
        data: Folder of the corpora.
        output: Keeps sets, outputs and scores; what is known is not computed again.
        environment: Of the peers.
        peers: Which of them.
        models: Ours, by the name of the system; None is the default model.
        sets: Which noisy sets.
        split: Of them.
        count: Only so many clips of each; None is all.
        jobs: Processes that score.
    """

    data: Path
    output: Path
    environment: PeerEnvironment
    peers: Sequence[Peer]
    models: dict[str, str | None]
    sets: Sequence[str]
    split: str
    count: int | None
    jobs: int

    def clips(self, which: str, most: int | None = None) -> list[NoisyClip]:
        """The clips of a set, the first `most` of them."""
        return _clips(self.data, which, self.split, self.count)[:most]

    @property
    def rnnoise(self) -> list[Peer]:
        """The peer that the figures to reach name, where it is asked for."""
        return [peer for peer in self.peers if peer.name == "rnnoise"]


@lru_cache
def _clips(data: Path, which: str, split: str, count: int | None) -> list[NoisyClip]:
    return build_noisy_set(data, which, split, count)
