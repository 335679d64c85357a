"""What a sender adds against loss, as a user names it: `none`, `lbrr`, `red:1,2`, `lbrr+red:2`."""

from __future__ import annotations

from dataclasses import dataclass

# 20-ms packets reach 2**14 ticks of the 48-kHz clock (RFC 2198 section 3) after 17; beyond it no copy fits its offset.
MAX_RED_DISTANCE = 17


@dataclass(frozen=True)
class Protection:
    """A combination of redundancy schemes.

    Args:
        lbrr: Opus in-band FEC: a coarse copy of the frame before, inside the next packet (RFC 6716 section 2.1.7).
        red: RFC 2198 copies: how many packets back each copied packet lies, ascending, without repetition.

    Raises:
        ValueError: A distance is repeated or outside 1..17.
    """

    lbrr: bool = False
    red: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if any(not 1 <= distance <= MAX_RED_DISTANCE for distance in self.red):
            raise ValueError(f"RED distances must be between 1 and {MAX_RED_DISTANCE}, got {self.red}")
        if list(self.red) != sorted(set(self.red)):
            raise ValueError(f"RED distances must ascend without repetition, got {self.red}")

    @classmethod
    def parse(cls, text: str) -> Protection:
        """Read the form that `str` writes.

        Args:
            text: `none`, or parts joined by `+`: `lbrr`, `red` (distance 1), `red:1,2`.

        Raises:
            ValueError: A part is unknown or named twice; the message names it.
        """
        lbrr, red = False, ()
        parts = [part.strip() for part in text.split("+")]
        for part in parts:
            name, _, argument = part.partition(":")
            if part == "none" and len(parts) == 1:
                continue
            if part == "lbrr" and not lbrr:
                lbrr = True
            elif name == "red" and not red:
                red = _distances(argument if ":" in part else "1", text)
            else:
                raise ValueError(f"protection {text!r}: expected none, lbrr, red:1,2, lbrr+red:2 ..., got {part!r}")
        return cls(lbrr, red)

    @property
    def names(self) -> tuple[str, ...]:
        """The schemes in use: a subset of ("lbrr", "red")."""
        return tuple(name for name, used in (("lbrr", self.lbrr), ("red", bool(self.red))) if used)

    def __str__(self) -> str:
        parts = ["lbrr"] * self.lbrr + [f"red:{','.join(map(str, self.red))}"] * bool(self.red)
        return "+".join(parts) or "none"


def _distances(argument: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted(int(distance) for distance in argument.split(",")))
    except ValueError:
        raise ValueError(f"protection {text!r}: RED distances are whole numbers joined by commas") from None
