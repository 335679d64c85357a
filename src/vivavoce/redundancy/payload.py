"""The payload of deep redundancy, what a packet says of up to 1.04 seconds before it: `docs/dred-payload.md`.

    byte 0      "V"
    byte 1      format version, 3 bits, and identifier of the model, 5 bits
    bytes 2, 3  CRC-16 of all other bytes (polynomial 0x1021, begun with 0xFFFF)
    then        range coded: how many chunks, levels, where in time, a state, and latent vectors, the newest first

A payload stands alone: nothing of another packet is needed. Its numbers are those that an RDO-VAE rounded its vectors
to; what they are worth, the model's tables say in whole numbers, so that all who have them read the same.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

import numpy as np

from vivavoce.errors import PacketError
from vivavoce.redundancy.entropy import CERTAIN, RangeDecoder, RangeEncoder

MAGIC = ord("V")
VERSION, MODELS = 0, 32
PREFIX = 4  # bytes before those that are range coded
MAX_PAYLOAD = 4096
MAX_CHUNKS = 26
LEVELS = 16
LAMBDA_RATIO = 500  # bits against distortion, by which levels are trained: the coarsest beside the finest
SLOPES = (0, 2, 3, 4, 6, 8, 12, 16)  # sixteenths of a level a chunk
OFFSETS = range(-64, 192)  # units of 2.5 ms
OFFSET_TICKS = 120  # of the RTP clock, 48 kHz
CHUNK_MS, CHUNK_TICKS = 40, 1920
MAX_MAGNITUDE = 63


@dataclass(frozen=True)
class LevelSchedule:
    """Which level of the quantiser each chunk has.

    Args:
        first: That of the newest chunk and of the state, from 0 to 15.
        slope: Index into SLOPES: how much coarser chunks become with their age.
        last: No chunk is coarser; from `first` to 15. Without a slope it is the first.

    Raises:
        ValueError: A number is out of range.
    """

    first: int
    slope: int = 0
    last: int = LEVELS - 1

    def __post_init__(self) -> None:
        if not (0 <= self.first <= self.last < LEVELS and 0 <= self.slope < len(SLOPES)):
            raise ValueError(f"no levels: {self.first} to {self.last}, slope {self.slope}")
        if not self.slope:
            object.__setattr__(self, "last", self.first)

    def level(self, chunk: int) -> int:
        """Of a chunk, 0 the newest."""
        return min(self.last, self.first + (SLOPES[self.slope] * chunk + 8) // 16)


@dataclass(frozen=True, eq=False)
class SymbolTables:
    """Probabilities of numbers, for each level and dimension, in 1/32768: shape (16, dimensions), int32.

    Attributes:
        zero: Of a number being 0; 32768 where it always is, and is not sent.
        more: Of a magnitude being above another one, from 1 on.
    """

    zero: np.ndarray
    more: np.ndarray


@dataclass(frozen=True, eq=False)
class PayloadModel:
    """What a payload is written and read with.

    Attributes:
        id: From 0 to 31.
        latent, state: Tables of both kinds of vectors.
    """

    id: int
    latent: SymbolTables
    state: SymbolTables


@dataclass(frozen=True)
class DredPayload:
    """What a payload says.

    Args:
        offset: From the end of the newest chunk to the packet's RTP timestamp, in units of 2.5 ms, from -64 to 191.
        levels: Of the chunks.
        state: The numbers of the state at the newest chunk.
        latents: The numbers of one to 26 latent vectors, the newest first.
    """

    offset: int
    levels: LevelSchedule
    state: tuple[int, ...]
    latents: tuple[tuple[int, ...], ...]

    def write(self, model: PayloadModel) -> bytes:
        """The bytes.

        Raises:
            ValueError: A number is out of range, or of a dimension that is always 0; there are no chunks or more than
                26; or it would be too long.
        """
        if self.offset not in OFFSETS or not 1 <= len(self.latents) <= MAX_CHUNKS:
            raise ValueError(f"no payload: offset {self.offset}, {len(self.latents)} chunks")
        encoder = RangeEncoder()
        encoder.encode_number(len(self.latents) - 1, MAX_CHUNKS)
        encoder.encode_number(self.offset - OFFSETS.start, len(OFFSETS))
        encoder.encode_number(self.levels.first, LEVELS)
        encoder.encode_number(self.levels.slope, len(SLOPES))
        if self.levels.slope:
            encoder.encode_number(self.levels.last - self.levels.first, LEVELS - self.levels.first)
        _write_vector(encoder, self.state, model.state, self.levels.first)
        for chunk, latent in enumerate(self.latents):
            _write_vector(encoder, latent, model.latent, self.levels.level(chunk))
        coded = encoder.finish()
        if PREFIX + len(coded) > MAX_PAYLOAD:
            raise ValueError(f"no payload: {PREFIX + len(coded)} bytes")
        head = bytes([MAGIC, VERSION << 5 | model.id])
        return with_check(head + bytes(2) + coded)

    @classmethod
    def parse(cls, data: bytes, model: PayloadModel) -> DredPayload:
        """Read a payload.

        Raises:
            PacketError: It is none of this version and model, or it is damaged.
        """
        if model_id(data) != model.id:
            raise PacketError(f"a DRED payload of model {model_id(data)}, not {model.id}")
        if data != with_check(data):
            raise PacketError("a DRED payload whose check is wrong")
        payload, excess = cls.read(data, model)
        if excess > 1:
            raise PacketError("a DRED payload that ends before what it says")
        return payload

    @classmethod
    def read(cls, data: bytes, model: PayloadModel) -> tuple[DredPayload, int]:
        """What the symbols behind the header say, right or not, and how many bits were read behind the last byte."""
        decoder, bits = RangeDecoder(data[PREFIX:]), 8 * len(data[PREFIX:])
        chunks = 1 + decoder.decode_number(MAX_CHUNKS)
        offset = OFFSETS.start + decoder.decode_number(len(OFFSETS))
        first, slope = decoder.decode_number(LEVELS), decoder.decode_number(len(SLOPES))
        last = first + decoder.decode_number(LEVELS - first) if slope else first
        levels = LevelSchedule(first, slope, last)
        state = _read_vector(decoder, model.state, first)
        latents: list[tuple[int, ...]] = []
        while len(latents) < chunks and decoder.bits_read <= bits + 1:
            latents.append(_read_vector(decoder, model.latent, levels.level(len(latents))))
        return cls(offset, levels, state, tuple(latents)), decoder.bits_read - bits

    def shortened(self, chunks: int) -> DredPayload:
        """The same without its oldest chunks, as a relay may send it on when it is short of rate.

        Raises:
            ValueError: No chunk would be left.
        """
        if chunks < 1:
            raise ValueError(f"chunks must be 1 or more, got {chunks}")
        return DredPayload(self.offset, self.levels, self.state, self.latents[:chunks])


def model_id(data: bytes) -> int:
    """Identifier of the model that a payload was made by.

    Raises:
        PacketError: It is no payload, or of another version.
    """
    if not PREFIX <= len(data) <= MAX_PAYLOAD or data[0] != MAGIC:
        raise PacketError("no DRED payload")
    if data[1] >> 5 != VERSION:
        raise PacketError(f"a DRED payload of version {data[1] >> 5}, not {VERSION}")
    return data[1] & (MODELS - 1)


def with_check(data: bytes) -> bytes:
    """A payload with the check that it should have."""
    head, coded = data[:2], data[PREFIX:]
    return head + binascii.crc_hqx(head + coded, 0xFFFF).to_bytes(2, "big") + coded


def _write_vector(encoder: RangeEncoder, numbers: tuple[int, ...], tables: SymbolTables, level: int) -> None:
    """Whether each is 0, then its sign, then how far beyond 1 it goes, step by step."""
    zeros, mores = tables.zero[level].tolist(), tables.more[level].tolist()
    for number, zero, more in zip(numbers, zeros, mores, strict=True):
        magnitude = abs(number)
        if magnitude > (MAX_MAGNITUDE if zero < CERTAIN else 0):
            raise ValueError(f"{number} cannot be sent")
        if zero == CERTAIN:
            continue
        encoder.encode_bit(number == 0, zero)
        if number:
            encoder.encode_number(number < 0, 2)
            for step in range(1, min(magnitude + 1, MAX_MAGNITUDE)):
                encoder.encode_bit(magnitude > step, more)


def _read_vector(decoder: RangeDecoder, tables: SymbolTables, level: int) -> tuple[int, ...]:
    numbers = []
    for zero, more in zip(tables.zero[level].tolist(), tables.more[level].tolist(), strict=True):
        if zero == CERTAIN or decoder.decode_bit(zero):
            numbers.append(0)
            continue
        negative, magnitude = decoder.decode_number(2), 1
        while magnitude < MAX_MAGNITUDE and decoder.decode_bit(more):
            magnitude += 1
        numbers.append(-magnitude if negative else magnitude)
    return tuple(numbers)
