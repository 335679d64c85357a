import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_limits import assert_cheap, assert_read_or_refused, mutations
from vivavoce.errors import PacketError
from vivavoce.transport.rtcp import (
    ExtendedReport,
    Goodbye,
    LossRle,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceChunk,
    SourceDescription,
    UnknownBlock,
    UnknownRtcp,
    VoipMetrics,
    is_rtcp,
    parse_compound,
    serialize_compound,
)
from vivavoce.transport.rtcp_frame import MAX_RTCP_BYTES


def bits(count):
    return st.integers(0, (1 << count) - 1)


words = st.binary(max_size=4).map(lambda data: data * 4)
report_blocks = st.builds(
    ReportBlock, bits(32), bits(8), st.integers(-(1 << 23), (1 << 23) - 1), bits(32), bits(32), bits(32), bits(32)
)
reports = st.lists(report_blocks, max_size=4).map(tuple)
sender_reports = st.builds(SenderReport, bits(32), bits(64), bits(32), bits(32), bits(32), reports, words)
receiver_reports = st.builds(ReceiverReport, bits(32), reports, words)
items = st.tuples(st.integers(1, 255), st.binary(max_size=12))
chunks = st.builds(SourceChunk, bits(32), st.lists(items, max_size=3).map(tuple))
descriptions = st.builds(SourceDescription, st.lists(chunks, max_size=4).map(tuple))
goodbyes = st.builds(Goodbye, st.lists(bits(32), max_size=4).map(tuple), st.none() | st.binary(max_size=12))
unknown = st.builds(UnknownRtcp, st.sampled_from([0, 192, 204, 205, 206, 255]), bits(5), words)
losses = st.builds(LossRle.of, bits(32), bits(16), st.lists(st.booleans(), max_size=60), thinning=st.integers(0, 3))
voip = st.builds(VoipMetrics, bits(32), bits(8), gap_duration=bits(16), noise_level=st.integers(-128, 127))
other_blocks = st.builds(UnknownBlock, st.sampled_from([0, 2, 6, 255]), bits(8), words)
extended = st.builds(ExtendedReport, bits(32), st.lists(losses | voip | other_blocks, max_size=3).map(tuple))
compounds = st.tuples(
    sender_reports | receiver_reports,
    st.lists(sender_reports | receiver_reports | descriptions | goodbyes | unknown | extended, max_size=3),
).map(lambda parts: [parts[0], *parts[1]])

BLOCK = ReportBlock(0x0A0B0C0D, 64, -1, 0x00011234, 0x50, 0xAABBCCDD, 0x00010000)
BLOCK_WIRE = "0a0b0c0d 40ffffff 00011234 00000050 aabbccdd 00010000"


@pytest.mark.parametrize(
    ("packet", "wire"),
    [
        pytest.param(
            SenderReport(0x01020304, 0xE0000000_80000000, 960, 50, 4000, (BLOCK,)),
            f"81 c8 000c 01020304 e000000080000000 000003c0 00000032 00000fa0 {BLOCK_WIRE}",
            id="sender report",
        ),
        pytest.param(ReceiverReport(5), "80 c9 0001 00000005", id="empty receiver report"),
        pytest.param(
            ReceiverReport(5, (BLOCK, BLOCK), b"more"),
            f"82 c9 000e 00000005 {BLOCK_WIRE} {BLOCK_WIRE} 6d6f7265",
            id="receiver report with an extension",
        ),
        pytest.param(
            SourceDescription.named(5, "ab"), "81 ca 0003 00000005 01026162 00000000", id="name, and a word of nulls"
        ),
        pytest.param(
            SourceDescription.named(5, "abc"), "81 ca 0003 00000005 01036162 63000000", id="name, three nulls"
        ),
        pytest.param(
            SourceDescription((SourceChunk(5, ()), SourceChunk(6, ((1, b"a"), (8, b""))))),
            "82 ca 0005 00000005 00000000 00000006 01016108 00000000",
            id="two sources, one without items",
        ),
        pytest.param(SourceDescription(()), "80 ca 0000", id="description of nobody"),
        pytest.param(Goodbye((5,)), "81 cb 0001 00000005", id="goodbye"),
        pytest.param(Goodbye((5, 6), b"tired"), "82 cb 0004 00000005 00000006 05746972 65640000", id="with a reason"),
        pytest.param(Goodbye((), b""), "80 cb 0001 00000000", id="with an empty reason"),
        pytest.param(UnknownRtcp(206, 1, b"\0\0\0\1"), "81 ce 0001 00000001", id="feedback"),
    ],
)
def test_packets_have_exactly_these_bytes(packet, wire):
    wire = bytes.fromhex(wire)
    assert packet.serialize() == wire
    assert type(packet).parse(wire) == packet


@given(compounds)
def test_what_is_written_is_read(packets):
    assert parse_compound(serialize_compound(packets)) == packets


def test_a_compound_is_its_packets_in_order():
    wire = bytes.fromhex("80c90001 00000005" + "81ca0003 00000005 01036162 63000000" + "81cb0001 00000005")
    packets = [ReceiverReport(5), SourceDescription.named(5, "abc"), Goodbye((5,))]
    assert parse_compound(wire) == packets
    assert serialize_compound(packets) == wire


def test_padding_on_the_last_packet_is_dropped():
    assert parse_compound(bytes.fromhex("80c90001 00000005 a1cb0003 00000007 00000000 00000008")) == [
        ReceiverReport(5),
        Goodbye((7,)),
    ]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_read_and_not_kept(kind):
    wire = kind(serialize_compound([ReceiverReport(5), UnknownRtcp(206, 1, b"abcd")]))
    assert is_rtcp(wire)
    assert parse_compound(wire)[1] == UnknownRtcp(206, 1, b"abcd")
    assert type(parse_compound(wire)[1].body) is bytes


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        pytest.param("", "needs 4 to 10240 bytes, got 0", id="empty"),
        pytest.param("80c900", "needs 4 to 10240 bytes, got 3", id="cut header"),
        pytest.param("00" * 10_244, "got 10244", id="too long"),
        pytest.param("40c90001 00000005", "version must be 2, got 1", id="version 1"),
        pytest.param("80c90002 00000005", "12 bytes does not fit into 8", id="length beyond the end"),
        pytest.param("80c90001 00000005 80", "header is truncated to 1 bytes", id="a byte too many"),
        pytest.param("81cb0001 00000005", "begins with a report, got packet type 203", id="no report first"),
        pytest.param("a0c90002 00000005 00000004 80c90001 00000005", "only the last", id="padding before the end"),
        pytest.param("a0c90001 00000000", "padding must be whole words .* got 0 of 4", id="padding of zero"),
        pytest.param("a0c90001 00000003", "padding must be whole words .* got 3 of 4", id="padding of half a word"),
        pytest.param("a0c90001 00000008", "padding must be whole words .* got 8 of 4", id="padding over the header"),
        pytest.param("a0c90000", "padding must be whole words .* got 0 of 0", id="padded without a body"),
        pytest.param("a0c90001 00000004", "needs an SSRC", id="nothing but padding"),
        pytest.param("80c90000", "needs an SSRC", id="report without a reporter"),
        pytest.param("81c90001 00000005", "1 blocks does not fit into 4", id="report without its block"),
        pytest.param("80c80001 00000005", "sender report has at least 24 bytes, got 4", id="cut sender report"),
        pytest.param("80c90001 00000005 81ca0000", "ends before a chunk", id="SDES without its chunk"),
        pytest.param("80c90001 00000005 81ca0001 00000005", "lacks the null", id="SDES chunk without items"),
        pytest.param("80c90001 00000005 81ca0002 00000005 01026162", "ends within an item", id="SDES without null"),
        pytest.param("80c90001 00000005 81ca0002 00000005 01016101", "ends within an item", id="SDES item cut"),
        pytest.param("80c90001 00000005 81ca0003 00000005 00000000 00000000", "4 bytes after its 1", id="SDES: more"),
        pytest.param("80c90001 00000005 82cb0001 00000005", "2 sources does not fit into 4", id="BYE cut"),
        pytest.param("80c90001 00000005 80cb0001 04616263", "reason of 4 bytes", id="BYE reason cut"),
        pytest.param("80c90001 00000005 80cb0002 01610000 00000000", "reason of 1 bytes", id="BYE: more"),
    ],
)
def test_a_malformed_compound_says_why(wire, message):
    with pytest.raises(PacketError, match=message):
        parse_compound(bytes.fromhex(wire))


@pytest.mark.parametrize(
    ("kind", "wire", "message"),
    [
        pytest.param(Goodbye, "80c90001 00000005", "type must be 203, got 201", id="another type"),
        pytest.param(Goodbye, "80cb0000 80cb0000", "expected one RTCP packet, got 2", id="two packets"),
        pytest.param(UnknownRtcp, "80cb0000", "unknown type, got 1 of 203", id="a known type"),
        pytest.param(UnknownRtcp, "80ce0000 80ce0000", "unknown type, got 2 of 206", id="two unknown packets"),
    ],
)
def test_one_packet_is_read_by_its_own_class_alone(kind, wire, message):
    with pytest.raises(PacketError, match=message):
        kind.parse(bytes.fromhex(wire))


@given(st.binary(max_size=80))
def test_random_bytes_are_read_or_refused(data):
    assert_read_or_refused(parse_compound, serialize_compound, data)


@given(st.sampled_from([200, 201, 202, 203, 206, 207]), bits(6), st.binary(max_size=80))
def test_random_bodies_are_read_or_refused(packet_type, flags, body):
    body = body[: len(body) // 4 * 4]
    header = bytes([0x80 | flags, packet_type]) + (len(body) // 4).to_bytes(2, "big")
    assert_read_or_refused(parse_compound, serialize_compound, ReceiverReport(1).serialize() + header + body)


@given(compounds.map(serialize_compound).flatmap(mutations))
def test_damaged_compounds_are_read_or_refused(data):
    assert_read_or_refused(parse_compound, serialize_compound, data)


def test_aiortc_reads_and_writes_the_same_bytes():
    peer = pytest.importorskip("aiortc.rtp")
    packets = [
        SenderReport(5, 1 << 63, 960, 50, 4000, (BLOCK,)),
        ReceiverReport(5, (BLOCK, BLOCK)),
        SourceDescription.named(5, "abc"),
        Goodbye((5,)),
    ]
    wire = serialize_compound(packets)
    read = peer.RtcpPacket.parse(wire)
    assert read[0].reports[0].packets_lost == BLOCK.cumulative_lost
    assert b"".join(bytes(packet) for packet in read) == wire


def filled(part, first="80c90001 00000005"):
    """A compound as long as may be, of one packet again and again."""
    first, part = bytes.fromhex(first), bytes.fromhex(part)
    return first + part * ((MAX_RTCP_BYTES - len(first)) // len(part))


def one(header, part, before="00000005", after=""):
    """A compound as long as may be whose last packet holds one part again and again."""
    before, part, after = bytes.fromhex(before), bytes.fromhex(part), bytes.fromhex(after)
    room = MAX_RTCP_BYTES - 12 - len(before) - len(after)
    body = before + part * (room // len(part)) + after
    body += bytes(-len(body) % 4)
    return bytes.fromhex("80c90001 00000005" + header) + (len(body) // 4).to_bytes(2, "big") + body


HUGE = {
    "empty goodbyes": filled("80cb0000"),
    "empty descriptions": filled("80ca0000"),
    "empty feedback": filled("80ce0000"),
    "receiver reports": filled("80c90001 00000005"),
    "report blocks": filled("9fc900bb 00000005" + BLOCK_WIRE * 31),
    "goodbyes with 31 sources": filled("9fcb001f" + "00000005" * 31),
    "chunks without items": filled("9fca003e" + "00000005 00000000" * 31),
    "items without text": one("81ca", "0100", after="00000000"),
    "empty extended reports": filled("80cf0001 00000005"),
    "empty report blocks of XR": one("80cf", "09000000"),
    "empty Loss RLE": one("80cf", "01000002 00000005 00070007"),
    "long runs": one("80cf", "01000004 00000005 0000fffd 7fff7fff 7fff7fff 7fff0000"),
    "65 kB of all": b"\x80\xc9\x00\x01" + bytes(65_000),
    "65 kB in four-byte packets": b"\x80\xc9\x00\x01\x00\x00\x00\x05" + b"\x80\xcb\x00\x00" * 16_370,
}


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_datagram_costs_little(name):
    assert_cheap(parse_compound, HUGE[name])


@pytest.mark.parametrize("name", [name for name in HUGE if "long runs" not in name and "65 kB" not in name])
def test_the_huge_datagrams_are_valid(name):
    assert serialize_compound(parse_compound(HUGE[name])) == HUGE[name]


@pytest.mark.parametrize(
    ("lost", "kept"), [(1 << 30, 0x7FFFFF), (0x800000, 0x7FFFFF), (5, 5), (-5, -5), (-(1 << 30), -0x800000)]
)
def test_cumulative_loss_saturates_at_24_bits(lost, kept):
    block = dataclasses.replace(BLOCK, cumulative_lost=lost)
    assert block.cumulative_lost == kept
    assert ReportBlock.parse(block.serialize()).cumulative_lost == kept


@pytest.mark.parametrize("length", [0, 23, 25])
def test_a_report_block_has_24_bytes(length):
    with pytest.raises(PacketError, match=f"24 bytes, got {length}"):
        ReportBlock.parse(bytes(length))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: dataclasses.replace(BLOCK, fraction_lost=256), "fraction_lost", id="fraction"),
        pytest.param(lambda: dataclasses.replace(BLOCK, highest_sequence=1 << 32), "highest_sequence", id="sequence"),
        pytest.param(lambda: SenderReport(1, 1 << 64, 0, 0, 0), "ntp_timestamp", id="time"),
        pytest.param(lambda: SenderReport(1, 0, 0, 1 << 32, 0), "packet_count", id="packets"),
        pytest.param(lambda: ReceiverReport(1, (BLOCK,) * 32), "at most 31, got 32", id="blocks"),
        pytest.param(lambda: ReceiverReport(1, (), b"odd"), "whole words, got 3", id="extension"),
        pytest.param(lambda: ReceiverReport(1, (), bytes(10_240)), "must fit into 10240", id="extension too long"),
        pytest.param(lambda: SourceChunk(1, ((0, b""),)), "type in 1..255", id="null item"),
        pytest.param(lambda: SourceChunk(1, ((1, bytes(256)),)), "up to 255 bytes", id="long item"),
        pytest.param(lambda: SourceDescription((SourceChunk(1, ()),) * 32), "at most 31", id="chunks"),
        pytest.param(
            lambda: SourceDescription((SourceChunk(1, ((1, bytes(255)),) * 40),)), "must fit into 10240", id="SDES"
        ),
        pytest.param(lambda: Goodbye((1,) * 32), "at most 31", id="leaving"),
        pytest.param(lambda: Goodbye((1 << 32,)), "source", id="source"),
        pytest.param(lambda: Goodbye((), bytes(256)), "at most 255 bytes", id="long reason"),
        pytest.param(lambda: UnknownRtcp(200, 0, b""), "class of its own", id="known type"),
        pytest.param(lambda: UnknownRtcp(206, 32, b""), "count", id="count"),
        pytest.param(lambda: UnknownRtcp(206, 0, b"odd"), "whole words", id="odd body"),
        pytest.param(lambda: UnknownRtcp(206, 0, bytes(10_240)), "must fit into 10240", id="long body"),
        pytest.param(lambda: serialize_compound([]), "begins with", id="empty compound"),
        pytest.param(lambda: serialize_compound([Goodbye((1,))]), "begins with", id="goodbye first"),
        pytest.param(lambda: serialize_compound([ReceiverReport(1)] * 1281), "at most 10240", id="long compound"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("second_byte", "expected"),
    [(191, False), (192, True), (200, True), (207, True), (223, True), (224, False), (0x6F, False), (0xEF, False)],
)
def test_the_second_byte_tells_rtcp_from_rtp(second_byte, expected):
    assert is_rtcp(bytes([0x80, second_byte])) is expected


@pytest.mark.parametrize("data", [b"", b"\x80"])
def test_a_stub_is_not_rtcp(data):
    assert not is_rtcp(data)
