"""Valid inputs for the fuzzer to begin from, made by the package's own writers."""

from __future__ import annotations

import random
from collections.abc import Iterable

SEED = 20


def rtp() -> list[bytes]:
    from vivavoce.transport.rtp import HeaderExtension, RtpPacket

    payload = random.Random(SEED).randbytes(60)
    return [
        RtpPacket(111, 1, 960, 7, payload).serialize(),
        RtpPacket(111, 65535, 2**32 - 1, 7, payload, marker=True, csrc=(1, 2, 3)).serialize(),
        RtpPacket(63, 2, 960, 7, payload, extension=HeaderExtension(0xBEDE, b"\x10\xff\0\0")).serialize(),
        RtpPacket(0, 2, 960, 7, payload, csrc=(9,) * 15, padding_bytes=40).serialize(),
    ]


def rtcp() -> list[bytes]:
    from vivavoce.transport import rtcp

    block = rtcp.ReportBlock(7, 12, 34, 56, 78, 90, 12)
    chance = random.Random(SEED)
    losses = [chance.random() < 0.2 for _ in range(200)]
    extended = rtcp.ExtendedReport(
        7,
        (
            rtcp.VoipMetrics.measured(7, losses, 20),
            rtcp.LossRle.of(7, 65500, losses),
            rtcp.LossRle.of(7, 3, losses, thinning=2),
            rtcp.LossRle.of(7, 3, [False] * 20_000),
            rtcp.UnknownBlock(4, 0, bytes(8)),
        ),
    )
    sender = rtcp.SenderReport(7, rtcp.ntp_from_seconds(1e9), 960, 50, 4000, (block,))
    receiver = rtcp.ReceiverReport(7, (block, block), b"more")
    name = rtcp.SourceDescription.named(7, "somebody@192.0.2.1")
    named = rtcp.SourceDescription((*name.chunks, rtcp.SourceChunk(8, ()), rtcp.SourceChunk(9, ((8, b"\x01ab"),))))
    bye = rtcp.Goodbye((7, 8), b"tired")
    feedback = rtcp.UnknownRtcp(206, 1, bytes(8))
    padded = rtcp.ReceiverReport(7).serialize() + b"\xa1\xcb\x00\x02\x00\x00\x00\x07\x00\x00\x00\x04"
    compounds = [[sender, name], [receiver, name, extended], [sender, named, bye], [receiver, feedback, extended, bye]]
    return [padded, *(rtcp.serialize_compound(packets) for packets in compounds)]


def red() -> list[bytes]:
    from vivavoce.redundancy.red import RedBlock, RedHistory, RedPacket

    chance = random.Random(SEED)
    history = RedHistory((1, 2, 3))
    packets = [history.wrap(111, 960 * i, chance.randbytes(chance.randrange(60))) for i in range(6)]
    packets.append(RedPacket(0, b"", (RedBlock(127, 16383, bytes(1023)),)))
    packets.append(RedPacket(111, b"x", tuple(RedBlock(111, i, b"") for i in range(40))))
    return [packet.serialize() for packet in packets]


def sdp() -> list[bytes]:
    from vivavoce.transport.sdp import AudioDescription

    descriptions = [
        AudioDescription("192.0.2.1", 5004),
        AudioDescription("2001:db8::1", 65535, 97, None, dtx=True, ptime_ms=60),
        AudioDescription("224.2.1.1", 9, 0, 127, None, False, False, None, False),
    ]
    texts = [description.serialize() for description in descriptions]
    texts.append(texts[0].replace("m=audio", "m=video 9 RTP/AVP 96\r\nm=audio 0 RTP/AVP 0\r\nm=audio"))
    texts.append(texts[1].replace("\r\n", "\n").replace("opus", "OPUS"))
    return [text.encode() for text in texts]


def opus_packet() -> list[bytes]:
    from vivavoce.codec.packet import OpusPacket

    chance = random.Random(SEED)
    one, two = chance.randbytes(20), chance.randbytes(20)
    shapes = [(one,), (one, two), (one, two[:7]), (one, two[:3], b""), (one, two, one)]
    packets = [OpusPacket(config, False, frames) for config in (1, 9, 13, 16, 28) for frames in shapes[:3]]
    packets += [OpusPacket(28, True, frames, padding) for frames in shapes for padding in (b"", bytes(300))]
    return [b"\x48", b"\x4b\x01", *(packet.serialize() for packet in packets)]


def opus_extensions() -> list[bytes]:
    from vivavoce.codec.extensions import Extension, with_extensions, write_extensions
    from vivavoce.codec.packet import OpusPacket

    lists = [
        [],
        [Extension(3, 0, b""), Extension(4, 0, b"x"), Extension(33, 0, b"long")],
        [Extension(33, 0, bytes(300)), Extension(34, 2, b"y" * 255)],
        [Extension(5, frame, b"z") for frame in range(3)],
        [Extension(40, frame, bytes([frame])) for frame in range(3)],
    ]
    packet = OpusPacket(28, False, (b"one", b"two", b"three")).serialize()
    return [bytes([2]) + write_extensions(each, 3) for each in lists] + [
        with_extensions(packet, each) for each in lists
    ]


def dred() -> list[bytes]:
    """Payloads of all lengths and levels, of noise that comes and goes."""
    import numpy as np

    from vivavoce.redundancy.dred import DredSender
    from vivavoce.redundancy.payload import LEVELS, MAX_CHUNKS, SLOPES, LevelSchedule

    chance = np.random.default_rng(SEED)
    sender, seeds = DredSender(16_000, 104), []
    for step in range(120):
        sender.process((0.1 * chance.random() * chance.standard_normal(320)).astype(np.float32))
        levels = LevelSchedule(step % LEVELS, step % len(SLOPES))
        seeds.append(sender.payload(960, levels, 1 + step % MAX_CHUNKS))
    return [seed for seed in seeds if seed is not None]


def receiver() -> list[bytes]:
    from vivavoce.redundancy.dred import with_dred
    from vivavoce.redundancy.red import RedHistory
    from vivavoce.transport.rtp import RtpPacket

    chance = random.Random(SEED)
    opus, redundant = [], []
    history = RedHistory((1, 2))
    for i in range(12):
        payload = b"\x48" + chance.randbytes(30)
        timestamp = 960 * i
        opus.append(RtpPacket(111, i, timestamp, 7, payload).serialize())
        wrapped = history.wrap(111, timestamp, payload).serialize()
        redundant.append(RtpPacket(63, i, timestamp, 7, wrapped).serialize())
    mixed = [*opus[:5], *rtcp()[:3], opus[3], *redundant[7:], b"", *opus[5:9]]
    said = [with_dred(b"\x48" + chance.randbytes(30), payload) for payload in dred()[20:23]]
    described = [RtpPacket(111, 20 + i, 960 * (20 + i), 7, payload).serialize() for i, payload in enumerate(said)]
    gap = [*opus[:4], *[b""] * 3, *described, *[b""] * 20]
    return [script(datagrams) for datagrams in (opus, redundant[::2], opus[::-1], mixed, gap)]


def script(datagrams: Iterable[bytes], wait_ms: int = 20, samples: int = 320) -> bytes:
    """Write what the receiver's target reads: wait, samples / 4, length (2 bytes), datagram; and so on."""
    return b"".join(bytes([wait_ms, samples // 4]) + len(data).to_bytes(2, "big") + data for data in datagrams)


def canary() -> list[bytes]:
    return [b"\x00abc"]
