"""The range coder of RFC 6716, section 4.1: symbols of known probabilities to as few bytes as they are worth, and back.

A message is a number below 1, written in as many bytes as tell it from all others. Each symbol narrows the interval
where it lies to the part that the symbol's probability gives it; probabilities are whole numbers out of a total. The
coder keeps the interval's width in 32 bits and hands out its upper bytes as soon as they are certain.

Reference for the core's (`core/src/range_coder.h`), which calls use.
"""

from __future__ import annotations

WIDTH_BITS = 32
MIN_WIDTH = 1 << 23
LOW_MASK = (1 << 31) - 1
BYTE = 255
PROBABILITY_BITS = 15  # of a binary decision
CERTAIN = 1 << PROBABILITY_BITS


class RangeEncoder:
    """Symbols to bytes."""

    def __init__(self) -> None:
        self._low, self._width = 0, 1 << 31
        self._bytes = bytearray()
        self._kept = -1  # a byte that a carry may still reach, and how many of 255 follow it
        self._full = 0

    def encode(self, low: int, high: int, total: int) -> None:
        """A symbol.

        Args:
            low: The sum of the counts of all symbols below it.
            high: `low` and its own count.
            total: Of all counts, at most 32768. What is left when the interval is divided by it goes to the lowest
                symbol: with many small counts that one should be likely.
        """
        if not 0 <= low < high <= total <= CERTAIN:
            raise ValueError(f"no symbol: {low} to {high} of {total}")
        unit = self._width // total
        if low:
            self._low += self._width - unit * (total - low)
            self._width = unit * (high - low)
        else:
            self._width -= unit * (total - high)
        while self._width <= MIN_WIDTH:
            self._put(self._low >> 23)
            self._low = (self._low << 8) & LOW_MASK
            self._width <<= 8

    def encode_bit(self, bit: bool, probability: int) -> None:
        """A decision whose being true has this probability, in 1/32768, from 1 to 32767."""
        if bit:
            self.encode(CERTAIN - probability, CERTAIN, CERTAIN)
        else:
            self.encode(0, CERTAIN - probability, CERTAIN)

    def encode_number(self, number: int, total: int) -> None:
        """One of `total` numbers from 0 on, all as likely."""
        self.encode(number, number + 1, total)

    def finish(self) -> bytes:
        """As few bytes as make sure that a decoder, to which zeros follow, reads the same symbols."""
        bits = WIDTH_BITS - self._width.bit_length()
        mask = LOW_MASK >> bits
        end = (self._low + mask) & ~mask
        if end | mask >= self._low + self._width:  # one bit more makes sure
            bits += 1
            mask >>= 1
            end = (self._low + mask) & ~mask
        while bits > 0:
            self._put(end >> 23)
            end = (end << 8) & LOW_MASK
            bits -= 8
        if self._kept >= 0 or self._full:
            self._put(0)
        return bytes(self._bytes)

    def _put(self, value: int) -> None:
        """Eight bits, and a ninth that goes into those before."""
        if value == BYTE:
            self._full += 1
            return
        carry = value >> 8
        if self._kept >= 0:
            self._bytes.append((self._kept + carry) & BYTE)
        self._bytes += bytes([(BYTE + carry) & BYTE]) * self._full
        self._full = 0
        self._kept = value & BYTE


class RangeDecoder:
    """Bytes to symbols. It never fails: where the bytes end, zeros follow."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = bytes(data), 0
        first = self._next()
        self._width, self._below, self._last = 128, 127 - (first >> 1), first
        self._bits = 9
        self._normalise()

    @property
    def bits_read(self) -> int:
        """What the symbols so far are worth, in whole bits, rounded up."""
        return self._bits - self._width.bit_length()

    def decode(self, total: int) -> int:
        """Where the next symbol lies among counts that sum to `total`; `accept` must follow."""
        self._unit = self._width // total
        return total - min(self._below // self._unit + 1, total)

    def accept(self, low: int, high: int, total: int) -> None:
        """The symbol that was found: arguments as of `RangeEncoder.encode`."""
        self._below -= self._unit * (total - high)
        self._width = self._unit * (high - low) if low else self._width - self._unit * (total - high)
        self._normalise()

    def decode_bit(self, probability: int) -> bool:
        """A decision of this probability, as `RangeEncoder.encode_bit` wrote it."""
        border = CERTAIN - probability
        bit = self.decode(CERTAIN) >= border
        self.accept(*((border, CERTAIN) if bit else (0, border)), CERTAIN)
        return bit

    def decode_number(self, total: int) -> int:
        """One of `total` numbers that are all as likely."""
        number = self.decode(total)
        self.accept(number, number + 1, total)
        return number

    def _normalise(self) -> None:
        while self._width <= MIN_WIDTH:
            self._bits += 8
            self._width <<= 8
            before, self._last = self._last, self._next()
            symbol = (before << 7 | self._last >> 1) & BYTE
            self._below = (self._below << 8) + (BYTE - symbol) & LOW_MASK

    def _next(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0
