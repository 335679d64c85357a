"""What is fuzzed, and what every input is held against.

A target makes a check: it gets bytes, and raises what a fuzzer should report. Allowed is only the parser's own error;
what was read must be read again the same after it was written; parsing a datagram of 64 KiB may cost 10 ms of CPU and a
bounded number of bytes. The last two are tried on inputs that are grown to 64 KiB by repeating their end, for one in
`_GROWN_ONE_IN` inputs, chosen by the input itself so that a reproducer reproduces.
"""

from __future__ import annotations

import math
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

Check = Callable[[bytes], None]

DATAGRAM_BYTES = 65_536
CPU_LIMIT_S = 0.010
INSTRUMENTED = 10  # coverage counters make a tight loop of Python up to nine times as slow
PEAK_LIMIT_BYTES = 16_000_000  # a few hundred bytes for each byte: objects of Python, and the stack of its regex

_GROWN_ONE_IN = 64
_ATTEMPTS = 5  # the quickest counts: another process may have had the core


class FindingError(Exception):
    """An input that breaks a rule."""


def limited(parse: Callable[[bytes], Any], error: type[Exception]) -> Check:
    """Make a check of the cost of a parser, by its return or its error."""

    def attempt(data: bytes) -> None:
        try:
            parse(data)
        except error:
            pass

    def check(data: bytes) -> None:
        digest = zlib.crc32(data)
        if data and digest % _GROWN_ONE_IN == 0:
            grown = _grown(data, digest // _GROWN_ONE_IN % len(data))
            _hold_time(attempt, grown)
            _hold_memory(attempt, grown)

    return check


def _grown(data: bytes, head: int) -> bytes:
    end = data[head:]
    return (data[:head] + end * (DATAGRAM_BYTES // len(end) + 1))[:DATAGRAM_BYTES]


def _hold_time(attempt: Check, data: bytes) -> None:
    limit = CPU_LIMIT_S * INSTRUMENTED
    best = math.inf
    for _ in range(_ATTEMPTS):
        start = time.thread_time()
        attempt(data)
        best = min(best, time.thread_time() - start)
        if best < limit:
            return
    raise FindingError(f"{len(data)} bytes took {1000 * best:.1f} ms of CPU")


def _hold_memory(attempt: Check, data: bytes) -> None:
    tracemalloc.start()
    try:
        attempt(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if peak > PEAK_LIMIT_BYTES:
        raise FindingError(f"{len(data)} bytes took {peak} bytes of memory")


def noun(parse: Callable[[bytes], Any], serialize: Callable[[Any], bytes], error: type[Exception]) -> Check:
    """Make the check of a wire format: errors, round trip and cost."""
    cost = limited(parse, error)

    def check(data: bytes) -> None:
        cost(data)
        try:
            first = parse(data)
        except error:
            return
        if (again := parse(serialize(first))) != first:
            raise FindingError(f"read {first!r}, wrote it, and read {again!r}")

    return check


def rtp() -> Check:
    from vivavoce.errors import PacketError
    from vivavoce.transport.rtp import RtpPacket

    return noun(RtpPacket.parse, RtpPacket.serialize, PacketError)


def rtcp() -> Check:
    from vivavoce.errors import PacketError
    from vivavoce.transport.rtcp import ExtendedReport, LossRle, parse_compound, serialize_compound

    whole = noun(parse_compound, serialize_compound, PacketError)

    def check(data: bytes) -> None:
        whole(data)
        try:
            packets = parse_compound(data)
        except PacketError:
            return
        reports = [packet for packet in packets if isinstance(packet, ExtendedReport)]
        losses = (block for report in reports for block in report.blocks if isinstance(block, LossRle))
        block = next(losses, None)  # one: it may have 65,533 flags, which nobody decodes unasked
        if block is not None and len(block.lost) != len(block.sequence_numbers):
            raise FindingError(f"{len(block.lost)} flags for {len(block.sequence_numbers)} packets")

    return check


def red() -> Check:
    from vivavoce.errors import PacketError
    from vivavoce.redundancy.red import RedPacket

    return noun(RedPacket.parse, RedPacket.serialize, PacketError)


def sdp() -> Check:
    from vivavoce.transport.sdp import AudioDescription

    def parse(data: bytes) -> AudioDescription:
        return AudioDescription.parse(data.decode(errors="replace"))

    return noun(parse, lambda description: description.serialize().encode(), ValueError)


def opus_packet() -> Check:
    from vivavoce.codec.packet import OpusPacket, has_lbrr, packet_samples
    from vivavoce.errors import PacketError

    whole = noun(OpusPacket.parse, OpusPacket.serialize, PacketError)

    def check(data: bytes) -> None:
        whole(data)
        for peek in (packet_samples, has_lbrr):
            try:
                peek(data)
            except PacketError:
                pass
        try:
            packet = OpusPacket.parse(data)
        except PacketError:
            return
        if packet.samples != packet_samples(data):
            raise FindingError(f"{packet_samples(data)} samples at a glance, {packet.samples} in full")

    return check


def opus_extensions() -> Check:
    from vivavoce.codec.extensions import MAX_FRAMES, Extension, extensions_of, parse_extensions, write_extensions
    from vivavoce.errors import PacketError

    def parse(data: bytes) -> tuple[int, list[Extension]]:
        frames = 1 + data[0] % MAX_FRAMES if data else 1
        return frames, parse_extensions(data[1:], frames)

    cost = limited(parse, PacketError)
    cost_in_packet = limited(extensions_of, PacketError)

    def check(data: bytes) -> None:
        cost(data)
        cost_in_packet(data)
        try:
            extensions_of(data)
        except PacketError:
            pass
        try:
            frames, extensions = parse(data)
        except PacketError:
            return
        again = parse_extensions(write_extensions(extensions, frames), frames)
        if by_frame(again) != by_frame(extensions):
            raise FindingError(f"read {extensions!r}, wrote them, and read {again!r}")

    def by_frame(extensions: list[Extension]) -> list[Extension]:
        return sorted(extensions, key=lambda extension: extension.frame)

    return check


def dred() -> Check:
    """Make the check of both parsers of deep redundancy, which must agree.

    Inputs get the check that they should have, so that what is behind it is reached.
    """
    import numpy as np

    from vivavoce._core import DredReader
    from vivavoce.errors import PacketError
    from vivavoce.models import find_model, load_model
    from vivavoce.redundancy.dred import MODEL, RELEASED
    from vivavoce.redundancy.image import payload_model
    from vivavoce.redundancy.payload import MAX_CHUNKS, DredPayload, with_check
    from vivavoce.training.export import read_weights

    path = find_model(MODEL)
    model = load_model(path).core
    (identifier,) = (identifier for identifier, name in RELEASED.items() if name == MODEL)
    reference = payload_model(read_weights(path.with_suffix(".safetensors"))[0], identifier)

    def parse(data: bytes) -> DredPayload:
        return DredPayload.parse(with_check(data), reference)

    cost = limited(parse, PacketError)

    def check(data: bytes) -> None:
        cost(data)
        try:
            payload = parse(data)
        except PacketError:
            payload = None
        try:
            reader = DredReader(model, with_check(data))
        except ValueError:
            reader = None
        if payload is None or reader is None:
            if payload is not reader:
                raise FindingError(f"the reference read {payload!r}, the core {reader!r}")
            return
        if (reader.offset, reader.shortened(MAX_CHUNKS)) != (payload.offset, payload.write(reference)):
            raise FindingError(f"the core read something other than {payload!r}")
        if not np.isfinite(reader.features(reader.chunks - 1)).all():
            raise FindingError("features that are not finite")

    return check


def receiver() -> Check:
    """Make the check of a receiver that gets datagrams at any time, between requests for samples.

    `seeds.script` says how the bytes are read. There is no limit on the cost: it is that of many datagrams.
    """
    import numpy as np

    from vivavoce.transport.receiver import Receiver

    def check(data: bytes) -> None:
        ear = Receiver(16_000, playout_delay_ms=60.0, conceal="neural", ssrc=1)
        now, start = 0.0, 0
        while start + 4 <= len(data):
            wait_ms, samples, length = data[start], 4 * data[start + 1], int.from_bytes(data[start + 2 : start + 4])
            start += 4
            now += wait_ms / 1000
            ear.receive(data[start : start + length % 2048], now)
            start += length % 2048
            out = ear.playout(samples, now)
            if out.shape != (samples,) or out.dtype != np.float32:
                raise FindingError(f"asked for {samples} samples, got {out.dtype} {out.shape}")
            if samples and not np.abs(out).max() <= 1:
                raise FindingError("samples beyond 1, or not finite")
        ear.stats  # noqa: B018 - a snapshot must always be possible

    return check


def canary() -> Check:
    """Make the check of a parser with a fault, to see that faults are found."""

    def parse(data: bytes) -> bytes:
        return data[:2] if data[:1] != b"\x80" else data[:1] + bytes([data[2]])

    return noun(parse, bytes, ValueError)


TARGETS: dict[str, Callable[[], Check]] = {
    target.__name__: target for target in (rtp, rtcp, red, sdp, opus_packet, opus_extensions, dred, receiver)
}
HIDDEN: dict[str, Callable[[], Check]] = {"canary": canary}
