"""The Opus packet around its frames: RFC 6716 section 3.

A packet is a TOC byte (configuration, stereo flag, one of four framing codes), one to 48 frames of equal duration, and
for code 3 optional padding, in which newer encoders put extensions (`vivavoce.codec.extensions`). The parser enforces
the rules R1 to R7 of section 3.4 and accepts exactly the packets that libopus's `opus_packet_parse` accepts; the frames
stay opaque but for `has_lbrr`, which reads the one flag that a receiver needs before it decodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from vivavoce.errors import PacketError

Mode = Literal["silk", "hybrid", "celt"]

MAX_FRAME_BYTES = 1275  # R2
MAX_PACKET_SAMPLES = 5760  # R5: 120 ms at 48 kHz

_SILK_SAMPLES = (480, 960, 1920, 2880)  # 10, 20, 40, 60 ms at 48 kHz
_CELT_SAMPLES = (120, 240, 480, 960)  # 2.5, 5, 10, 20 ms
_SILK_FRAME_SAMPLES = 960  # SILK itself knows frames up to 20 ms, RFC 6716 section 4.2

_VBR, _PADDED = 0x80, 0x40  # flags of code 3's frame count byte, RFC 6716 figure 5
_LONG_LENGTH = 252  # from here on a frame length takes two bytes, section 3.2.1
_PADDING_STEP = 254  # bytes that a padding length of 255 stands for, after which another length follows, section 3.2.5


@dataclass(frozen=True)
class OpusPacket:
    """One Opus packet.

    Args:
        config: 0 to 31: mode, bandwidth and frame duration, RFC 6716 table 2.
        stereo: Whether the frames hold two channels.
        frames: One to 48 compressed frames of up to 1275 bytes, together at most 120 ms; an empty one is a frame that
            DTX left out or the network lost.
        padding: What follows the frames, often extensions. None: the packet has no padding, and is written with the
            smallest framing code; otherwise it is written with code 3.

    Raises:
        ValueError: A field is outside its range.
    """

    config: int
    stereo: bool
    frames: tuple[bytes, ...]
    padding: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.config < 32:
            raise ValueError(f"config must be in [0, 31], got {self.config}")
        most = MAX_PACKET_SAMPLES // self.frame_samples
        if not 1 <= len(self.frames) <= most:
            raise ValueError(f"config {self.config} allows 1 to {most} frames, got {len(self.frames)}")
        longest = max(map(len, self.frames))
        if longest > MAX_FRAME_BYTES:
            raise ValueError(f"a frame holds at most {MAX_FRAME_BYTES} bytes, got one of {longest}")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse one packet, as long as the whole of `data`.

        Raises:
            PacketError: The bytes break one of the rules R1 to R7.
        """
        if not data:
            raise PacketError("an Opus packet has at least one byte")
        toc, rest = data[0], bytes(data[1:])
        code, padding = toc & 3, None
        if code == 0:
            frames = (rest,)
        elif code == 1:
            frames = _cut_equally(rest, 2)
        elif code == 2:
            frames = _cut_by_lengths(rest, 2)
        else:
            frames, padding = _parse_code_3(rest, frame_samples(data))
        longest = max(map(len, frames))
        if longest > MAX_FRAME_BYTES:
            raise PacketError(f"an Opus frame of {longest} bytes, more than {MAX_FRAME_BYTES}")
        return cls(config=toc >> 3, stereo=bool(toc & 4), frames=frames, padding=padding)

    def serialize(self) -> bytes:
        """Write the packet as short as its frames and padding allow."""
        toc = self.config << 3 | self.stereo << 2
        constant = len(set(map(len, self.frames))) == 1
        body = b"".join(self.frames)
        lengths = b"" if constant else b"".join(_length_bytes(len(frame)) for frame in self.frames[:-1])
        if self.padding is None and len(self.frames) == 1:
            return bytes((toc,)) + body
        if self.padding is None and len(self.frames) == 2:
            return bytes((toc | (1 if constant else 2),)) + lengths + body
        count = len(self.frames) | (0 if constant else _VBR) | (0 if self.padding is None else _PADDED)
        padding_length = b"" if self.padding is None else _padding_length_bytes(len(self.padding))
        return bytes((toc | 3, count)) + padding_length + lengths + body + (self.padding or b"")

    @property
    def mode(self) -> Mode:
        """Which of Opus's coders made the frames."""
        return _mode(self.config)

    @property
    def bandwidth(self) -> Literal["narrowband", "mediumband", "wideband", "superwideband", "fullband"]:
        """The audio bandwidth of the frames."""
        if self.mode == "silk":
            return ("narrowband", "mediumband", "wideband")[self.config // 4]
        if self.mode == "hybrid":
            return "superwideband" if self.config < 14 else "fullband"
        return ("narrowband", "wideband", "superwideband", "fullband")[(self.config - 16) // 4]

    @property
    def frame_samples(self) -> int:
        """Duration of one frame in 48-kHz samples."""
        return _samples_of(self.config)

    @property
    def samples(self) -> int:
        """Duration of the packet in 48-kHz samples, the unit of RTP timestamps (RFC 7587 section 4.1)."""
        return len(self.frames) * self.frame_samples


def is_dtx(data: bytes) -> bool:
    """Whether a packet says no more than that nobody speaks: libopus gives such frames at most two bytes."""
    return len(data) <= 2


def is_bare(data: bytes) -> bool:
    """Whether a packet is valid and holds one frame and nothing else: code 0."""
    return 1 <= len(data) <= 1 + MAX_FRAME_BYTES and data[0] & 3 == 0


def padded(data: bytes, padding: bytes) -> bytes:
    """A packet of one frame and nothing else (`is_bare`), with padding: code 3."""
    return b"".join((bytes((data[0] | 3, 1 | _PADDED)), _padding_length_bytes(len(padding)), data[1:], padding))


def frame_samples(data: bytes) -> int:
    """Duration of each frame of a packet in 48-kHz samples, read from the TOC byte.

    Raises:
        PacketError: The packet is empty.
    """
    if not data:
        raise PacketError("an Opus packet has at least one byte")
    return _samples_of(data[0] >> 3)


def packet_samples(data: bytes) -> int:
    """Duration of a packet in 48-kHz samples, read from its first two bytes; the rest is not looked at.

    Raises:
        PacketError: The two bytes break rule R1 or R5, or the second one is missing.
    """
    each = frame_samples(data)
    code = data[0] & 3
    if code < 3:
        return each if code == 0 else 2 * each
    if len(data) < 2:
        raise PacketError("an Opus packet of code 3 has at least two bytes")
    return _frame_count(data[1], each) * each


def has_lbrr(data: bytes) -> bool:
    """Whether a packet carries a copy of the frame before it (low bit-rate redundancy, in-band FEC).

    The first symbols of a SILK or hybrid frame are its flags: for the mid and then, in stereo, for the side channel, a
    voice activity flag for each 20 ms and one LBRR flag (RFC 6716 sections 4.2.3 and 4.2.4). Each is a symbol of
    probability 1/2 and the range decoder starts with a range of a power of two, so that they are the bits of the first
    byte, highest first; the most there can be, those of 60-ms stereo, are just eight. Only the first frame counts:
    its LBRR copies what came before the packet.

    Raises:
        PacketError: The packet is corrupt.
    """
    packet = OpusPacket.parse(data)
    first = packet.frames[0]
    if packet.mode == "celt" or not first:
        return False
    activity_flags = max(1, packet.frame_samples // _SILK_FRAME_SAMPLES)
    mid = first[0] >> (7 - activity_flags) & 1
    side = first[0] >> (6 - 2 * activity_flags) & 1
    return bool(mid or (packet.stereo and side))


def _mode(config: int) -> Mode:
    return "silk" if config < 12 else "hybrid" if config < 16 else "celt"


def _samples_of(config: int) -> int:
    mode = _mode(config)
    if mode == "silk":
        return _SILK_SAMPLES[config & 3]
    return _SILK_SAMPLES[config & 1] if mode == "hybrid" else _CELT_SAMPLES[config & 3]


def _frame_count(count_byte: int, each: int) -> int:
    """Frames that code 3's count byte announces (rule R5)."""
    count = count_byte & 63
    if count == 0 or count * each > MAX_PACKET_SAMPLES:
        raise PacketError(f"an Opus packet of {count} frames of {each / 48:g} ms: 1 frame to 120 ms are allowed")
    return count


def _parse_code_3(rest: bytes, each: int) -> tuple[tuple[bytes, ...], bytes | None]:
    """Frames and padding of what follows the TOC byte of code 3 (section 3.2.5, R5 to R7)."""
    if not rest:
        raise PacketError("an Opus packet of code 3 has at least two bytes")
    count = _frame_count(rest[0], each)
    at, end, padding = 1, len(rest), None
    if rest[0] & _PADDED:
        padding_bytes, at = _read_padding_length(rest, at)
        end -= padding_bytes
        if end < at:
            raise PacketError(f"{padding_bytes} bytes of padding in an Opus packet with {len(rest) - at} bytes left")
        padding = rest[end:]
    cut = _cut_by_lengths if rest[0] & _VBR else _cut_equally
    return cut(rest[at:end], count), padding


def _read_padding_length(rest: bytes, at: int) -> tuple[int, int]:
    """The padding length that starts at `at`, and where it ends."""
    total = 0
    while at < len(rest) and total <= len(rest):
        length = rest[at]
        at += 1
        if length < 255:
            return total + length, at
        total += _PADDING_STEP
    raise PacketError("the padding length of an Opus packet ends behind it")


def _cut_equally(body: bytes, count: int) -> tuple[bytes, ...]:
    """Frames of constant size (codes 1 and 3, R3 and R6)."""
    size, left = divmod(len(body), count)
    if left:
        raise PacketError(f"{len(body)} bytes of an Opus packet do not make {count} frames of equal size")
    return tuple(body[at * size : (at + 1) * size] for at in range(count))


def _cut_by_lengths(body: bytes, count: int) -> tuple[bytes, ...]:
    """Frames of variable size: all lengths but the last, then all frames (codes 2 and 3, R4 and R7)."""
    at, sizes = 0, []
    for _ in range(count - 1):
        width = 1 if body[at : at + 1] < bytes((_LONG_LENGTH,)) else 2
        if at + width > len(body):
            raise PacketError("a frame length of an Opus packet is cut off")
        sizes.append(body[at] + (4 * body[at + 1] if width == 2 else 0))
        at += width
    frames = []
    for size in sizes:
        frames.append(body[at : at + size])
        at += size
    if at > len(body):
        raise PacketError(f"the frames of an Opus packet end {at - len(body)} bytes behind it")
    return (*frames, body[at:])


def _length_bytes(length: int) -> bytes:
    """A frame length: one byte below 252, otherwise two (section 3.2.1)."""
    if length < _LONG_LENGTH:
        return bytes((length,))
    low = _LONG_LENGTH + (length & 3)
    return bytes((low, (length - low) // 4))


def _padding_length_bytes(length: int) -> bytes:
    """A padding length: as many 255 as needed, each for 254 bytes, and a last byte below 255."""
    steps = max(0, length - 1) // _PADDING_STEP
    return b"\xff" * steps + bytes((length - steps * _PADDING_STEP,))
