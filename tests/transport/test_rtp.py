import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_limits import assert_cheap, assert_read_or_refused, mutations
from vivavoce.errors import PacketError
from vivavoce.transport.rtp import HeaderExtension, RtpPacket, sequence_delta, timestamp_delta, unwrap


def bits(count):
    return st.integers(0, (1 << count) - 1)


extensions = st.builds(HeaderExtension, bits(16), st.binary(max_size=5).map(lambda data: data * 4))
packets = st.builds(
    RtpPacket,
    payload_type=bits(7),
    sequence_number=bits(16),
    timestamp=bits(32),
    ssrc=bits(32),
    payload=st.binary(max_size=40),
    marker=st.booleans(),
    csrc=st.lists(bits(32), max_size=15).map(tuple),
    extension=st.none() | extensions,
    padding_bytes=st.integers(0, 255),
)

OPUS = RtpPacket(111, 0x1234, 0xDEADBEEF, 0x01020304, b"\x78\x01\x02")


@pytest.mark.parametrize(
    ("packet", "wire"),
    [
        pytest.param(OPUS, "80 6f 1234 deadbeef 01020304 780102", id="fixed header"),
        pytest.param(dataclasses.replace(OPUS, marker=True), "80 ef 1234 deadbeef 01020304 780102", id="marker"),
        pytest.param(
            dataclasses.replace(OPUS, csrc=(7, 0xFFFFFFFF)),
            "82 6f 1234 deadbeef 01020304 00000007 ffffffff 780102",
            id="two contributing sources",
        ),
        pytest.param(
            dataclasses.replace(OPUS, extension=HeaderExtension(0xBEDE, b"\x10\xff\x00\x00")),
            "90 6f 1234 deadbeef 01020304 bede 0001 10ff0000 780102",
            id="one-byte extension of RFC 8285",
        ),
        pytest.param(
            dataclasses.replace(OPUS, extension=HeaderExtension(0x1000, b"")),
            "90 6f 1234 deadbeef 01020304 1000 0000 780102",
            id="empty extension",
        ),
        pytest.param(
            dataclasses.replace(OPUS, padding_bytes=5),
            "a0 6f 1234 deadbeef 01020304 780102 0000000005",
            id="padding that counts itself",
        ),
        pytest.param(
            dataclasses.replace(OPUS, payload=b"", padding_bytes=1),
            "a0 6f 1234 deadbeef 01020304 01",
            id="only padding",
        ),
        pytest.param(dataclasses.replace(OPUS, payload=b""), "80 6f 1234 deadbeef 01020304", id="no payload"),
    ],
)
def test_packets_have_exactly_these_bytes(packet, wire):
    wire = bytes.fromhex(wire)
    assert packet.serialize() == wire
    assert RtpPacket.parse(wire) == packet


@given(packets)
def test_what_is_written_is_read(packet):
    assert RtpPacket.parse(packet.serialize()) == packet


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_read_and_not_kept(kind):
    packet = RtpPacket.parse(kind(OPUS.serialize()))
    assert packet == OPUS
    assert type(packet.payload) is bytes


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        pytest.param("", "needs 12 bytes, got 0", id="empty"),
        pytest.param("80 6f 1234 deadbeef 010203", "needs 12 bytes, got 11", id="cut header"),
        pytest.param("40 6f 1234 deadbeef 01020304", "version must be 2, got 1", id="version 1"),
        pytest.param("82 6f 1234 deadbeef 01020304 00000007", "2 CSRC needs 20 bytes, got 16", id="cut CSRC"),
        pytest.param("90 6f 1234 deadbeef 01020304 bede", "extension is truncated", id="cut extension header"),
        pytest.param("90 6f 1234 deadbeef 01020304 bede 0002 00000000", "2 words does not fit", id="cut extension"),
        pytest.param("a0 6f 1234 deadbeef 01020304", "padding of 0 bytes", id="padded without padding"),
        pytest.param("a0 6f 1234 deadbeef 01020304 780100", "padding of 0 bytes", id="padding of zero"),
        pytest.param("a0 6f 1234 deadbeef 01020304 780104", "4 bytes does not fit into 3", id="padding over header"),
        pytest.param(
            "b0 6f 1234 deadbeef 01020304 bede 0001 00000001",
            "padding of 0 bytes does not fit into 0",
            id="padding within the extension",
        ),
    ],
)
def test_a_malformed_packet_says_why(wire, message):
    with pytest.raises(PacketError, match=message):
        RtpPacket.parse(bytes.fromhex(wire))


@given(st.binary(max_size=80))
def test_random_bytes_are_read_or_refused(data):
    assert_read_or_refused(RtpPacket.parse, RtpPacket.serialize, data)


@given(packets.map(RtpPacket.serialize).flatmap(mutations))
def test_damaged_packets_are_read_or_refused(data):
    assert_read_or_refused(RtpPacket.parse, RtpPacket.serialize, data)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("payload_type", 128),
        ("payload_type", -1),
        ("sequence_number", 65536),
        ("timestamp", 1 << 32),
        ("ssrc", -1),
        ("csrc", (0,) * 16),
        ("csrc", (1 << 32,)),
        ("padding_bytes", 256),
        ("padding_bytes", -1),
    ],
)
def test_a_field_that_does_not_fit_is_named(field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(OPUS, **{field: value})


@pytest.mark.parametrize(
    ("profile", "data"), [(1 << 16, b""), (0, b"123"), (0, bytes(4 * 65536))], ids=["profile", "half word", "too long"]
)
def test_an_extension_that_does_not_fit_is_refused(profile, data):
    with pytest.raises(ValueError, match=r"profile|extension data"):
        HeaderExtension(profile, data)


@pytest.mark.parametrize(
    ("a", "b", "delta"),
    [(5, 3, 2), (3, 5, -2), (0, 65535, 1), (65535, 0, -1), (0x7FFF, 0, 0x7FFF), (0x8000, 0, -0x8000), (9, 9, 0)],
)
def test_sequence_numbers_wrap_at_16_bits(a, b, delta):
    assert sequence_delta(a, b) == delta


@pytest.mark.parametrize(
    ("a", "b", "delta"), [(960, 0, 960), (0, 960, -960), (959, (1 << 32) - 1, 960), (1 << 31, 0, -(1 << 31))]
)
def test_timestamps_wrap_at_32_bits(a, b, delta):
    assert timestamp_delta(a, b) == delta


@pytest.mark.parametrize(
    ("value", "reference", "bits", "full"),
    [
        pytest.param(3, 65534, 16, 65539, id="a new turn"),
        pytest.param(65535, 65536, 16, 65535, id="late, from the turn before"),
        pytest.param(65535, 0, 16, -1, id="before the first"),
        pytest.param(0, 5 << 32, 32, 5 << 32, id="the reference itself"),
        pytest.param(959, (1 << 32) - 1, 32, (1 << 32) + 959, id="timestamp"),
    ],
)
def test_unwrapping_goes_to_the_nearest(value, reference, bits, full):
    assert unwrap(value, reference, bits) == full


@given(st.integers(-(1 << 40), 1 << 40), st.integers(-(1 << 15), (1 << 15) - 1))
def test_unwrapping_undoes_wrapping(reference, step):
    assert unwrap((reference + step) & 0xFFFF, reference, 16) == reference + step


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(OPUS.serialize() + bytes(65_000), id="payload"),
        pytest.param(b"\x8f" + bytes(11 + 60) + bytes(65_000), id="all CSRC"),
        pytest.param(b"\x9f" + bytes(11 + 60 + 2) + b"\x3f\x00" + bytes(65_000), id="long extension"),
        pytest.param(b"\xff" * 65_507, id="all ones"),
    ],
)
def test_a_huge_datagram_costs_little(data):
    assert_cheap(RtpPacket.parse, data)


@given(packets.filter(lambda packet: packet.extension is None))
def test_aiortc_reads_and_writes_the_same_bytes(packet):
    peer = pytest.importorskip("aiortc.rtp")
    read = peer.RtpPacket.parse(packet.serialize())
    assert read.payload == packet.payload
    assert (read.payload_type, read.sequence_number, read.timestamp) == (
        packet.payload_type,
        packet.sequence_number,
        packet.timestamp,
    )
    assert RtpPacket.parse(read.serialize()) == packet
