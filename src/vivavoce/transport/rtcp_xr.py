"""RTCP extended reports (XR), RFC 3611: VoIP metrics, run-length coded losses, and whatever else, unread.

`LossRle` keeps its chunks as they came and decodes them only on demand: five words can stand for 65,533 packets, so a
datagram that names many would otherwise grow four-hundred-fold in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from vivavoce.errors import PacketError
from vivavoce.transport.rtcp_frame import RtcpFrame, check_size
from vivavoce.transport.rtcp_metrics import GMIN, burst_metrics, fraction_byte
from vivavoce.transport.rtp import check_bits

UNAVAILABLE = 127  # levels and scores that nobody measured, RFC 3611 sections 4.7.3 to 4.7.5

FIXED, ADAPTIVE = 0x20, 0x30  # jitter buffers in `receiver_config`, RFC 3611 section 4.7.6

_SSRC = struct.Struct("!I")
_BLOCK_HEADER = struct.Struct("!BBH")
_RLE = struct.Struct("!IHH")
_VOIP = struct.Struct("!IBBBBHHHHbbBBBBBBBxHHH")
_MAX_RANGE = 65_533  # RFC 3611 section 4.1: a report must not cover 65,534 sequence numbers or more
_VECTOR_BITS = 15
_MAX_RUN = 0x3FFF


@dataclass(frozen=True)
class VoipMetrics:
    """How a call sounds from the receiver's end (RFC 3611 section 4.7); `measured` fills it from a trace.

    Args:
        ssrc: The source that is reported on.
        loss_rate: Share lost since the start, times 256, 8 bits, as all shares here.
        discard_rate: Share that came too late or too early.
        burst_density: Share lost or discarded within bursts.
        gap_density: The same within gaps.
        burst_duration: Mean of a burst, ms, 16 bits.
        gap_duration: Mean of a gap, ms.
        round_trip_delay: ms, 0 where unknown.
        end_system_delay: ms, 0 where unknown.
        signal_level: dBm0, -128 to 127.
        noise_level: dBm0.
        residual_echo_return_loss: dB.
        gmin: Packets in a row that must arrive to end a burst, 8 bits.
        r_factor: Quality of this segment, 0 to 100.
        external_r_factor: Quality of a segment beyond this network.
        mos_lq: Listening quality times 10, 10 to 50.
        mos_cq: Conversational quality times 10.
        receiver_config: PLC (2 bits), adaptive jitter buffer (2 bits) and its rate (4 bits).
        buffer_nominal: Jitter buffer delay, ms.
        buffer_maximum: What it grew to, ms.
        buffer_limit: What it can grow to, ms.

    Raises:
        ValueError: A field does not fit the format.
    """

    ssrc: int
    loss_rate: int = 0
    discard_rate: int = 0
    burst_density: int = 0
    gap_density: int = 0
    burst_duration: int = 0
    gap_duration: int = 0
    round_trip_delay: int = 0
    end_system_delay: int = 0
    signal_level: int = UNAVAILABLE
    noise_level: int = UNAVAILABLE
    residual_echo_return_loss: int = UNAVAILABLE
    gmin: int = GMIN
    r_factor: int = UNAVAILABLE
    external_r_factor: int = UNAVAILABLE
    mos_lq: int = UNAVAILABLE
    mos_cq: int = UNAVAILABLE
    receiver_config: int = 0
    buffer_nominal: int = 0
    buffer_maximum: int = 0
    buffer_limit: int = 0

    block_type: ClassVar[int] = 7
    size: ClassVar[int] = _BLOCK_HEADER.size + _VOIP.size

    @property
    def adaptive(self) -> bool:
        """Whether the jitter buffer says that it follows the network."""
        return self.receiver_config & ADAPTIVE == ADAPTIVE

    def __post_init__(self) -> None:
        try:
            self._body()
        except struct.error as error:
            raise ValueError(f"a VoIP metric does not fit its field ({error}): {self}") from None

    @classmethod
    def measured(cls, ssrc: int, lost: Sequence[bool], packet_ms: float, gmin: int = GMIN) -> VoipMetrics:
        """Fill in what a loss trace says; `dataclasses.replace` adds the rest.

        Args:
            ssrc: The source.
            lost: One flag a packet since the start, in sending order.
            packet_ms: Duration of a packet.
            gmin: As in `burst_metrics`.
        """
        bursts = burst_metrics(lost, packet_ms, gmin)
        return cls(
            ssrc,
            loss_rate=fraction_byte(sum(map(bool, lost)) / max(len(lost), 1)),
            burst_density=fraction_byte(bursts.burst_density),
            gap_density=fraction_byte(bursts.gap_density),
            burst_duration=min(round(bursts.burst_duration_ms), 0xFFFF),
            gap_duration=min(round(bursts.gap_duration_ms), 0xFFFF),
            gmin=gmin,
        )

    @classmethod
    def read(cls, specific: int, body: bytes) -> VoipMetrics:
        """Read what follows the block's header; its type-specific byte is reserved."""
        if len(body) != _VOIP.size:
            raise PacketError(f"XR VoIP metrics have {_VOIP.size} bytes, got {len(body)}")
        return cls(*_VOIP.unpack(body))

    def serialize(self) -> bytes:
        """Write the block with its header."""
        return _BLOCK_HEADER.pack(self.block_type, 0, _VOIP.size // 4) + self._body()

    def _body(self) -> bytes:
        return _VOIP.pack(*(getattr(self, field.name) for field in fields(self)))


@dataclass(frozen=True)
class LossRle:
    """Which packets of a range arrived, run-length coded (RFC 3611 section 4.1); `of` makes it from flags.

    Args:
        ssrc: The source that is reported on.
        begin_sequence: First sequence number of the range.
        end_sequence: The one after the last.
        chunks: 16 bits each, without the null at the end; what they say beyond the range is ignored.
        thinning: Only sequence numbers divisible by 2^thinning are reported, 0 to 15.

    Raises:
        ValueError: A field does not fit the format, or the chunks do not reach the end of the range.
    """

    ssrc: int
    begin_sequence: int
    end_sequence: int
    chunks: tuple[int, ...]
    thinning: int = 0

    block_type: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_bits("ssrc", self.ssrc, 32)
        check_bits("begin_sequence", self.begin_sequence, 16)
        check_bits("end_sequence", self.end_sequence, 16)
        check_bits("thinning", self.thinning, 4)
        if (fault := _rle_fault(self.begin_sequence, self.end_sequence, self.thinning, self.chunks)) is not None:
            raise ValueError(fault)

    @classmethod
    def of(cls, ssrc: int, begin_sequence: int, lost: Sequence[bool], thinning: int = 0) -> LossRle:
        """Code a trace.

        Args:
            ssrc: The source.
            begin_sequence: Sequence number of the first flag.
            lost: One flag a packet, also for those that thinning leaves out; at most 65533.
            thinning: As above.

        Raises:
            ValueError: The trace is too long, or a field does not fit.
        """
        if len(lost) > _MAX_RANGE:
            raise ValueError(f"a Loss RLE block covers at most {_MAX_RANGE} packets, got {len(lost)}")
        check_bits("begin_sequence", begin_sequence, 16)
        check_bits("thinning", thinning, 4)
        reported = lost[-begin_sequence % (1 << thinning) :: 1 << thinning]
        end_sequence = (begin_sequence + len(lost)) & 0xFFFF
        return cls(ssrc, begin_sequence, end_sequence, _rle_chunks([not flag for flag in reported]), thinning)

    @property
    def sequence_numbers(self) -> range:
        """Those that are reported, unwrapped: they count on from `begin_sequence` beyond 65535."""
        return _reported(self.begin_sequence, self.end_sequence, self.thinning)

    @property
    def lost(self) -> list[bool]:
        """One flag for each of `sequence_numbers`."""
        wanted = len(self.sequence_numbers)
        flags: list[bool] = []
        for chunk in self.chunks:
            if len(flags) >= wanted:
                break
            if chunk & 0x8000:
                flags += [not chunk >> bit & 1 for bit in reversed(range(_VECTOR_BITS))]
            else:
                flags += [not chunk & 0x4000] * (chunk & _MAX_RUN)
        return flags[:wanted]

    @property
    def size(self) -> int:
        """Bytes on the wire: an odd number of chunks is followed by a null."""
        return _BLOCK_HEADER.size + _RLE.size + 4 * ((len(self.chunks) + 1) // 2)

    @classmethod
    def read(cls, specific: int, body: bytes) -> LossRle:
        """Read what follows the block's header, whose type-specific byte ends with the thinning."""
        if len(body) < _RLE.size:
            raise PacketError(f"an XR Loss RLE block has at least {_RLE.size} bytes, got {len(body)}")
        ssrc, begin, end = _RLE.unpack_from(body)
        chunks = struct.unpack_from(f"!{(len(body) - _RLE.size) // 2}H", body, _RLE.size)
        if 0 in chunks:  # the null chunk ends the list, wherever it stands
            chunks = chunks[: chunks.index(0)]
        if (fault := _rle_fault(begin, end, specific & 0x0F, chunks)) is not None:
            raise PacketError(f"XR Loss RLE: {fault}")
        return cls(ssrc, begin, end, chunks, specific & 0x0F)

    def serialize(self) -> bytes:
        """Write the block with its header."""
        header = _BLOCK_HEADER.pack(self.block_type, self.thinning, self.size // 4 - 1)
        chunks = struct.pack(f"!{len(self.chunks)}H", *self.chunks)
        return (header + _RLE.pack(self.ssrc, self.begin_sequence, self.end_sequence) + chunks).ljust(self.size, b"\0")


@dataclass(frozen=True)
class UnknownBlock:
    """A report block of a type that is not read here, kept as it came.

    Args:
        block_type: 0 to 255, none of those that have a class here.
        specific: The type-specific byte.
        body: Whole words after the header.

    Raises:
        ValueError: A field does not fit the format.
    """

    block_type: int
    specific: int
    body: bytes

    def __post_init__(self) -> None:
        check_bits("block_type", self.block_type, 8)
        check_bits("specific", self.specific, 8)
        if self.block_type in _KNOWN:
            raise ValueError(f"block_type {self.block_type} has a class of its own")
        if len(self.body) % 4:
            raise ValueError(f"body must be whole words, got {len(self.body)} bytes")

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return _BLOCK_HEADER.size + len(self.body)

    def serialize(self) -> bytes:
        """Write the block with its header."""
        return _BLOCK_HEADER.pack(self.block_type, self.specific, len(self.body) // 4) + self.body


ReportBlockXr = VoipMetrics | LossRle | UnknownBlock

_KNOWN: dict[int, type[VoipMetrics | LossRle]] = {kind.block_type: kind for kind in (VoipMetrics, LossRle)}


@dataclass(frozen=True)
class ExtendedReport(RtcpFrame):
    """XR: any number of report blocks (RFC 3611 section 2).

    Args:
        ssrc: Who reports.
        blocks: In wire order.

    Raises:
        ValueError: A field does not fit the format, or the blocks no datagram.
    """

    ssrc: int
    blocks: tuple[ReportBlockXr, ...]

    packet_type: ClassVar[int] = 207

    def __post_init__(self) -> None:
        check_bits("ssrc", self.ssrc, 32)
        check_size("extended report", _SSRC.size + sum(block.size for block in self.blocks))

    @classmethod
    def read(cls, count: int, body: bytes) -> ExtendedReport:
        if len(body) < _SSRC.size:
            raise PacketError("an RTCP extended report needs an SSRC")
        blocks: list[ReportBlockXr] = []
        start = _SSRC.size
        while start < len(body):
            block_type, specific, words = _BLOCK_HEADER.unpack_from(body, start)  # the body is whole words
            start += _BLOCK_HEADER.size
            end = start + 4 * words
            if end > len(body):
                raise PacketError(f"XR block of {4 * words} bytes does not fit into {len(body) - start}")
            known = _KNOWN.get(block_type)
            data = body[start:end]
            blocks.append(known.read(specific, data) if known else UnknownBlock(block_type, specific, data))
            start = end
        (ssrc,) = _SSRC.unpack_from(body)
        return cls(ssrc, tuple(blocks))

    def write(self) -> tuple[int, bytes]:
        return 0, _SSRC.pack(self.ssrc) + b"".join(block.serialize() for block in self.blocks)


def _reported(begin: int, end: int, thinning: int) -> range:
    step = 1 << thinning
    return range(begin + -begin % step, begin + ((end - begin) & 0xFFFF), step)


def _rle_fault(begin: int, end: int, thinning: int, chunks: Sequence[int]) -> str | None:
    """Say what is wrong with a block, None if nothing is."""
    if (end - begin) & 0xFFFF > _MAX_RANGE:
        return f"a block covers at most {_MAX_RANGE} packets, got {begin} to {end}"
    covered = 0
    for chunk in chunks:
        if not 0 < chunk <= 0xFFFF or chunk == 0x4000:
            return f"chunk {chunk:#06x} is neither a run of at least one packet nor a bit vector"
        covered += _VECTOR_BITS if chunk & 0x8000 else chunk & _MAX_RUN
    if covered < (wanted := len(_reported(begin, end, thinning))):
        return f"the chunks tell of {covered} packets, the range {begin} to {end} has {wanted}"
    return None


def _rle_chunks(received: list[bool]) -> tuple[int, ...]:
    """Code flags: a run chunk where it is no worse than the 15 bits of a vector, else a vector."""
    chunks = []
    start = 0
    while start < len(received):
        run = 1
        while run < _MAX_RUN and start + run < len(received) and received[start + run] == received[start]:
            run += 1
        if run >= _VECTOR_BITS:
            chunks.append(received[start] << 14 | run)
            start += run
        else:
            bits = received[start : start + _VECTOR_BITS]
            vector = sum(flag << (_VECTOR_BITS - 1 - i) for i, flag in enumerate(bits))
            chunks.append(0x8000 | vector)
            start += _VECTOR_BITS
    return tuple(chunks)
