import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce import Processor, shortened_packet
from vivavoce.codec.extensions import Extension, extensions_of, with_extensions
from vivavoce.codec.packet import OpusPacket
from vivavoce.errors import PacketError
from vivavoce.redundancy.dred import EXTENSION_ID, DredReceiver, DredSender, with_dred
from vivavoce.redundancy.payload import CHUNK_TICKS, LevelSchedule

RATE, LOOK_AHEAD = 16_000, 104
FINEST = LevelSchedule(0)


def heard(sender, samples):
    frames = samples[: len(samples) // sender.frame_samples * sender.frame_samples].reshape(-1, sender.frame_samples)
    assert all(sender.process(frame) is frame for frame in frames)
    return sender


def test_a_sender_is_a_processor_that_changes_nothing():
    sender = DredSender(48_000, 312)
    assert isinstance(sender, Processor)
    assert (sender.sample_rate, sender.frame_samples, sender.delay_samples) == (48_000, 960, 0)
    assert sender.flush().shape == (0,)


def test_frames_of_any_length_say_the_same(speech_16k):
    senders = [heard(DredSender(RATE, LOOK_AHEAD, length), speech_16k[:28_800]) for length in (160, 320, 960)]
    payloads = {sender.payload(960, FINEST, 26) for sender in senders}
    assert len(payloads) == 1
    assert len(payloads.pop()) > 50


def test_after_a_reset_it_begins_anew(speech_16k):
    fresh, used = DredSender(RATE, LOOK_AHEAD), heard(DredSender(RATE, LOOK_AHEAD), speech_16k[5_000:30_000])
    used.reset()
    assert used.steps == 0
    assert used.payload(960, FINEST, 26) is None
    said = [heard(sender, speech_16k[:16_000]).payload(960, FINEST, 26) for sender in (fresh, used)]
    assert said[0] == said[1]


def test_a_frame_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"shape \(320,\), got \(321,\)"):
        DredSender(RATE, LOOK_AHEAD).process(np.zeros(321, np.float32))


@pytest.mark.parametrize(("frame_ms", "inside"), [(10, 0), (20, 0), (40, 1), (60, 2)])
def test_no_packet_describes_only_itself(speech_16k, frame_ms, inside):
    """However long packets are, the newest chunk begins before its own and ends in its first 20 ms."""
    sender = heard(DredSender(RATE, LOOK_AHEAD, 16 * frame_ms), speech_16k[:28_800])
    ticks = 48 * frame_ms
    assert sender.inside(ticks) == inside
    packet = with_dred(b"\x48" + bytes(30), sender.payload(ticks, FINEST, 3))
    redundancy = DredReceiver().redundancy_of(100_000, packet)
    assert 0 < redundancy.end - 100_000 < 960
    assert redundancy.end - redundancy.begin == 3 * CHUNK_TICKS


@pytest.mark.parametrize("sample_rate", [0, 32_000, 44_100])
def test_a_rate_that_opus_does_not_have_is_refused(sample_rate):
    with pytest.raises(ValueError, match=f"got {sample_rate}"):
        DredSender(sample_rate, 0)


OTHERS = [Extension(5, 0, b""), Extension(40, 0, b"other")]


def described(speech, extension_id=EXTENSION_ID):
    """A packet with a second of the past, and with what others put there."""
    payload = heard(DredSender(RATE, LOOK_AHEAD), speech[:32_000]).payload(960, LevelSchedule(3), 26)
    return with_dred(with_extensions(b"\x48" + bytes(range(30)), OTHERS), payload, extension_id), payload


@pytest.mark.parametrize("chunks", [1, 2, 25, 26, 99])
def test_a_relay_leaves_out_the_oldest(speech_16k, chunks):
    packet, _ = described(speech_16k)
    whole = DredReceiver().redundancy_of(0, packet)
    shorter = shortened_packet(packet, chunks)
    said = DredReceiver().redundancy_of(0, shorter)
    assert whole.end - said.begin == min(chunks, 26) * CHUNK_TICKS
    assert said.end == whole.end
    features, begin = said.features_from(said.begin)
    assert np.array_equal(features, whole.features_from(said.begin)[0])
    assert begin == said.begin + 240
    assert (shorter == packet) == (chunks >= 26)
    assert [each for each in extensions_of(shorter) if each.id != EXTENSION_ID] == OTHERS
    assert OpusPacket.parse(shorter).frames == OpusPacket.parse(packet).frames


def test_a_relay_takes_all_of_it_out(speech_16k):
    packet, _ = described(speech_16k)
    assert extensions_of(shortened_packet(packet, 0)) == OTHERS
    assert shortened_packet(shortened_packet(packet, 0), 0) == shortened_packet(packet, 0)


def test_a_relay_leaves_alone_what_it_does_not_understand(speech_16k):
    packet, payload = described(speech_16k, 77)
    assert shortened_packet(packet, 3) == packet
    assert len(shortened_packet(packet, 3, 77)) < len(packet)
    for damaged in (payload[:1] + bytes([payload[1] | 31]) + payload[2:], payload[:-1], b"V", b""):
        carrying = with_dred(b"\x48" + bytes(30), damaged)
        assert shortened_packet(carrying, 3) == carrying
        assert not extensions_of(shortened_packet(carrying, 0))
    assert shortened_packet(b"\x48" + bytes(30), 3) == b"\x48" + bytes(30)


def test_impossible_wishes_of_a_relay_are_named(speech_16k):
    packet, _ = described(speech_16k)
    with pytest.raises(ValueError, match="chunks must be 0 or more, got -1"):
        shortened_packet(packet, -1)
    with pytest.raises(ValueError, match="126"):
        shortened_packet(packet, 1, 126)


@given(st.binary(max_size=300), st.integers(0, 26))
def test_no_packet_harms_a_relay(packet, chunks):
    try:
        OpusPacket.parse(shortened_packet(packet, chunks))
    except PacketError:
        pass
