import numpy as np
import pytest

from vivavoce.audio import resample
from vivavoce.codec.gap_encoder import GapEncoder
from vivavoce.codec.opus import OpusDecoder, OpusEncoder
from vivavoce.codec.packet import OpusPacket

STREAMS = [  # rate, bandwidth, bitrate, application, mode
    pytest.param(8_000, "narrowband", 16_000, "voip", "silk", id="narrowband SILK"),
    pytest.param(16_000, "wideband", 24_000, "voip", "silk", id="wideband SILK"),
    pytest.param(48_000, "wideband", 24_000, "voip", "silk", id="wideband SILK at 48 kHz"),
    pytest.param(48_000, "fullband", 28_000, "voip", "hybrid", id="hybrid"),
    pytest.param(48_000, "fullband", 64_000, "lowdelay", "celt", id="CELT"),
]


@pytest.mark.parametrize("slot_ms", [10, 20])
@pytest.mark.parametrize(("rate", "bandwidth", "bitrate", "application", "mode"), STREAMS)
def test_a_decoder_that_was_told_what_filled_a_gap_decodes_on_as_if_nothing_was_lost(
    speech_16k, rate, bandwidth, bitrate, application, mode, slot_ms
):
    """True samples fill the gaps; in the packet after them four fifths of the error of a decoder alone are gone."""
    speech, slot = resample(speech_16k, 16_000, rate), rate * slot_ms // 1000
    encoder = OpusEncoder(
        rate, frame_ms=slot_ms, bandwidth=bandwidth, bitrate_bps=bitrate, application=application, complexity=5
    )
    packets = [encoder.encode(frame) for frame in speech[: len(speech) // slot * slot].reshape(-1, slot)]
    assert OpusPacket.parse(packets[10]).mode == mode
    undisturbed, told, alone = OpusDecoder(rate), OpusDecoder(rate), OpusDecoder(rate)
    fill = np.concatenate([undisturbed.decode(packet) for packet in packets])
    gap = GapEncoder.create(packets[10][0], rate, slot)
    errors, power = np.zeros(2), 0.0
    for index, packet in enumerate(packets[:-1]):
        at = index * slot
        if index % 10 == 5 and index > 10:
            ahead = at + gap.delay_samples
            gap.begin(fill[at - gap.past_samples : ahead])
            told.decode(gap.encode(fill[ahead : ahead + slot]))
            alone.conceal(slot)
            continue
        want = fill[at : at + slot]
        heard = told.decode(packet), alone.decode(packet)
        if index % 10 == 6 and index > 10:
            errors += [((samples - want) ** 2).sum() for samples in heard]
            power += (want**2).sum()
    assert errors[0] < 0.2 * errors[1]
    assert errors[0] < 0.08 * power


def toc(config, stereo=False):
    return config << 3 | stereo << 2


def test_where_no_packet_goes_on_there_is_no_encoder():
    assert GapEncoder.create(toc(9), 16_000, 320) is not None
    assert GapEncoder.create(toc(9, stereo=True), 16_000, 320) is None
    assert GapEncoder.create(toc(9), 16_000, 200) is None
    assert GapEncoder.create(toc(9), 8_000, 160) is None
    assert GapEncoder.create(toc(1), 8_000, 160) is not None


def test_a_hybrid_stream_goes_on_at_every_rate_that_holds_its_silk():
    assert {rate: GapEncoder.create(toc(15), rate, rate // 50) is not None for rate in (12_000, 16_000, 24_000)} == {
        12_000: False,
        16_000: True,
        24_000: True,
    }


def test_every_kind_of_packet_is_followed_or_refused():
    """All kinds of packets, rates and slots; what goes on is decoded in the coder of the stream."""
    for config in range(32):
        for rate in (8_000, 12_000, 16_000, 24_000, 48_000):
            gap = GapEncoder.create(toc(config), rate, rate // 100)
            if gap is not None:
                gap.begin(np.zeros(gap.past_samples + gap.delay_samples, np.float32))
                made = OpusPacket.parse(gap.encode(np.zeros(rate // 100, np.float32)))
                assert (made.mode == "celt") == (config >= 16)
                assert len(OpusDecoder(rate).decode(made.serialize())) == rate // 100
