"""Readers of option values that several verbs take."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from vivavoce.errors import VivavoceError

if TYPE_CHECKING:
    from vivavoce.transport.loss import LossModel

LOSS_HELP = (
    "What is lost: a file of one 0/1 a line, 20%, gilbert:P,R (P: a loss after a received packet, R: recovery after a "
    "lost one) or burst:NAME."
)
PROTECT_HELP = "none, auto, or some of lbrr, red:1, red:1,2, dred, dred:500 joined: lbrr+dred."
CONCEAL_HELP = "neural, opus, silence or repeat."
VOCODER_HELP = "Of neural concealment: fargan, or lpcnet, the dear yardstick. [fargan]"
BURST_HELP = "Packets that are lost in a row, on average, as auto and dred expect; auto: "
JSON_HELP = "JSON on stdout, one object a line."


def read_loss(text: str) -> LossModel:
    """The loss model that `--loss` names.

    Raises:
        ValueError: No such model (wrong usage).
        VivavoceError: The file is no trace.
    """
    from vivavoce.transport.loss import parse_loss

    try:
        return parse_loss(text)
    except ValueError as error:
        if os.path.exists(text):
            raise VivavoceError(str(error)) from None
        raise


def read_number_or(word: str, option: str, text: str, low: float, high: float) -> float | None:
    """A number from `low` to `high`, or None for `word` ("auto", "adaptive").

    Raises:
        ValueError: Neither; the message names the option.
    """
    from vivavoce.evaluation.selection import parse_number

    return None if text == word else parse_number(text, option, low, high, word)


def warn(message: str) -> None:
    """One line on stderr."""
    print(f"vivavoce: warning: {message}", file=sys.stderr)
