"""A receiver under everything that a network or an enemy can do to packets: 10,000 generated streams."""

import gc
import tracemalloc

import numpy as np
import pytest

from transport.streams import packets
from vivavoce.redundancy.red import RedPacket
from vivavoce.transport.jitter_buffer import MAX_BYTES, MAX_PAYLOADS
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.rtp import RtpPacket

STREAMS, CHUNKS = 10_000, 20
SOURCES = (
    packets(),
    packets("lbrr", bitrate_bps=48_000),
    packets("red:1"),
    packets("lbrr+red:1,2", bitrate_bps=96_000),
    packets("red:2", dtx=True, pause=True, ssrc=8),
    packets(frame_ms=60, ssrc=9, sequence_number=100, timestamp=0),
    packets(frame_ms=10, ssrc=10),
    packets("lbrr+dred", bitrate_bps=48_000),
    packets("red:1+dred", bitrate_bps=64_000, dred_payload_type=118),
)


def corrupted(datagram, random):
    """One of: cut short, bytes changed, bytes appended, a header field changed, garbage."""
    kind = random.integers(6)
    if kind == 0:
        return datagram[: random.integers(len(datagram) + 1)]
    if kind == 1:
        damaged = bytearray(datagram)
        for _ in range(random.integers(1, 6)):
            damaged[random.integers(len(damaged))] = random.integers(256)
        return bytes(damaged)
    if kind == 2:
        return datagram + random.bytes(random.integers(1, 40))
    if kind == 3:
        return random.bytes(random.integers(0, 60))
    packet = RtpPacket.parse(datagram)
    if kind == 4:
        payload = RedPacket(111, packet.payload).serialize() if random.integers(2) else random.bytes(8)
        return RtpPacket(63, packet.sequence_number, packet.timestamp, packet.ssrc, payload).serialize()
    return RtpPacket(
        packet.payload_type,
        int(random.integers(2**16)) if random.integers(2) else packet.sequence_number,
        int(random.integers(2**32)) if random.integers(2) else packet.timestamp,
        packet.ssrc,
        packet.payload,
    ).serialize()


def generated(random):
    """(arrival, datagram) of a few packets, out of one or two sources, in any order and any state."""
    arrivals, begin = [], 0.0
    for _ in range(random.integers(1, 3)):
        stream = SOURCES[random.integers(len(SOURCES))]
        first = random.integers(len(stream) - 12)
        loss, chaos, spread = random.uniform(0, 0.6), random.uniform(0, 0.4), random.choice([0, 0.01, 0.05, 0.3])
        for index, datagram in stream[first : first + random.integers(3, 12)]:
            if random.random() < loss:
                continue
            time = begin + (index - stream[first][0]) * 0.02 + random.uniform(0, spread)
            for _ in range(1 + (random.random() < 0.1)):
                mangled = corrupted(datagram, random) if random.random() < chaos else datagram
                arrivals.append((max(0.0, time), mangled))
        begin += random.uniform(0, 0.5)
    return sorted(arrivals, key=lambda arrival: arrival[0])


def check(receiver, asked):
    stats = receiver.stats
    assert len(receiver._buffer) <= MAX_PAYLOADS
    held = sum(payload.size for payload in receiver._buffer._payloads.values())
    assert held == receiver._buffer._bytes <= MAX_BYTES
    counters = {name: value for name, value in stats.as_dict().items() if isinstance(value, int | float)}
    negative = {name: value for name, value in counters.items() if value < 0 and name != "packets_lost"}
    assert not negative
    changed = stats.inserted_samples_for_deceleration - stats.removed_samples_for_acceleration
    waiting = receiver.sample_rate // 5  # at most one packet, stretched
    assert stats.total_samples_received + changed <= asked + waiting
    assert stats.silent_concealed_samples <= stats.concealed_samples <= stats.total_samples_received
    ticks = sum(stats.slot_ticks.values())
    assert stats.total_samples_received == ticks * receiver.sample_rate // 48_000
    assert stats.concealment_events <= stats.reasons.total()


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_any_stream_is_played(chunk):
    for seed in range(chunk * STREAMS // CHUNKS, (chunk + 1) * STREAMS // CHUNKS):
        random = np.random.default_rng(seed)
        anchor = (int(random.integers(2**32)), 0.0) if random.random() < 0.2 else None
        receiver = Receiver(
            int(random.choice([8_000, 16_000, 48_000])),
            playout_delay_ms=None if random.random() < 0.3 else float(random.choice([0, 20, 60, 200])),
            conceal=str(random.choice(["opus", "neural", "silence", "repeat"])),
            anchor=anchor,
        )
        now, asked = 0.0, 0
        for arrival, datagram in [*generated(random), (None, b"")]:
            until = now + 0.15 if arrival is None else min(arrival, now + 0.5)
            while now < until:
                count = int(random.choice([1, 37, 160, 480, 960]))
                played = receiver.playout(count, now)
                assert played.shape == (count,), seed
                assert np.isfinite(played).all(), seed
                assert np.abs(played).max() <= 1, seed
                now += count / receiver.sample_rate if random.random() < 0.95 else random.uniform(0, 1)
                asked += count
            receiver.receive(datagram, now if arrival is None else arrival)
        check(receiver, asked)


def test_an_hour_of_garbage_leaves_the_receiver_small():
    """Virtual time; hostile datagrams that all claim to belong to the stream."""
    random = np.random.default_rng(5)
    receiver = Receiver(8_000)
    stream = packets("red:1", frame_ms=60)
    held = []
    tracemalloc.start()
    for index in range(60_000):
        now = index * 0.06
        packet = RtpPacket.parse(stream[index % len(stream)][1])
        timestamp = int(random.integers(2**32)) if index % 3 else index * 2880 % 2**32
        hostile = RtpPacket(packet.payload_type, index % 2**16, timestamp, 7, packet.payload)
        receiver.receive(hostile.serialize(), now)
        if index % 10 == 0:
            receiver.playout(480, now)
        if index in (30_000, 59_999):
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    check(receiver, 6_000 * 480)
    assert held[1] - held[0] < 100_000  # half an hour more of it keeps nothing more
