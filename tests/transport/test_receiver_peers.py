"""What other people's senders do that ours does not, on a virtual clock; each was found with a real one."""

import numpy as np
import pytest

from transport.streams import on_time, packets, play
from vivavoce.codec.opus import OpusEncoder
from vivavoce.transport import rtcp
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.rtp import RtpPacket

GOODBYE = rtcp.serialize_compound([rtcp.SenderReport(7, 0, 0, 0, 0), rtcp.Goodbye((7,))])


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_the_end_comes_after_the_last_sample_of_the_last_packet(frame_ms):
    stream = packets(seconds=1.2, frame_ms=frame_ms)
    receiver = Receiver(16_000)
    arrivals = on_time(stream, frame_s=frame_ms / 1000)
    arrivals.append((arrivals[-1][0] + 0.001, GOODBYE))
    played = 0
    waiting = arrivals[::-1]
    for tick in range(300):
        now = tick * 0.01
        while waiting and waiting[-1][0] <= now + 1e-9:
            receiver.receive(waiting[-1][1], waiting.pop()[0])
        if receiver.ended:
            break
        receiver.playout(160, now)
        played = receiver.stats.slot_ticks["primary"]
    # played from 0.1 s after the capture of the first sample on, to the end of the last packet
    assert played == len(stream) * frame_ms * 48
    assert now == pytest.approx(0.1 + len(stream) * frame_ms / 1000, abs=0.0101)


def test_a_goodbye_that_overtakes_the_last_packets_still_ends_the_stream():
    stream = on_time(packets(seconds=1.0))
    receiver = Receiver(16_000)
    play(receiver, [*stream, (stream[-3][0] + 0.005, GOODBYE)], until=1.01)
    assert not receiver.ended, "the last packets are still to be played"
    play(receiver, [], until=1.2, start=1.01)
    assert receiver.ended
    assert receiver.stats.slots == {"primary": 50}


def test_who_goes_on_long_after_his_goodbye_is_heard():
    stream = on_time(packets(seconds=3.0))
    receiver = Receiver(16_000)
    play(receiver, [*stream, (0.501, GOODBYE)], until=3.1)
    assert not receiver.ended
    assert receiver.stats.slots["primary"] == 150


@pytest.mark.parametrize("frame_ms", [10, 20, 60])
def test_bursts_and_gaps_last_as_long_as_the_packets_that_were_sent(frame_ms):
    receiver = Receiver(16_000)
    play(receiver, on_time(packets(seconds=6.0, frame_ms=frame_ms), (10, 11, 12), frame_ms / 1000), until=6.2)
    metrics = rtcp.parse_compound(receiver.report(6.2))[2].blocks[0]
    assert metrics.burst_duration == 3 * frame_ms


def gstreamer_pause(frames=200, pause=(50, 150)):
    """DTX as GStreamer's rtpopuspay has it: no packet of two bytes, only the noise every 420 ms, contiguous numbers."""
    encoder = OpusEncoder(16_000, bitrate_bps=24_000)
    random = np.random.default_rng(0)
    stream = []
    for frame in range(frames):
        payload = encoder.encode(0.1 * random.standard_normal(320).astype(np.float32))
        if pause[0] <= frame < pause[1] and (frame - pause[0]) % 21 != 20:
            continue
        packet = RtpPacket(96, len(stream), 960 * frame, 7, payload, marker=True)
        stream.append((frame, packet.serialize()))
    return tuple(stream)


@pytest.mark.parametrize("delay_ms", [60, 100, 500])
def test_a_pause_that_nothing_announces_is_neither_loss_nor_jitter(delay_ms):
    stream = gstreamer_pause()
    receiver = Receiver(16_000, playout_delay_ms=delay_ms, payload_types={96: "opus"})
    play(receiver, on_time(stream), until=4.0 + delay_ms / 1000)
    stats = receiver.stats
    assert stats.slots == {"primary": len(stream), "dtx": 200 - len(stream)}
    assert (stats.concealed_samples, stats.concealment_events, stats.packets_lost) == (0, 0, 0)
    assert stats.jitter < 1e-6
