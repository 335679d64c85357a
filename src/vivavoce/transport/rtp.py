"""RTP packets: RFC 3550 section 5.1, and the modular arithmetic of their counters.

The header extension stays opaque (RFC 3550 section 5.3.1): whoever wants the elements of RFC 8285 reads them from
`HeaderExtension.data`. The content of the padding is not kept, RFC 3550 tells receivers to ignore it. For Opus the
timestamp always counts at 48 kHz, whatever rate the codec runs at (RFC 7587 section 4.1).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vivavoce.errors import PacketError

RTP_VERSION = 2
OPUS_CLOCK_HZ = 48_000  # RFC 7587 section 4.1
OPUS_PAYLOAD_TYPE = 111  # Chrome's dynamic choice, which other stacks copied
RED_PAYLOAD_TYPE = 63
DRED_PAYLOAD_TYPE = 118  # of blocks inside RED, for peers that read no padding

_FIXED = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")
_MAX_CSRC = 15  # four bits of count
_MAX_PADDING = 255  # one byte of count, which counts itself
_MAX_EXTENSION_BYTES = 4 * 0xFFFF  # sixteen bits of count, in words

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True)
class HeaderExtension:
    """The one extension that an RTP header may carry (RFC 3550 section 5.3.1).

    Args:
        profile: The sixteen bits "defined by profile"; 0xBEDE and 0x100X mean RFC 8285 elements.
        data: Whole 32-bit words.

    Raises:
        ValueError: A field does not fit the format.
    """

    profile: int
    data: bytes

    def __post_init__(self) -> None:
        check_bits("profile", self.profile, 16)
        if len(self.data) % 4 or len(self.data) > _MAX_EXTENSION_BYTES:
            raise ValueError(f"extension data must be at most 65535 words of 4 bytes, got {len(self.data)} bytes")


@dataclass(frozen=True)
class RtpPacket:
    """One RTP data packet.

    Args:
        payload_type: 0 to 127.
        sequence_number: 16 bits.
        timestamp: 32 bits, in ticks of the payload's clock.
        ssrc: 32 bits, the synchronisation source.
        payload: Without padding.
        marker: For audio, the first packet after a silence in which nothing was sent.
        csrc: Up to 15 contributing sources of a mixer.
        extension: The header extension, None where the X bit is clear.
        padding_bytes: Bytes after the payload, their count byte included; 0 leaves the P bit clear.

    Raises:
        ValueError: A field does not fit the format.
    """

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrc: tuple[int, ...] = ()
    extension: HeaderExtension | None = None
    padding_bytes: int = 0

    def __post_init__(self) -> None:
        check_bits("payload_type", self.payload_type, 7)
        check_bits("sequence_number", self.sequence_number, 16)
        check_bits("timestamp", self.timestamp, 32)
        check_bits("ssrc", self.ssrc, 32)
        if len(self.csrc) > _MAX_CSRC:
            raise ValueError(f"csrc must have at most {_MAX_CSRC} sources, got {len(self.csrc)}")
        for source in self.csrc:
            check_bits("csrc", source, 32)
        if not 0 <= self.padding_bytes <= _MAX_PADDING:
            raise ValueError(f"padding_bytes must be in 0..{_MAX_PADDING}, got {self.padding_bytes}")

    @property
    def header_bytes(self) -> int:
        """Length of the header, CSRC and extension included."""
        extension = 0 if self.extension is None else _EXTENSION.size + len(self.extension.data)
        return _FIXED.size + 4 * len(self.csrc) + extension

    @classmethod
    def parse(cls, data: Buffer) -> RtpPacket:
        """Read a datagram.

        Raises:
            PacketError: It is no RTP packet of version 2, or shorter than its own fields say.
        """
        data = memoryview(data).tobytes()
        if len(data) < _FIXED.size:
            raise PacketError(f"RTP header needs {_FIXED.size} bytes, got {len(data)}")
        flags, marker_and_type, sequence_number, timestamp, ssrc = _FIXED.unpack_from(data)
        if flags >> 6 != RTP_VERSION:
            raise PacketError(f"RTP version must be {RTP_VERSION}, got {flags >> 6}")
        csrc_count = flags & 0x0F
        start = _FIXED.size + 4 * csrc_count
        if len(data) < start:
            raise PacketError(f"RTP header with {csrc_count} CSRC needs {start} bytes, got {len(data)}")
        csrc = struct.unpack_from(f"!{csrc_count}I", data, _FIXED.size)
        extension = None
        if flags & 0x10:
            extension = _parse_extension(data, start)
            start += _EXTENSION.size + len(extension.data)
        padding = 0
        if flags & 0x20:
            padding = data[-1] if len(data) > start else 0
            if not 1 <= padding <= len(data) - start:
                raise PacketError(f"RTP padding of {padding} bytes does not fit into {len(data) - start}")
        return cls(
            payload_type=marker_and_type & 0x7F,
            sequence_number=sequence_number,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=data[start : len(data) - padding],
            marker=bool(marker_and_type & 0x80),
            csrc=csrc,
            extension=extension,
            padding_bytes=padding,
        )

    def serialize(self) -> bytes:
        """Write the datagram."""
        flags = RTP_VERSION << 6 | bool(self.padding_bytes) << 5 | (self.extension is not None) << 4 | len(self.csrc)
        parts = [
            _FIXED.pack(flags, self.marker << 7 | self.payload_type, self.sequence_number, self.timestamp, self.ssrc),
            struct.pack(f"!{len(self.csrc)}I", *self.csrc),
        ]
        if self.extension is not None:
            parts.append(_EXTENSION.pack(self.extension.profile, len(self.extension.data) // 4) + self.extension.data)
        parts.append(self.payload)
        if self.padding_bytes:
            parts.append(bytes(self.padding_bytes - 1) + bytes([self.padding_bytes]))
        return b"".join(parts)


def sequence_delta(a: int, b: int) -> int:
    """How far sequence number `a` is ahead of `b`, in -32768..32767 (negative: behind)."""
    return ((a - b + 0x8000) & 0xFFFF) - 0x8000


def timestamp_delta(a: int, b: int) -> int:
    """How far timestamp `a` is ahead of `b` in ticks, in -2^31..2^31 - 1 (negative: behind)."""
    return ((a - b + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


def unwrap(value: int, reference: int, bits: int) -> int:
    """Find the number nearest to `reference` whose lowest `bits` bits are `value`.

    A value exactly half a turn away is taken as behind. Near the start of a stream the result may be negative.
    """
    half = 1 << (bits - 1)
    return reference + ((value - reference + half) & (2 * half - 1)) - half


def _parse_extension(data: bytes, start: int) -> HeaderExtension:
    if len(data) < start + _EXTENSION.size:
        raise PacketError("RTP header extension is truncated")
    profile, words = _EXTENSION.unpack_from(data, start)
    start += _EXTENSION.size
    if len(data) < start + 4 * words:
        raise PacketError(f"RTP header extension of {words} words does not fit into {len(data) - start} bytes")
    return HeaderExtension(profile, data[start : start + 4 * words])


def check_bits(name: str, value: int, bits: int) -> None:
    """Refuse a field that does not fit into `bits` unsigned bits.

    Raises:
        ValueError: It does not; the message names the field and the value.
    """
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{name} must be in 0..{(1 << bits) - 1}, got {value}")
