"""What to compare, as a user writes it: rates, protections, concealments, delays and losses in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from vivavoce.concealment.concealer import CONCEALERS
from vivavoce.evaluation.call import Configuration, NamedLoss
from vivavoce.transport.loss import LossModel, parse_loss
from vivavoce.transport.protection import Protection
from vivavoce.transport.receiver import MAX_PLAYOUT_DELAY_MS

MAX_BITRATE_BPS = 10_000_000  # seven RED copies of the fastest Opus are below it


def parse_configurations(
    protections: Sequence[str], bitrates: str, single: Sequence[str], conceal: str, playout_delays: str
) -> list[Configuration]:
    """Cross protections and rates, add single configurations, and cross all with what the receiver may do.

    Args:
        protections: Such as `lbrr+red:2`.
        bitrates: In b/s, `24000,32000`.
        single: Such as `lbrr+red:2@48000`, or `none/opus@48000` with a concealment of its own.
        conceal: `opus,repeat`.
        playout_delays: In milliseconds or adaptive, `100,1100,adaptive`.

    Returns:
        Each configuration once, rates first.

    Raises:
        ValueError: A part is unknown or out of range; the message names it.
    """
    concealers = _concealers(conceal, "--conceal")
    ends = [
        (Protection.parse(text), _bitrate(rate, "--bitrate"), concealers)
        for rate in split_words(bitrates)
        for text in protections
    ]
    for text in single:
        named, at, rate = text.rpartition("@")
        protection, _, own = named.partition("/")
        if not at:
            raise ValueError(f"--config must be PROTECT@BPS or PROTECT/CONCEAL@BPS, such as red:2@48000, got {text!r}")
        theirs = _concealers(own, "--config") if own else concealers
        ends.append((Protection.parse(protection), _bitrate(rate, "--config"), theirs))
    delays = [
        None if text == "adaptive" else parse_number(text, "--playout-delay", 0, MAX_PLAYOUT_DELAY_MS)
        for text in split_words(playout_delays)
    ]
    if not delays:
        raise ValueError(f"--playout-delay must be milliseconds or adaptive, got {playout_delays!r}")
    for protection, _, theirs in ends:
        deaf = [name for name in theirs if not name.startswith("neural")]
        if protection.dred_ms and deaf:
            raise ValueError(f"{protection} needs neural concealment, which makes speech of it, got {deaf[0]}")
    crossed = (
        Configuration(protection, rate, concealer, delay_ms)
        for protection, rate, concealers in ends
        for concealer in concealers
        for delay_ms in delays
    )
    return list(dict.fromkeys(crossed))


def parse_losses(texts: Sequence[str], read: Callable[[str], LossModel] = parse_loss) -> list[NamedLoss]:
    """Read losses, as `parse_loss` does unless told; a file is called by its name without the suffix.

    Raises:
        ValueError: One is no loss, or two have the same name.
        OSError: A file cannot be read.
    """
    losses: dict[str, NamedLoss] = {}
    for text in texts:
        model = read(text)
        name = Path(text).stem if Path(text).exists() else text
        if name in losses:
            raise ValueError(f"two losses are called {name!r}")
        losses[name] = NamedLoss(name, model)
    return list(losses.values())


def split_words(text: str) -> list[str]:
    """Take `a,b` apart; what is empty is left out."""
    return [word.strip() for word in text.split(",") if word.strip()]


def parse_number(text: str, option: str, low: float, high: float, word: str = "") -> float:
    """Read an option's number.

    Args:
        text: What the user wrote.
        option: Its name.
        low: The least it may be.
        high: The most.
        word: What else the user might have written, for the message.

    Raises:
        ValueError: It is none, or out of range; the message names the option.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        choice = f" or {word}" if word else ""
        raise ValueError(f"{option} must be a number from {low:g} to {high:g}{choice}, got {text!r}")
    return number


def _concealers(text: str, option: str) -> list[str]:
    concealers = split_words(text)
    if not concealers or not set(concealers) <= set(CONCEALERS):
        raise ValueError(f"{option} must name some of {','.join(CONCEALERS)}, got {text!r}")
    return concealers


def _bitrate(text: str, option: str) -> int:
    return round(parse_number(text, option, 1, MAX_BITRATE_BPS))
