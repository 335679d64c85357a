"""What all parts of the bench share: what they are asked for, and the form of their answer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from enhancement_peers import Peer, PeerEnvironment

from vivavoce.evaluation.noisy import NoisyClip, build_noisy_set
from vivavoce.evaluation.statistics import Interval
from vivavoce.evaluation.tables import interval_json, markdown_lines, with_interval


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


@dataclass(frozen=True)
class Report:
    """The answer of one part.

    Attributes:
        part: Name of the part.
        title: Heading of the table.
        columns: What the table shows of the rows: heading by key, those of text before those of figures.
        rows: Texts, figures and intervals by key; None where there is none.
        notes: What the table itself cannot say.
        decimals: Digits after the point, by key; 2 unless told.
    """

    part: str
    title: str
    columns: dict[str, str]
    rows: list[dict[str, Any]]
    notes: Sequence[str] = ()
    decimals: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> Iterator[dict[str, Any]]:
        """One object for each row; what is not a number is null."""
        for row in self.rows:
            about = {"bench": "enhancement", "part": self.part}
            yield about | {key: interval_json(v) if isinstance(v, Interval) else v for key, v in row.items()}

    def as_markdown(self) -> str:
        """A heading, the table, and its notes."""
        body = [[self._text(key, row.get(key)) for key in self.columns] for row in self.rows]
        left = sum(all(isinstance(row.get(key), str) for row in self.rows) for key in self.columns)
        lines = markdown_lines(list(self.columns.values()), body, left)
        return "\n".join([f"### {self.title}", "", lines, "", *self.notes, ""])

    def _text(self, key: str, value: object) -> str:
        digits = self.decimals.get(key, 2)
        if isinstance(value, Interval):
            return with_interval(value, digits)
        if isinstance(value, float):
            return f"{value:.{digits}f}".replace("-", "−")
        return "–" if value is None else str(value)


@contextmanager
def one_core() -> Iterator[int]:
    """Pin this process to the last of its cores; yields which."""
    if not hasattr(os, "sched_setaffinity"):
        yield 0
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield max(before)
    finally:
        os.sched_setaffinity(0, before)
