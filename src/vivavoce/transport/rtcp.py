"""RTCP: sender and receiver reports, and the compound packets that carry all kinds, RFC 3550 section 6.

A datagram is a compound of several packets (section 6.1). What it may not be is refused: another first packet than a
report, padding before the end, lengths that do not add up. Packet types that are not known here are kept as they are,
so that a stack above can read them. The other kinds have files of their own: `rtcp_sdes` (descriptions and goodbyes),
`rtcp_xr` (extended reports), `rtcp_metrics` (times, jitter, bursts); their names are public here too.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from vivavoce.errors import PacketError
from vivavoce.transport.rtcp_frame import MAX_RTCP_BYTES, RtcpFrame, check_count, check_size, frame, walk
from vivavoce.transport.rtcp_metrics import (
    BurstMetrics,
    burst_metrics,
    compact_ntp,
    fraction_byte,
    interarrival_jitter,
    ntp_from_seconds,
    round_trip_time,
    seconds_from_ntp,
)
from vivavoce.transport.rtcp_sdes import CNAME, Goodbye, SourceChunk, SourceDescription
from vivavoce.transport.rtcp_xr import ExtendedReport, LossRle, UnknownBlock, VoipMetrics
from vivavoce.transport.rtp import Buffer, check_bits

__all__ = [
    "BurstMetrics",
    "CNAME",
    "ExtendedReport",
    "Goodbye",
    "LossRle",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "SenderReport",
    "SourceChunk",
    "SourceDescription",
    "UnknownBlock",
    "UnknownRtcp",
    "VoipMetrics",
    "burst_metrics",
    "compact_ntp",
    "fraction_byte",
    "interarrival_jitter",
    "is_rtcp",
    "ntp_from_seconds",
    "parse_compound",
    "round_trip_time",
    "seconds_from_ntp",
    "serialize_compound",
]

_BLOCK = struct.Struct("!IIIIII")
_SENDER_INFO = struct.Struct("!IQIII")
_SSRC = struct.Struct("!I")
_MAX_LOST, _MIN_LOST = 0x7FFFFF, -0x800000  # signed 24 bits; RFC 3550 appendix A.3 clamps to them


@dataclass(frozen=True)
class ReportBlock:
    """What a receiver says about one source (RFC 3550 section 6.4.1).

    Args:
        ssrc: The source that is reported on.
        fraction_lost: Share lost since the last report, times 256, 8 bits (`fraction_byte` makes it).
        cumulative_lost: Lost since the start, duplicates make it negative; clamped to signed 24 bits.
        highest_sequence: Highest sequence number received, with its turns in the upper 16 bits.
        jitter: Interarrival jitter in timestamp ticks.
        last_sr: `compact_ntp` of the last sender report, 0 if none came.
        delay_since_last_sr: From its arrival to this report, in 1/65536 s.

    Raises:
        ValueError: A field does not fit the format.
    """

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int = 0
    delay_since_last_sr: int = 0

    def __post_init__(self) -> None:
        check_bits("fraction_lost", self.fraction_lost, 8)
        for name in ("ssrc", "highest_sequence", "jitter", "last_sr", "delay_since_last_sr"):
            check_bits(name, getattr(self, name), 32)
        object.__setattr__(self, "cumulative_lost", max(_MIN_LOST, min(self.cumulative_lost, _MAX_LOST)))

    @classmethod
    def parse(cls, data: Buffer) -> ReportBlock:
        """Read the 24 bytes of a block.

        Raises:
            PacketError: There are more or fewer.
        """
        data = memoryview(data).tobytes()
        if len(data) != _BLOCK.size:
            raise PacketError(f"an RTCP report block has {_BLOCK.size} bytes, got {len(data)}")
        ssrc, losses, highest_sequence, jitter, last_sr, delay = _BLOCK.unpack(data)
        cumulative = ((losses & 0xFFFFFF) ^ 0x800000) - 0x800000
        return cls(ssrc, losses >> 24, cumulative, highest_sequence, jitter, last_sr, delay)

    def serialize(self) -> bytes:
        """Write the block's 24 bytes."""
        losses = self.fraction_lost << 24 | self.cumulative_lost & 0xFFFFFF
        return _BLOCK.pack(
            self.ssrc, losses, self.highest_sequence, self.jitter, self.last_sr, self.delay_since_last_sr
        )


@dataclass(frozen=True)
class SenderReport(RtcpFrame):
    """SR: when and how much a sender has sent, and what it hears (RFC 3550 section 6.4.1).

    Args:
        ssrc: The sender.
        ntp_timestamp: Now, 64 bits (`ntp_from_seconds`).
        rtp_timestamp: The same moment in ticks of the media clock, 32 bits.
        packet_count: RTP packets sent, 32 bits.
        octet_count: Payload bytes sent, 32 bits.
        reports: Up to 31 blocks on others.
        extension: Profile-specific words after the blocks.

    Raises:
        ValueError: A field does not fit the format.
    """

    ssrc: int
    ntp_timestamp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    packet_type: ClassVar[int] = 200

    def __post_init__(self) -> None:
        check_bits("ntp_timestamp", self.ntp_timestamp, 64)
        for name in ("ssrc", "rtp_timestamp", "packet_count", "octet_count"):
            check_bits(name, getattr(self, name), 32)
        _check_report("sender report", _SENDER_INFO.size, self.reports, self.extension)

    @classmethod
    def read(cls, count: int, body: bytes) -> SenderReport:
        if len(body) < _SENDER_INFO.size:
            raise PacketError(f"an RTCP sender report has at least {_SENDER_INFO.size} bytes, got {len(body)}")
        reports, extension = _read_reports(body, _SENDER_INFO.size, count)
        ssrc, ntp_timestamp, rtp_timestamp, packet_count, octet_count = _SENDER_INFO.unpack_from(body)
        return cls(ssrc, ntp_timestamp, rtp_timestamp, packet_count, octet_count, reports, extension)

    def write(self) -> tuple[int, bytes]:
        info = _SENDER_INFO.pack(self.ssrc, self.ntp_timestamp, self.rtp_timestamp, self.packet_count, self.octet_count)
        return len(self.reports), info + b"".join(block.serialize() for block in self.reports) + self.extension


@dataclass(frozen=True)
class ReceiverReport(RtcpFrame):
    """RR: what somebody hears who has sent nothing lately (RFC 3550 section 6.4.2).

    Args:
        ssrc: Who reports.
        reports: Up to 31 blocks; without any it says just that nothing was heard.
        extension: Profile-specific words after the blocks.

    Raises:
        ValueError: A field does not fit the format.
    """

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    packet_type: ClassVar[int] = 201

    def __post_init__(self) -> None:
        check_bits("ssrc", self.ssrc, 32)
        _check_report("receiver report", _SSRC.size, self.reports, self.extension)

    @classmethod
    def read(cls, count: int, body: bytes) -> ReceiverReport:
        if len(body) < _SSRC.size:
            raise PacketError("an RTCP receiver report needs an SSRC")
        (ssrc,) = _SSRC.unpack_from(body)
        return cls(ssrc, *_read_reports(body, _SSRC.size, count))

    def write(self) -> tuple[int, bytes]:
        blocks = b"".join(block.serialize() for block in self.reports)
        return len(self.reports), _SSRC.pack(self.ssrc) + blocks + self.extension


@dataclass(frozen=True)
class UnknownRtcp:
    """A packet of a type that is not read here, such as feedback (205, 206) or APP (204), kept as it came.

    Args:
        packet_type: 0 to 255, none of those that have a class here.
        count: The five bits after the padding bit: a count, a subtype, a format.
        body: Whole words after the header.

    Raises:
        ValueError: A field does not fit the format.
    """

    packet_type: int
    count: int
    body: bytes

    def __post_init__(self) -> None:
        check_bits("packet_type", self.packet_type, 8)
        check_bits("count", self.count, 5)
        if self.packet_type in _KNOWN:
            raise ValueError(f"packet_type {self.packet_type} has a class of its own")
        if len(self.body) % 4:
            raise ValueError(f"body must be whole words, got {len(self.body)} bytes")
        check_size("packet", len(self.body))

    @classmethod
    def parse(cls, data: Buffer) -> UnknownRtcp:
        """Read one RTCP packet.

        Raises:
            PacketError: It has a class of its own, or its lengths do not add up.
        """
        (packet_type, count, body), *more = walk(data)
        if more or packet_type in _KNOWN:
            raise PacketError(f"expected one RTCP packet of an unknown type, got {1 + len(more)} of {packet_type}")
        return cls(packet_type, count, body)

    def serialize(self) -> bytes:
        """Write the packet with its header."""
        return frame(self.packet_type, self.count, self.body)


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye | ExtendedReport | UnknownRtcp

_KNOWN: dict[int, type[SenderReport | ReceiverReport | SourceDescription | Goodbye | ExtendedReport]] = {
    kind.packet_type: kind for kind in (SenderReport, ReceiverReport, SourceDescription, Goodbye, ExtendedReport)
}
_REPORTS = (SenderReport.packet_type, ReceiverReport.packet_type)


def is_rtcp(datagram: Buffer) -> bool:
    """Tell RTCP from RTP where both share a port (RFC 5761 section 4)."""
    return len(datagram) >= 2 and 192 <= datagram[1] <= 223


def parse_compound(data: Buffer) -> list[RtcpPacket]:
    """Read an RTCP datagram.

    Returns:
        Its packets in order, at least one; padding is not kept.

    Raises:
        PacketError: It breaks a rule of RFC 3550 section 6.1, or a packet in it is malformed.
    """
    packets: list[RtcpPacket] = []
    read: dict[tuple[int, int, bytes], RtcpPacket] = {}  # once, however often a hostile datagram repeats it
    for each in walk(data):
        packet_type, count, body = each
        if not packets and packet_type not in _REPORTS:
            raise PacketError(f"an RTCP compound begins with a report, got packet type {packet_type}")
        if each not in read:
            known = _KNOWN.get(packet_type)
            read[each] = known.read(count, body) if known else UnknownRtcp(packet_type, count, body)
        packets.append(read[each])
    return packets


def serialize_compound(packets: Sequence[RtcpPacket]) -> bytes:
    """Write an RTCP datagram.

    Raises:
        ValueError: The first packet is no report, or the datagram would be too long.
    """
    if not packets or packets[0].packet_type not in _REPORTS:
        raise ValueError("an RTCP compound begins with a sender or receiver report")
    data = b"".join(packet.serialize() for packet in packets)
    if len(data) > MAX_RTCP_BYTES:
        raise ValueError(f"an RTCP compound has at most {MAX_RTCP_BYTES} bytes, got {len(data)}")
    return data


def _check_report(what: str, fixed_bytes: int, reports: tuple[ReportBlock, ...], extension: bytes) -> None:
    check_count("reports", len(reports))
    if len(extension) % 4:
        raise ValueError(f"extension must be whole words, got {len(extension)} bytes")
    check_size(what, fixed_bytes + _BLOCK.size * len(reports) + len(extension))


def _read_reports(body: bytes, start: int, count: int) -> tuple[tuple[ReportBlock, ...], bytes]:
    """Read the blocks of a report, and the profile's extension behind them."""
    end = start + _BLOCK.size * count
    if end > len(body):
        raise PacketError(f"RTCP report of {count} blocks does not fit into {len(body)} bytes")
    blocks = tuple(ReportBlock.parse(body[i : i + _BLOCK.size]) for i in range(start, end, _BLOCK.size))
    return blocks, body[end:]
