"""What all RTCP packets share: the common header of RFC 3550 section 6.4.1, and the walk through a compound packet.

Departure from the RFC: datagrams above `MAX_RTCP_BYTES` are refused. RFC 3550 wants reports to stay within the path's
MTU, and a hostile datagram full of four-byte packets or two-byte items would otherwise cost time without bound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import ClassVar, Self

from vivavoce.errors import PacketError
from vivavoce.transport.rtp import RTP_VERSION, Buffer

# Holds the longest single block that RFC 3611 knows, a Loss RLE of 65,533 packets without a run (8.8 kB).
MAX_RTCP_BYTES = 10_240
MAX_COUNT = 31  # the five bits that count report blocks, SDES chunks or leaving sources

_HEADER = struct.Struct("!BBH")


class RtcpFrame:
    """Base of the RTCP packets: a header around what the subclass reads and writes."""

    packet_type: ClassVar[int]

    @classmethod
    def parse(cls, data: Buffer) -> Self:
        """Read one RTCP packet, header and all; `rtcp.parse_compound` reads a datagram of several.

        Raises:
            PacketError: It is no packet of this type, or its lengths do not add up.
        """
        (packet_type, count, body), *more = walk(data)
        if more:
            raise PacketError(f"expected one RTCP packet, got {1 + len(more)}")
        if packet_type != cls.packet_type:
            raise PacketError(f"RTCP packet type must be {cls.packet_type}, got {packet_type}")
        return cls.read(count, body)

    def serialize(self) -> bytes:
        """Write the packet with its header."""
        return frame(self.packet_type, *self.write())

    @classmethod
    def read(cls, count: int, body: bytes) -> Self:
        """Read what follows the header, whose five bits of count are given, without padding."""
        raise NotImplementedError

    def write(self) -> tuple[int, bytes]:
        """Make the five bits of count, and what follows the header."""
        raise NotImplementedError


def walk(data: Buffer) -> Iterator[tuple[int, int, bytes]]:
    """Take a compound packet apart.

    Yields:
        Packet type, the five bits after the padding bit, and the body, of each packet; padding is gone.

    Raises:
        PacketError: A header is wrong, or the lengths do not add up to the datagram's.
    """
    data = memoryview(data).tobytes()
    if not _HEADER.size <= len(data) <= MAX_RTCP_BYTES:
        raise PacketError(f"RTCP needs {_HEADER.size} to {MAX_RTCP_BYTES} bytes, got {len(data)}")
    start = 0
    while start < len(data):
        if len(data) - start < _HEADER.size:
            raise PacketError(f"RTCP header is truncated to {len(data) - start} bytes")
        flags, packet_type, words = _HEADER.unpack_from(data, start)
        if flags >> 6 != RTP_VERSION:
            raise PacketError(f"RTCP version must be {RTP_VERSION}, got {flags >> 6}")
        end = start + 4 * (words + 1)
        if end > len(data):
            raise PacketError(f"RTCP packet of {end - start} bytes does not fit into {len(data) - start}")
        body = data[start + 4 : end]
        if flags & 0x20:
            if end != len(data):
                raise PacketError("only the last packet of an RTCP compound may be padded")
            body = _without_padding(body)
        yield packet_type, flags & 0x1F, body
        start = end


def frame(packet_type: int, count: int, body: bytes) -> bytes:
    """Put the common header before a body of whole words."""
    return _HEADER.pack(RTP_VERSION << 6 | count, packet_type, len(body) // 4) + body


def check_size(what: str, body_bytes: int) -> None:
    """Refuse a packet that would not fit into a datagram.

    Raises:
        ValueError: The body and its header are longer than `MAX_RTCP_BYTES`.
    """
    if body_bytes + _HEADER.size > MAX_RTCP_BYTES:
        raise ValueError(f"{what} must fit into {MAX_RTCP_BYTES} bytes, got {body_bytes + _HEADER.size}")


def check_count(what: str, count: int) -> None:
    """Refuse more parts than the header's five bits can count.

    Raises:
        ValueError: There are more than 31.
    """
    if count > MAX_COUNT:
        raise ValueError(f"{what} must be at most {MAX_COUNT}, got {count}")


def _without_padding(body: bytes) -> bytes:
    padding = body[-1] if body else 0
    if not padding or padding % 4 or padding > len(body):
        raise PacketError(f"RTCP padding must be whole words within the packet, got {padding} of {len(body)} bytes")
    return body[:-padding]
