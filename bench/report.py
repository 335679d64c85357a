"""The form of a bench's answer, and the core it is measured on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from vivavoce.evaluation.statistics import Interval
from vivavoce.evaluation.tables import interval_json, markdown_lines, with_interval


class Answer(Protocol):
    """What can be printed."""

    def as_json(self) -> Iterator[dict[str, Any]]: ...

    def as_markdown(self) -> str: ...


def tell(bench: str, answer: Answer, markdown: bool) -> None:
    """Print an answer of `bench`: a table, or JSON, one object a line."""
    if markdown:
        print(answer.as_markdown(), flush=True)
        return
    for record in answer.as_json():
        print(json.dumps({"bench": bench} | record), flush=True)


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
            yield {"part": self.part} | {
                key: interval_json(v) if isinstance(v, Interval) else v for key, v in row.items()
            }

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
