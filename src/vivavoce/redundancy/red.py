"""RED: earlier payloads repeated in later packets, RFC 2198, as WebRTC uses it for Opus.

A RED payload is a row of headers, then the blocks, oldest first, the primary last. The header of a redundant block says
how many ticks older than the packet it is (14 bits: 341 ms at 48 kHz) and how long it is (10 bits); the primary has
neither, it fills the rest.

Departure from the RFC: a payload with more than `MAX_BLOCKS` redundant blocks is refused, so that a hostile datagram
costs bounded time. Sixty-four kilobytes could hold 16,383 empty blocks, of no use to anybody.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from vivavoce.errors import PacketError

MAX_OFFSET = (1 << 14) - 1  # ticks; RFC 2198 section 3
MAX_BLOCK_BYTES = (1 << 10) - 1
# Headers alone of this many blocks fill 4 kB, three times an Ethernet frame.
MAX_BLOCKS = 1024
# Packets of 2.5 ms, the shortest of Opus, are 120 ticks apart: no copy from further back has an offset that fits.
MAX_DISTANCE = MAX_OFFSET // 120

_MAX_PAYLOAD_TYPE = 127


@dataclass(frozen=True)
class RedBlock:
    """A redundant block: an earlier payload once more.

    Args:
        payload_type: Of the block itself; it may differ from the primary's.
        timestamp_offset: Ticks that it is older than the packet's RTP timestamp, 0 to 16383.
        data: Up to 1023 bytes; may be empty.

    Raises:
        ValueError: A field does not fit the format.
    """

    payload_type: int
    timestamp_offset: int
    data: bytes

    def __post_init__(self) -> None:
        _check_payload_type(self.payload_type)
        if not 0 <= self.timestamp_offset <= MAX_OFFSET:
            raise ValueError(f"timestamp_offset must be in 0..{MAX_OFFSET}, got {self.timestamp_offset}")
        if len(self.data) > MAX_BLOCK_BYTES:
            raise ValueError(f"a redundant block has at most {MAX_BLOCK_BYTES} bytes, got {len(self.data)}")


@dataclass(frozen=True)
class RedPacket:
    """The payload of one RED packet: what is new, and copies of what was sent before.

    Args:
        payload_type: Of the primary block.
        data: The primary block; its timestamp is the RTP packet's.
        redundant: Copies in wire order, by custom the oldest first.

    Raises:
        ValueError: A field does not fit the format.
    """

    payload_type: int
    data: bytes
    redundant: tuple[RedBlock, ...] = ()

    def __post_init__(self) -> None:
        _check_payload_type(self.payload_type)
        if len(self.redundant) > MAX_BLOCKS:
            raise ValueError(f"a packet has at most {MAX_BLOCKS} redundant blocks, got {len(self.redundant)}")

    @classmethod
    def parse(cls, data: bytes | bytearray | memoryview) -> RedPacket:
        """Read an RTP payload of the RED payload type.

        Raises:
            PacketError: A header or a block is truncated, or there are more than `MAX_BLOCKS`.
        """
        data = memoryview(data).tobytes()
        headers, start = _parse_headers(data)
        payload_type = data[start - 1]
        if len(data) - start < sum(header & MAX_BLOCK_BYTES for header in headers):
            raise PacketError(f"RED blocks do not fit into {len(data) - start} bytes")
        blocks = []
        for header in headers:
            end = start + (header & MAX_BLOCK_BYTES)
            blocks.append(RedBlock(header >> 24 & 0x7F, header >> 10 & MAX_OFFSET, data[start:end]))
            start = end
        return cls(payload_type, data[start:], tuple(blocks))

    def serialize(self) -> bytes:
        """Write the RTP payload."""
        headers = [
            struct.pack("!I", 1 << 31 | block.payload_type << 24 | block.timestamp_offset << 10 | len(block.data))
            for block in self.redundant
        ]
        return b"".join([*headers, bytes([self.payload_type]), *(block.data for block in self.redundant), self.data])


class RedHistory:
    """The sender's memory: wraps each payload together with copies of those sent before.

    Distances count packets sent, so that after a silence without packets (DTX) the copy is of the last packet before
    it, and the offset says how long ago that was.

    Args:
        distances: How many packets back each copy is taken, such as (1,) or (1, 2), in any order; () adds none.
        max_payload_bytes: Leave out the oldest copies until the RED payload is no longer than this. Chrome's receiver
            goes silent for good on payloads above 1000 bytes (crbug 1248479). None: no limit.

    Attributes:
        left_out_offset: Copies left out because they were too long ago (or their timestamp lies ahead).
        left_out_length: Copies left out because they were longer than 1023 bytes.
        left_out_size: Copies left out for `max_payload_bytes`.

    Raises:
        ValueError: A distance is not in 1..136, or occurs twice.
    """

    def __init__(self, distances: tuple[int, ...], max_payload_bytes: int | None = None) -> None:
        for distance in distances:
            if not 1 <= distance <= MAX_DISTANCE:
                raise ValueError(f"a RED distance must be in 1..{MAX_DISTANCE} packets, got {distance}")
        if len(set(distances)) != len(distances):
            raise ValueError(f"RED distances must differ, got {distances}")
        if max_payload_bytes is not None and max_payload_bytes < 1:
            raise ValueError(f"max_payload_bytes must be positive, got {max_payload_bytes}")
        self.distances = tuple(sorted(distances, reverse=True))
        self.max_payload_bytes = max_payload_bytes
        self.left_out_offset = 0
        self.left_out_length = 0
        self.left_out_size = 0
        self._sent: deque[tuple[int, int, bytes]] = deque(maxlen=max(distances, default=0))

    @property
    def left_out(self) -> int:
        """Copies left out, for whatever reason."""
        return self.left_out_offset + self.left_out_length + self.left_out_size

    def wrap(
        self,
        payload_type: int,
        timestamp: int,
        primary: bytes,
        copy: bytes | None = None,
        beside: Sequence[RedBlock] = (),
    ) -> RedPacket:
        """Make the RED payload of the next packet.

        Args:
            payload_type: Of the primary block.
            timestamp: RTP timestamp of this packet, 32 bits.
            primary: The payload as it would be sent without RED.
            copy: What later packets repeat in its stead, such as a second encoding at a lower rate; None: the primary.
            beside: Further blocks of this packet alone.

        Returns:
            The payload, redundant blocks oldest first.
        """
        blocks = [block for distance in self.distances if (block := self._block(distance, timestamp)) is not None]
        if self.max_payload_bytes is not None:
            size = 1 + len(primary) + sum(4 + len(block.data) for block in (*blocks, *beside))
            while blocks and size > self.max_payload_bytes:
                size -= 4 + len(blocks.pop(0).data)
                self.left_out_size += 1
        packet = RedPacket(payload_type, primary, (*blocks, *beside))
        self._sent.append((payload_type, timestamp, primary if copy is None else copy))
        return packet

    def reset(self) -> None:
        """Forget what was sent, as for a new SSRC; the counters stay."""
        self._sent.clear()

    def _block(self, distance: int, timestamp: int) -> RedBlock | None:
        if distance > len(self._sent):
            return None
        payload_type, sent_timestamp, data = self._sent[-distance]
        offset = (timestamp - sent_timestamp) & 0xFFFF_FFFF
        if offset > MAX_OFFSET:
            self.left_out_offset += 1
            return None
        if len(data) > MAX_BLOCK_BYTES:
            self.left_out_length += 1
            return None
        return RedBlock(payload_type, offset, data)


def _parse_headers(data: bytes) -> tuple[list[int], int]:
    """Read the 32-bit headers of the redundant blocks, and find where the blocks begin."""
    headers: list[int] = []
    start = 0
    while start < len(data):
        if not data[start] & 0x80:
            return headers, start + 1
        if len(headers) == MAX_BLOCKS:
            raise PacketError(f"RED payload has more than {MAX_BLOCKS} redundant blocks")
        headers.append(int.from_bytes(data[start : start + 4], "big"))
        start += 4
    raise PacketError(f"RED payload of {len(data)} bytes ends before the header of its primary block")


def _check_payload_type(payload_type: int) -> None:
    if not 0 <= payload_type <= _MAX_PAYLOAD_TYPE:
        raise ValueError(f"payload_type must be in 0..{_MAX_PAYLOAD_TYPE}, got {payload_type}")
