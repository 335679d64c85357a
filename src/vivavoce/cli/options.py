"""Readers of option values that several verbs take."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from vivavoce.errors import VivavoceError

if TYPE_CHECKING:
    from vivavoce.transport.loss import LossModel

LOSS_HELP = "What is lost: a file of one 0/1 a line, 20%, gilbert:P,R or burst:NAME."
PROTECT_HELP = "none, lbrr, red:1, red:1,2, lbrr+red:2 ..."


def read_loss(text: str | None) -> LossModel | None:
    """The loss model that `--loss` names.

    Raises:
        ValueError: No such model (wrong usage).
        VivavoceError: The file is no trace.
    """
    from vivavoce.transport.loss import parse_loss

    if text is None:
        return None
    try:
        return parse_loss(text)
    except ValueError as error:
        if os.path.exists(text):
            raise VivavoceError(str(error)) from None
        raise


def read_number_or(word: str, option: str, text: str) -> float | None:
    """A number, or None for `word` ("auto", "adaptive").

    Raises:
        ValueError: Neither.
    """
    if text == word:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{option} must be a number or {word}, got {text!r}") from None


def warn(message: str) -> None:
    """One line on stderr."""
    print(f"vivavoce: warning: {message}", file=sys.stderr)
