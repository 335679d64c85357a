"""Who takes part, and who leaves: the RTCP packets SDES and BYE, RFC 3550 sections 6.5 and 6.6."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from vivavoce.errors import PacketError
from vivavoce.transport.rtcp_frame import RtcpFrame, check_count, check_size
from vivavoce.transport.rtp import check_bits

CNAME = 1  # the item that every participant must send, RFC 3550 section 6.5.1

_SSRC = struct.Struct("!I")


@dataclass(frozen=True)
class SourceChunk:
    """The items that describe one source, such as its CNAME.

    Args:
        ssrc: The source, or a CSRC.
        items: Type (1..255) and value (up to 255 bytes, UTF-8 by the RFC but kept as bytes) of each.

    Raises:
        ValueError: A field does not fit the format.
    """

    ssrc: int
    items: tuple[tuple[int, bytes], ...]

    def __post_init__(self) -> None:
        check_bits("ssrc", self.ssrc, 32)
        for kind, value in self.items:
            if not 1 <= kind <= 255 or len(value) > 255:
                raise ValueError(f"an SDES item has a type in 1..255 and up to 255 bytes, got {kind}, {len(value)}")

    @property
    def size(self) -> int:
        """Bytes on the wire: the items end with at least one null, and with a word."""
        return 4 + _words(1 + sum(2 + len(value) for _, value in self.items))

    def serialize(self) -> bytes:
        """Write the chunk."""
        items = b"".join(bytes([kind, len(value)]) + value for kind, value in self.items)
        return (_SSRC.pack(self.ssrc) + items).ljust(self.size, b"\0")


@dataclass(frozen=True)
class SourceDescription(RtcpFrame):
    """SDES: who the sources are (RFC 3550 section 6.5).

    Args:
        chunks: Up to 31, one a source.

    Raises:
        ValueError: A field does not fit the format.
    """

    chunks: tuple[SourceChunk, ...]

    packet_type: ClassVar[int] = 202

    def __post_init__(self) -> None:
        check_count("chunks", len(self.chunks))
        check_size("source description", sum([chunk.size for chunk in self.chunks]))

    @classmethod
    def named(cls, ssrc: int, cname: str) -> SourceDescription:
        """Make the description that every compound carries: one source and its canonical name."""
        return cls((SourceChunk(ssrc, ((CNAME, cname.encode()),)),))

    @classmethod
    def read(cls, count: int, body: bytes) -> SourceDescription:
        chunks = []
        start = 0
        for _ in range(count):
            chunk, start = _read_chunk(body, start)
            chunks.append(chunk)
        if start != len(body):
            raise PacketError(f"RTCP source description has {len(body) - start} bytes after its {count} chunks")
        return cls(tuple(chunks))

    def write(self) -> tuple[int, bytes]:
        return len(self.chunks), b"".join(chunk.serialize() for chunk in self.chunks)


@dataclass(frozen=True)
class Goodbye(RtcpFrame):
    """BYE: sources that leave (RFC 3550 section 6.6).

    Args:
        sources: Up to 31 SSRCs.
        reason: Up to 255 bytes of text, None where there is no such field.

    Raises:
        ValueError: A field does not fit the format.
    """

    sources: tuple[int, ...]
    reason: bytes | None = None

    packet_type: ClassVar[int] = 203

    def __post_init__(self) -> None:
        check_count("sources", len(self.sources))
        for source in self.sources:
            check_bits("source", source, 32)
        if self.reason is not None and len(self.reason) > 255:
            raise ValueError(f"reason must have at most 255 bytes, got {len(self.reason)}")

    @classmethod
    def read(cls, count: int, body: bytes) -> Goodbye:
        if len(body) < 4 * count:
            raise PacketError(f"RTCP goodbye of {count} sources does not fit into {len(body)} bytes")
        sources = struct.unpack_from(f"!{count}I", body)
        text = body[4 * count :]
        if not text:
            return cls(sources)
        if len(text) != _words(1 + text[0]):
            raise PacketError(f"RTCP goodbye with a reason of {text[0]} bytes does not end after {len(text)}")
        return cls(sources, text[1 : 1 + text[0]])

    def write(self) -> tuple[int, bytes]:
        body = struct.pack(f"!{len(self.sources)}I", *self.sources)
        if self.reason is not None:
            text = bytes([len(self.reason)]) + self.reason
            body += text.ljust(_words(len(text)), b"\0")
        return len(self.sources), body


def _read_chunk(body: bytes, start: int) -> tuple[SourceChunk, int]:
    """Read the chunk at `start`, and find where the next one begins."""
    if start + 4 > len(body):
        raise PacketError("RTCP source description ends before a chunk")
    (ssrc,) = _SSRC.unpack_from(body, start)
    items = []
    position = start + 4
    # The body is whole words and so is `start`: a null that is found always lies in a word that is complete.
    while position < len(body) and body[position]:
        value = position + 2
        position = value + body[position + 1] if value <= len(body) else value
        if position >= len(body):
            raise PacketError("RTCP source description ends within an item")
        items.append((body[value - 2], body[value:position]))
    if position >= len(body):
        raise PacketError("RTCP source description lacks the null after its items")
    return SourceChunk(ssrc, tuple(items)), start + _words(position + 1 - start)


def _words(count: int) -> int:
    """Round up to whole words of four bytes."""
    return -(-count // 4) * 4
