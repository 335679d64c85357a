import ctypes
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_limits import assert_cheap
from vivavoce.codec.packet import OpusPacket, has_lbrr, packet_samples
from vivavoce.errors import PacketError

WIDEBAND_20MS = 9  # SILK
CELT_2_5MS = 16

configurations = st.integers(0, 31)


@st.composite
def opus_packets(draw):
    config = draw(configurations)
    most = 5760 // OpusPacket(config, False, (b"",)).frame_samples
    count = draw(st.integers(1, most))
    if draw(st.booleans()):
        size = draw(st.sampled_from([0, 1, 251, 252, 300, 1275]))
        frames = (bytes([draw(st.integers(0, 255))]) * size,) * count
    else:
        sizes = st.sampled_from([0, 1, 2, 3, 251, 252, 253, 255, 256, 511, 1274, 1275])
        frames = tuple(bytes([index]) * draw(sizes) for index in range(count))
    padding = draw(st.none() | st.binary(max_size=8) | st.sampled_from([253, 254, 255, 508, 509, 1000]).map(bytes))
    return OpusPacket(config, draw(st.booleans()), frames, padding)


@pytest.mark.parametrize(
    ("packet", "data"),
    [
        pytest.param(OpusPacket(9, False, (b"abc",)), b"\x48abc", id="code 0"),
        pytest.param(OpusPacket(9, True, (b"",)), b"\x4c", id="code 0 with an empty frame"),
        pytest.param(OpusPacket(9, False, (b"ab", b"cd")), b"\x49abcd", id="code 1"),
        pytest.param(OpusPacket(9, False, (b"a", b"bcd")), b"\x4a\x01abcd", id="code 2"),
        pytest.param(
            OpusPacket(9, False, (b"x" * 252, b"y")), b"\x4a\xfc\x00" + b"x" * 252 + b"y", id="code 2, two-byte length"
        ),
        pytest.param(OpusPacket(9, False, (b"ab", b"cd", b"ef")), b"\x4b\x03abcdef", id="code 3, constant"),
        pytest.param(OpusPacket(9, False, (b"a", b"", b"ef")), b"\x4b\x83\x01\x00aef", id="code 3, variable"),
        pytest.param(OpusPacket(9, False, (b"ab",), b""), b"\x4b\x41\x00ab", id="code 3, padding of no byte"),
        pytest.param(OpusPacket(9, False, (b"ab",), b"\x00\x07"), b"\x4b\x41\x02ab\x00\x07", id="code 3, padding"),
        pytest.param(
            OpusPacket(9, False, (b"a", b"bc"), bytes(255)),
            b"\x4b\xc2\xff\x01\x01abc" + bytes(255),
            id="code 3, variable, long padding",
        ),
    ],
)
def test_packets_have_the_bytes_of_the_rfc(packet, data):
    assert packet.serialize() == data
    assert OpusPacket.parse(data) == packet


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "at least one byte", id="R1"),
        pytest.param(b"\x48" + bytes(1276), "1276 bytes, more than 1275", id="R2"),
        pytest.param(b"\x49abc", "2 frames of equal size", id="R3"),
        pytest.param(b"\x4a", "cut off", id="R4, no length"),
        pytest.param(b"\x4a\xfc", "cut off", id="R4, half a length"),
        pytest.param(b"\x4a\x03ab", "end 1 bytes behind", id="R4, a length beyond the packet"),
        pytest.param(b"\x4b", "at least two bytes", id="R6, no count"),
        pytest.param(b"\x4b\x00", "packet of 0 frames", id="R5, no frame"),
        pytest.param(b"\x4b\x07", "packet of 7 frames of 20 ms", id="R5, 140 ms"),
        pytest.param(b"\x83\x31", "packet of 49 frames of 2.5 ms", id="R5, 122.5 ms"),
        pytest.param(b"\x4b\x02abc", "2 frames of equal size", id="R6, unequal"),
        pytest.param(b"\x4b\x41", "padding length", id="R6, no padding length"),
        pytest.param(b"\x4b\x41\xff", "padding length", id="R6, padding length without its end"),
        pytest.param(b"\x4b\x41\x02a", "2 bytes of padding", id="R6, padding beyond the packet"),
        pytest.param(b"\x4b\x82\x02a", "end 1 bytes behind", id="R7, a length beyond the packet"),
    ],
)
def test_each_rule_is_enforced(data, message, library, parse_by_libopus):
    with pytest.raises(PacketError, match=message):
        OpusPacket.parse(data)
    if data:
        assert parse_by_libopus(library, data) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param((32, False, (b"",)), "config must be in", id="configuration"),
        pytest.param((9, False, ()), "1 to 6 frames, got 0", id="no frame"),
        pytest.param((9, False, (b"",) * 7), "1 to 6 frames, got 7", id="more than 120 ms"),
        pytest.param((9, False, (bytes(1276),)), "one of 1276", id="frame too long"),
    ],
)
def test_what_no_parser_accepts_cannot_be_made(fields, message):
    with pytest.raises(ValueError, match=message):
        OpusPacket(*fields)


@given(opus_packets())
def test_parse_undoes_serialize(packet):
    assert OpusPacket.parse(packet.serialize()) == packet


@given(opus_packets())
def test_libopus_finds_the_frames_that_we_write(bundled, parse_by_libopus, packet):
    assert parse_by_libopus(bundled, packet.serialize()) == packet.frames


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda data: b"\x4b" + data))
def test_any_bytes_make_a_packet_or_a_packet_error(data):
    try:
        packet = OpusPacket.parse(data)
    except PacketError:
        return
    assert OpusPacket.parse(packet.serialize()) == packet
    assert packet_samples(data) == packet.samples


def test_real_packets_come_back_byte_for_byte(real_packets):
    for name, group in real_packets.items():
        for packet in group:
            if name == "silk CBR" and packet[0] & 3 == 3 and not packet[1] & 0x40:
                continue  # to fill a single byte libopus writes one frame under code 3, which code 0 holds as well
            assert OpusPacket.parse(packet).serialize() == packet, name


def agree(library, parse_by_libopus, data):
    """Compare one packet with libopus: the frames, the duration, and the packet without its padding."""
    theirs = parse_by_libopus(library, data) if data else None
    try:
        ours = OpusPacket.parse(data)
    except PacketError:
        assert theirs is None, data.hex()
        return 0
    assert ours.frames == theirs, data.hex()
    assert ours.samples == packet_samples(data) == library.api.opus_packet_get_nb_samples(data, len(data), 48000)
    buffer = ctypes.create_string_buffer(data, len(data))
    size = library.api.opus_packet_unpad(buffer, len(data))
    unpadded = OpusPacket(ours.config, ours.stereo, ours.frames).serialize()
    assert unpadded == buffer.raw[: max(size, 0)], data.hex()
    return 1


def repacked(generator, packets):
    """Frames of one configuration under any framing code, with or without padding."""
    first = OpusPacket.parse(generator.choice(packets))
    frames = [first.frames[0]]
    most = 5760 // first.frame_samples
    wanted = generator.choice([1, 2, 2, 3, most])
    while len(frames) < min(wanted, most):
        same = generator.random() < 0.5
        frames.append(frames[0] if same else frames[0][: generator.randint(0, len(frames[0]))])
    padding = generator.choice([None, None, generator.randbytes(generator.randint(0, 1000))])
    return OpusPacket(first.config, first.stereo, tuple(frames), padding).serialize()


def test_real_and_repacked_packets_mean_the_same_to_libopus(library, parse_by_libopus, packets):
    generator = random.Random(1)
    for packet in packets[:1000]:
        assert agree(library, parse_by_libopus, packet)
    for _ in range(2000):
        assert agree(library, parse_by_libopus, repacked(generator, packets))


def test_libopus_and_we_accept_the_same_mutated_packets(library, parse_by_libopus, packets, mutated):
    generator = random.Random(2)
    accepted = sum(
        agree(library, parse_by_libopus, mutated(generator, repacked(generator, packets))) for _ in range(10_000)
    )
    assert 1000 < accepted < 9000  # neither side of the comparison is empty


@given(st.binary(min_size=1, max_size=12), st.sampled_from([0, 9, 15, 16, 31]))
def test_libopus_and_we_accept_the_same_small_packets(bundled, parse_by_libopus, data, config):
    agree(bundled, parse_by_libopus, data)
    agree(bundled, parse_by_libopus, bytes([config << 3 | 3]) + data)


def test_padding_of_libopus_itself_is_read(library, packets):
    generator = random.Random(3)
    for packet in packets[:300]:
        longer = len(packet) + generator.randint(1, 1000)
        buffer = ctypes.create_string_buffer(packet, longer)
        assert library.api.opus_packet_pad(buffer, len(packet), longer) == 0
        padded = OpusPacket.parse(buffer.raw)
        assert padded.frames == OpusPacket.parse(packet).frames
        assert not any(padded.padding or b"")
        assert padded.serialize() == buffer.raw


@pytest.mark.parametrize("config", range(32))
def test_the_toc_byte_means_what_libopus_takes_it_for(library, config):
    packet = OpusPacket(config, False, (b"\x00",))
    data = packet.serialize()
    bandwidths = ["narrowband", "mediumband", "wideband", "superwideband", "fullband"]
    assert library.api.opus_packet_get_bandwidth(data) == 1101 + bandwidths.index(packet.bandwidth)
    assert library.api.opus_packet_get_samples_per_frame(data, 48000) == packet.frame_samples
    assert packet.mode == ("silk" if config < 12 else "hybrid" if config < 16 else "celt")


@pytest.mark.parametrize("data", [b"", b"\x4b", b"\x4b\x00", b"\x4b\x07"])
def test_a_duration_that_nobody_may_send_is_an_error(data):
    with pytest.raises(PacketError):
        packet_samples(data)


def test_the_lbrr_flag_is_the_one_that_libopus_reads(bundled, real_packets):
    seen = set()
    for name, group in real_packets.items():
        for packet in group:
            carried = has_lbrr(packet)
            assert carried == bundled.api.opus_packet_has_lbrr(packet, len(packet)), name
            seen.add((name, carried))
    with_lbrr = {name for name, carried in seen if carried}
    assert with_lbrr == {
        "silk 10 ms",
        "silk 20 ms",
        "silk 40 ms",
        "silk 60 ms",
        "silk stereo 10 ms",
        "silk stereo 20 ms",
        "silk stereo 60 ms",
        "hybrid 20 ms",
    }


def test_the_lbrr_flag_of_mutated_packets_is_the_one_that_libopus_reads(bundled, packets, mutated):
    generator = random.Random(4)
    outcomes = set()
    for _ in range(5000):
        data = mutated(generator, generator.choice(packets))
        try:
            ours = has_lbrr(data)
        except PacketError:
            ours = None
        theirs = bundled.api.opus_packet_has_lbrr(data, len(data)) if data else -1
        # libopus does not look further where the TOC byte says CELT
        assert theirs == ours or (ours is None and (theirs < 0 or data[0] >= 0x80)), data.hex()
        outcomes.add(ours)
    assert outcomes == {True, False, None}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x4b\x41" + b"\xff" * 65534, id="padding lengths without end"),
        pytest.param(b"\x83\x70" + b"\xff" * 256 + b"\x00" + bytes(65277), id="padding"),
        pytest.param(b"\x83\xb0" + b"\xfc" * 65534, id="lengths"),
        pytest.param(random.Random(5).randbytes(65536), id="noise"),
    ],
)
def test_64_kib_are_read_in_little_time_and_memory(data):
    assert_cheap(OpusPacket.parse, data)
    assert_cheap(has_lbrr, data)
