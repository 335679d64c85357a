"""What a sender adds against loss, as a user names it: `none`, `auto`, `lbrr`, `red:1,2`, `dred:500`, `lbrr+dred`."""

from __future__ import annotations

from dataclasses import dataclass

from vivavoce.redundancy.payload import CHUNK_MS, MAX_CHUNKS

# 20-ms packets reach 2**14 ticks of the 48-kHz clock (RFC 2198 section 3) after 17; beyond it no copy fits its offset.
MAX_RED_DISTANCE = 17
MAX_DRED_MS = CHUNK_MS * MAX_CHUNKS


@dataclass(frozen=True)
class Protection:
    """A combination of redundancy schemes.

    Args:
        lbrr: Opus in-band FEC: a coarse copy of the frame before, inside the next packet (RFC 6716 section 2.1.7).
        red: RFC 2198 copies: how many packets back each copied packet lies, ascending, without repetition.
        dred_ms: Deep redundancy: how much of the past each packet describes at most; 0 for none.
        auto: The sender chooses, and chooses again when the rate or the expected loss changes.

    Raises:
        ValueError: A distance is repeated or outside 1..17, or `dred_ms` is neither 0 nor from 40 to 1040.
    """

    lbrr: bool = False
    red: tuple[int, ...] = ()
    dred_ms: int = 0
    auto: bool = False

    def __post_init__(self) -> None:
        if any(not 1 <= distance <= MAX_RED_DISTANCE for distance in self.red):
            raise ValueError(f"RED distances must be between 1 and {MAX_RED_DISTANCE}, got {self.red}")
        if list(self.red) != sorted(set(self.red)):
            raise ValueError(f"RED distances must ascend without repetition, got {self.red}")
        if self.dred_ms and not CHUNK_MS <= self.dred_ms <= MAX_DRED_MS:
            raise ValueError(f"deep redundancy covers {CHUNK_MS} to {MAX_DRED_MS} ms, got {self.dred_ms}")

    @classmethod
    def parse(cls, text: str) -> Protection:
        """Read the form that `str` writes.

        Args:
            text: `none`, `auto`, or parts joined by `+`: `lbrr`, `red` (distance 1), `red:1,2`, `dred` (1040 ms),
                `dred:500`.

        Raises:
            ValueError: A part is unknown or named twice; the message names it.
        """
        lbrr, red, dred_ms = False, (), 0
        parts = [part.strip() for part in text.split("+")]
        if parts == ["auto"]:
            return cls(auto=True)
        for part in parts:
            name, _, argument = part.partition(":")
            if part == "none" and len(parts) == 1:
                continue
            if part == "lbrr" and not lbrr:
                lbrr = True
            elif name == "red" and not red:
                red = _distances(argument if ":" in part else "1", text)
            elif name == "dred" and not dred_ms:
                dred_ms = _milliseconds(argument, text) if ":" in part else MAX_DRED_MS
            else:
                expected = "none, auto, lbrr, red:1,2, dred:500, lbrr+red:2 ..."
                raise ValueError(f"protection {text!r}: expected {expected}, got {part!r}")
        return cls(lbrr, red, dred_ms)

    @property
    def names(self) -> tuple[str, ...]:
        """The schemes in use: a subset of ("lbrr", "red", "dred")."""
        schemes = (("lbrr", self.lbrr), ("red", bool(self.red)), ("dred", bool(self.dred_ms)))
        return tuple(name for name, used in schemes if used)

    @property
    def follows_bursts(self) -> bool:
        """Whether the bursts of the expected loss decide what is sent, and not its rate alone."""
        return self.auto or bool(self.dred_ms)

    def __str__(self) -> str:
        if self.auto:
            return "auto"
        parts = ["lbrr"] * self.lbrr + [f"red:{','.join(map(str, self.red))}"] * bool(self.red)
        parts += [f"dred:{self.dred_ms}" if self.dred_ms < MAX_DRED_MS else "dred"] * bool(self.dred_ms)
        return "+".join(parts) or "none"


def _distances(argument: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted(int(distance) for distance in argument.split(",")))
    except ValueError:
        raise ValueError(f"protection {text!r}: RED distances are whole numbers joined by commas") from None


def _milliseconds(argument: str, text: str) -> int:
    try:
        milliseconds = int(argument)
    except ValueError:
        milliseconds = 0
    if not milliseconds:
        raise ValueError(f"protection {text!r}: deep redundancy takes whole milliseconds, dred:500")
    return milliseconds
