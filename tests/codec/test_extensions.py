import ctypes
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_limits import assert_cheap
from vivavoce.codec.extensions import (
    MAX_EXTENSIONS,
    Extension,
    extensions_of,
    parse_extensions,
    with_extension,
    with_extensions,
    write_extensions,
)
from vivavoce.codec.opus import OpusDecoder, OpusEncoder
from vivavoce.codec.packet import OpusPacket
from vivavoce.errors import PacketError

X = Extension
OUR_IDS = sorted(set(range(3, 128)) - {124, 126})  # libopus's own two are its business


@st.composite
def extension_lists(draw, ids=tuple(range(3, 128))):
    frames = draw(st.integers(1, 48))
    # few IDs and frames, so that frames often carry the same kinds and repetition has something to do
    some_ids = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3))
    extensions = []
    for _ in range(draw(st.integers(0, 8))):
        identity = draw(st.sampled_from(some_ids))
        sizes = st.integers(0, 1) if identity < 32 else st.sampled_from([0, 1, 2, 7, 254, 255, 256, 600])
        data = bytes([draw(st.integers(0, 255))]) * draw(sizes)
        if draw(st.booleans()):
            extensions += [X(identity, frame, data) for frame in range(frames)]
        else:
            extensions.append(X(identity, draw(st.integers(0, frames - 1)), data))
    return extensions, frames


def by_frame(extensions):
    return sorted(extensions, key=lambda extension: extension.frame)


@pytest.mark.parametrize(
    ("padding", "frames", "extensions"),
    [
        pytest.param("", 1, [], id="nothing"),
        pytest.param("06", 1, [X(3, 0, b"")], id="short without payload"),
        pytest.param("07aa", 1, [X(3, 0, b"\xaa")], id="short with payload"),
        pytest.param("40aabb", 1, [X(32, 0, b"\xaa\xbb")], id="long to the end"),
        pytest.param("4102aabb06", 1, [X(32, 0, b"\xaa\xbb"), X(3, 0, b"")], id="long with its length"),
        pytest.param(
            "41ff00" + "aa" * 255 + "06", 1, [X(32, 0, b"\xaa" * 255), X(3, 0, b"")], id="long with a laced length"
        ),
        pytest.param("0206", 2, [X(3, 1, b"")], id="the next frame"),
        pytest.param("030506", 6, [X(3, 5, b"")], id="five frames on"),
        pytest.param("0604", 3, [X(3, 0, b""), X(3, 1, b""), X(3, 2, b"")], id="repeated, without payload"),
        pytest.param(
            "07aa05bbcc08", 3, [X(3, 0, b"\xaa"), X(4, 0, b""), X(3, 1, b"\xbb"), X(3, 2, b"\xcc")], id="repeated, more"
        ),
        pytest.param(
            "4101aa07bb04" + "01cc" + "dd" + "eeeeee" + "ff",
            3,
            [
                *(X(32, 0, b"\xaa"), X(3, 0, b"\xbb"), X(32, 1, b"\xcc")),
                *(X(3, 1, b"\xdd"), X(32, 2, b"\xee\xee\xee"), X(3, 2, b"\xff")),
            ],
            id="repeated, the last long one to the end",
        ),
    ],
)
def test_extensions_have_the_bytes_of_the_draft(padding, frames, extensions):
    assert parse_extensions(bytes.fromhex(padding), frames) == by_frame(extensions)
    assert write_extensions(extensions, frames) == bytes.fromhex(padding)


@pytest.mark.parametrize(
    ("padding", "frames", "extensions"),
    [
        pytest.param("00", 1, [], id="plain padding"),
        pytest.param("0006", 1, [], id="what follows plain padding means nothing"),
        pytest.param("0101" + "06" + "01", 1, [X(3, 0, b"")], id="single bytes of padding"),
        pytest.param("0300" + "06", 1, [X(3, 0, b"")], id="a separator by no frame"),
        pytest.param("0206" + "04" + "08", 2, [X(3, 1, b"")], id="what follows a repetition into no frame"),
        pytest.param("04", 1, [], id="nothing to repeat"),
        pytest.param("0604" + "08", 3, [X(3, 0, b""), X(3, 1, b""), X(4, 1, b""), X(3, 2, b"")], id="repetition moves"),
        pytest.param("06010505", 2, [X(3, 0, b""), X(3, 1, b"")], id="a second repetition has nothing to repeat"),
    ],
)
def test_what_the_writer_never_emits_is_read_too(padding, frames, extensions):
    assert parse_extensions(bytes.fromhex(padding), frames) == extensions


@pytest.mark.parametrize(
    ("padding", "frames", "message"),
    [
        pytest.param("07", 1, "extension 3 .* cut off", id="short without its byte"),
        pytest.param("41", 1, "length .* is cut off", id="long without a length"),
        pytest.param("41ff", 1, "extension 32 .* cut off", id="long with half a length"),
        pytest.param("4102aa", 1, "extension 32 .* cut off", id="long beyond the end"),
        pytest.param("03", 9, "inside a frame separator", id="separator without its byte"),
        pytest.param("02", 1, "extension for frame 1", id="a frame too far"),
        pytest.param("030106", 1, "extension for frame 1", id="a frame too far, by number"),
        pytest.param("07aa04", 2, "extension 3 .* cut off", id="repeated without payload"),
        pytest.param("4100" + "07aa" + "04", 2, "extension 32 .* cut off", id="no room for what follows the last one"),
        pytest.param("06" * (MAX_EXTENSIONS + 1), 1, "more than 2048", id="too many"),
        pytest.param("06" * 100 + "04", 48, "more than 2048", id="too many by repetition"),
    ],
)
def test_broken_lists_are_packet_errors(padding, frames, message):
    with pytest.raises(PacketError, match=message):
        parse_extensions(bytes.fromhex(padding), frames)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: X(2, 0, b""), "id must be in", id="a reserved ID"),
        pytest.param(lambda: X(128, 0, b""), "id must be in", id="an ID of eight bits"),
        pytest.param(lambda: X(31, 0, b"ab"), "at most one byte, got 2", id="a short one with two bytes"),
        pytest.param(lambda: X(32, 48, b""), "frame must be in", id="a frame that no packet has"),
        pytest.param(lambda: write_extensions([X(32, 2, b"")], 2), "frame 2 in a packet of 2", id="of another packet"),
        pytest.param(lambda: write_extensions([X(3, 0, b"")] * 2049, 1), "at most 2048", id="too many"),
        pytest.param(lambda: parse_extensions(b"", 0), "frames must be in", id="no frame"),
    ],
)
def test_impossible_extensions_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@given(extension_lists())
def test_parse_undoes_write(case):
    extensions, frames = case
    assert parse_extensions(write_extensions(extensions, frames), frames) == by_frame(extensions)


@given(st.binary(max_size=60), st.integers(1, 48))
def test_any_padding_is_read_or_a_packet_error(padding, frames):
    try:
        extensions = parse_extensions(padding, frames)
    except PacketError:
        return
    assert parse_extensions(write_extensions(extensions, frames), frames) == extensions


class Repacketizer:
    """libopus's own reader and writer of extensions: since 1.6 its repacketizer reads those of every packet that it is
    given, and writes them into the packet that it makes."""

    def __init__(self, api):
        self.api = api
        api.opus_repacketizer_create.restype = ctypes.c_void_p
        for name in ("init", "destroy"):
            getattr(api, f"opus_repacketizer_{name}").argtypes = (ctypes.c_void_p,)
        api.opus_repacketizer_cat.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32)
        api.opus_repacketizer_out.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32)
        self.state = api.opus_repacketizer_create()

    def join(self, *packets):
        """One packet of the frames and extensions of several, or None where libopus refuses them."""
        self.api.opus_repacketizer_init(self.state)
        kept = [ctypes.create_string_buffer(packet, len(packet)) for packet in packets]  # it keeps their addresses
        for packet in kept:
            assert self.api.opus_repacketizer_cat(self.state, ctypes.cast(packet, ctypes.c_char_p), len(packet)) == 0
        output = ctypes.create_string_buffer(2 * sum(map(len, packets)) + 4000)
        size = self.api.opus_repacketizer_out(self.state, output, len(output))
        return output.raw[:size] if size >= 0 else None


@pytest.fixture(scope="module")
def repacketizer(bundled):
    repacketizer = Repacketizer(bundled.api)
    yield repacketizer
    bundled.api.opus_repacketizer_destroy(repacketizer.state)


@given(extension_lists())
def test_libopus_reads_the_extensions_that_we_write(repacketizer, case):
    extensions, frames = case
    packet = OpusPacket(16, False, (b"ab",) * frames, write_extensions(extensions, frames)).serialize()
    theirs = repacketizer.join(packet)
    assert theirs is not None
    assert extensions_of(theirs) == extensions_of(packet) == by_frame(extensions)


@given(extension_lists())
def test_we_write_no_longer_than_libopus(repacketizer, case):
    extensions, frames = case
    packet = OpusPacket(16, False, (b"ab",) * frames, write_extensions(extensions, frames)).serialize()
    theirs = OpusPacket.parse(repacketizer.join(packet)).padding or b""
    assert len(write_extensions(extensions, frames)) <= len(theirs.lstrip(b"\x01"))


def test_extensions_of_joined_packets_keep_their_frames(repacketizer):
    first = OpusPacket(16, False, (b"ab", b"cd"), write_extensions([X(40, 1, b"first")], 2)).serialize()
    second = OpusPacket(16, False, (b"ef",), write_extensions([X(40, 0, b"second"), X(3, 0, b"!")], 1)).serialize()
    joined = extensions_of(repacketizer.join(first, second))
    assert joined == [X(40, 1, b"first"), X(40, 2, b"second"), X(3, 2, b"!")]


def test_libopus_and_we_read_the_same_extensions_in_any_padding(repacketizer):
    generator = random.Random(6)
    bytes_that_mean_much = bytes([0, 1, 2, 3, 4, 4, 5, 5, 6, 7, 9, 64, 65, 65, 253, 255])
    accepted = 0
    for _ in range(30_000):
        frames = generator.choice([1, 2, 3, 5, 48])
        padding = bytes(generator.choice(bytes_that_mean_much) for _ in range(generator.randint(0, 14)))
        packet = OpusPacket(16, False, (b"",) * frames, padding).serialize()
        theirs = repacketizer.join(packet)
        try:
            ours = parse_extensions(padding, frames)
        except PacketError:
            assert theirs is None, padding.hex()
            continue
        assert theirs is not None, (padding.hex(), frames)
        assert extensions_of(theirs) == ours, (padding.hex(), frames)
        accepted += 1
    assert 3_000 < accepted < 27_000


def test_extensions_replace_whatever_padding_there_was():
    bare = OpusPacket(9, False, (b"one", b"three"))
    extensions = [X(32, 0, b"old"), X(33, 1, b"older")]
    carrying = with_extensions(bare.serialize(), extensions)
    assert extensions_of(carrying) == extensions
    assert extensions_of(with_extensions(carrying, [X(32, 0, b"new")])) == [X(32, 0, b"new")]
    assert with_extensions(carrying, []) == bare.serialize()
    assert extensions_of(bare.serialize()) == []


SETTINGS = {
    "silk with LBRR": {"bitrate_bps": 24000, "inband_fec": True, "expected_loss_pct": 20},
    "silk stereo, 60 ms": {"channels": 2, "frame_ms": 60},
    "silk, CBR": {"bitrate_bps": 16000, "vbr": False},
    "hybrid": {"sample_rate": 48000, "bandwidth": "fullband"},
    "celt": {"sample_rate": 48000, "application": "lowdelay", "bitrate_bps": 64000},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_extended_packets_decode_to_exactly_the_same_samples(library, bundled, speech, speech_48k, settings):
    encoder = OpusEncoder(library=bundled, **settings)
    decoders = [OpusDecoder(48000, channels=encoder.channels, library=library) for _ in range(2)]
    samples = speech_48k if encoder.sample_rate == 48000 else speech
    generator = random.Random(7)
    energy = 0.0
    for at in range(0, len(samples) - encoder.frame_samples + 1, encoder.frame_samples):
        frame = samples[at : at + encoder.frame_samples]
        packet = encoder.encode(np.stack([frame, -0.5 * frame]) if encoder.channels == 2 else frame)
        extensions = []
        for _ in range(generator.randint(1, 4)):
            identity = generator.choice(OUR_IDS)
            size = generator.randint(0, 1) if identity < 32 else generator.choice([0, 3, 40, 255, 700])
            extensions.append(X(identity, 0, generator.randbytes(size)))
        extended = with_extensions(packet, extensions)
        assert extensions_of(extended) == extensions
        lost = generator.random() < 0.1  # the copy in the next packet and the concealment must be the same too
        plain, carried = (
            decoder.conceal(48 * 20) if lost else decoder.decode(data)
            for decoder, data in zip(decoders, (packet, extended), strict=True)
        )
        assert plain.tobytes() == carried.tobytes()
        copies = [d.snapshot() for d in decoders]
        lbrr = [d.decode_lbrr(p, 960) for d, p in zip(decoders, (packet, extended), strict=True)]
        assert lbrr[0].tobytes() == lbrr[1].tobytes()
        for decoder, copy in zip(decoders, copies, strict=True):
            decoder.restore(copy)
        energy += float((plain**2).mean())
    assert energy > 0


def test_no_other_id_changes_the_sound(library, packets):
    plain, extended = (OpusDecoder(library=library) for _ in range(2))
    for identity in OUR_IDS:
        data = b"D\x0cabcdefgh" if identity >= 32 else b"D"
        for packet in packets[:12]:
            count = len(OpusPacket.parse(packet).frames)
            carried = with_extensions(packet, [X(identity, frame, data) for frame in range(count)])
            assert plain.decode(packet).tobytes() == extended.decode(carried).tobytes(), identity


@pytest.mark.parametrize(
    "padding",
    [
        pytest.param(b"\x01" * 65536, id="single bytes of padding"),
        pytest.param(b"\x03\x00" * 32768, id="separators by no frame"),
        pytest.param(b"\x05" * 65536, id="repetitions of nothing"),
        pytest.param(b"\x06" * 40 + b"\x05" * 65496, id="repetitions"),
        pytest.param(b"\x06\x05" * 32768, id="repetitions of one"),
        pytest.param(b"\x06" * 65536, id="short ones"),
        pytest.param(b"\x41" + b"\xff" * 65535, id="a length without end"),
        pytest.param(b"\x41\x00" * 40 + b"\x05" + bytes(65455), id="repeated long ones"),
        pytest.param(random.Random(8).randbytes(65536), id="noise"),
    ],
)
def test_64_kib_are_read_in_little_time_and_memory(padding):
    assert_cheap(lambda data: parse_extensions(data, 48), padding)


BARE = b"\x48" + bytes(50)  # one frame of code 0


@pytest.mark.parametrize("extension", [X(3, 0, b""), X(31, 0, b"\xaa"), X(32, 0, b""), X(122, 0, b"\xaa" * 600)])
@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(BARE, id="one frame"),
        pytest.param(b"\x48", id="a frame of nothing"),
        pytest.param(b"\x49" + bytes(50), id="two frames"),
        pytest.param(with_extensions(BARE, [X(40, 0, b"\xbb"), X(3, 0, b"")]), id="others before it"),
    ],
)
def test_one_more_extension_comes_behind_the_others(packet, extension):
    assert with_extension(packet, extension) == with_extensions(packet, [*extensions_of(packet), extension])


def test_one_more_extension_needs_a_packet_and_its_frame():
    for packet in (b"", b"\x48" + bytes(1276)):
        with pytest.raises(PacketError):
            with_extension(packet, X(122, 0, b"\xaa"))
    with pytest.raises(ValueError, match="frame 1 in a packet of 1"):
        with_extension(BARE, X(122, 1, b"\xaa"))
