import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_limits import assert_cheap, assert_read_or_refused, mutations
from vivavoce.errors import PacketError
from vivavoce.redundancy.red import MAX_BLOCKS, RedBlock, RedHistory, RedPacket

payload_types = st.integers(0, 127)
blocks = st.builds(RedBlock, payload_types, st.integers(0, 16383), st.binary(max_size=30))
packets = st.builds(RedPacket, payload_types, st.binary(max_size=40), st.lists(blocks, max_size=40).map(tuple))


@pytest.mark.parametrize(
    ("packet", "wire"),
    [
        pytest.param(RedPacket(111, b"abc"), "6f 616263", id="primary alone"),
        # 960 ticks = 0b00001111000000, 2 bytes = 0b0000000010, run together behind F=1 and the payload type
        pytest.param(
            RedPacket(111, b"abc", (RedBlock(111, 960, b"xy"),)), "ef 0f0002 6f 7879 616263", id="one packet back"
        ),
        pytest.param(
            RedPacket(111, b"c", (RedBlock(111, 1920, b"a"), RedBlock(111, 960, b"b"))),
            "ef 1e0001 ef 0f0001 6f 61 62 63",
            id="oldest first",
        ),
        pytest.param(
            RedPacket(0, b"\xff", (RedBlock(127, 16383, b"\x00" * 1023),)),
            "ff ffffff 00" + "00" * 1023 + "ff",
            id="the limits, and another payload type",
        ),
        pytest.param(
            RedPacket(111, b"", (RedBlock(111, 0, b""),)), "ef 000000 6f", id="nothing but headers, as in a silence"
        ),
    ],
)
def test_packets_have_exactly_these_bytes(packet, wire):
    wire = bytes.fromhex(wire)
    assert packet.serialize() == wire
    assert RedPacket.parse(wire) == packet


@given(packets)
def test_what_is_written_is_read(packet):
    assert RedPacket.parse(packet.serialize()) == packet


def test_a_thousand_blocks_are_read():
    packet = RedPacket(111, b"new", tuple(RedBlock(111, i, b"") for i in range(MAX_BLOCKS)))
    assert RedPacket.parse(packet.serialize()) == packet


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_read_and_not_kept(kind):
    packet = RedPacket.parse(kind(b"\xef\x0f\x00\x02\x6fxyabc"))
    assert (packet.data, type(packet.data)) == (b"abc", bytes)
    assert (packet.redundant[0].data, type(packet.redundant[0].data)) == (b"xy", bytes)


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        pytest.param("", "ends before the header of its primary", id="empty"),
        pytest.param("ef", "ends before the header of its primary", id="cut header"),
        pytest.param("ef 0f0002", "ends before the header of its primary", id="no primary"),
        pytest.param("ef 0f0002 6f 78", "do not fit into 1 bytes", id="cut block"),
        pytest.param("ef 0f0001 ef 0f0001 6f 78", "do not fit into 1 bytes", id="the second block is cut"),
        pytest.param("80 000000" * 1025 + "00", "more than 1024 redundant blocks", id="too many blocks"),
    ],
)
def test_a_malformed_packet_says_why(wire, message):
    with pytest.raises(PacketError, match=message):
        RedPacket.parse(bytes.fromhex(wire))


@given(st.binary(max_size=80))
def test_random_bytes_are_read_or_refused(data):
    assert_read_or_refused(RedPacket.parse, RedPacket.serialize, data)


@given(packets.map(RedPacket.serialize).flatmap(mutations))
def test_damaged_packets_are_read_or_refused(data):
    assert_read_or_refused(RedPacket.parse, RedPacket.serialize, data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x80\0\0\0" * 16_383, id="headers without end"),
        pytest.param(b"\x80\0\0\0" * 16_376 + b"\0", id="empty blocks"),
        pytest.param(b"\x80\0\0\0" * MAX_BLOCKS + b"\0" + bytes(61_000), id="as many empty blocks as are read"),
        pytest.param(b"\x80\0\0\x3f" * MAX_BLOCKS + b"\0" + bytes(61_408 - 1), id="as many small blocks as are read"),
        pytest.param(b"\x80\0\3\xff" * 63 + b"\0" + bytes(63 * 1023), id="long blocks"),
        pytest.param(b"\xff" * 65_507, id="all ones"),
    ],
)
def test_a_huge_payload_costs_little(data):
    assert_cheap(RedPacket.parse, data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: RedBlock(128, 0, b""), "payload_type", id="payload type of a block"),
        pytest.param(lambda: RedBlock(0, 16384, b""), "timestamp_offset", id="too old"),
        pytest.param(lambda: RedBlock(0, -1, b""), "timestamp_offset", id="from the future"),
        pytest.param(lambda: RedBlock(0, 0, bytes(1024)), "at most 1023 bytes, got 1024", id="too long"),
        pytest.param(lambda: RedPacket(-1, b""), "payload_type", id="payload type"),
        pytest.param(lambda: RedPacket(0, b"", (RedBlock(0, 0, b""),) * 1025), "at most 1024", id="too many blocks"),
        pytest.param(lambda: RedHistory((0,)), "1..136 packets, got 0", id="the packet itself"),
        pytest.param(lambda: RedHistory((137,)), "1..136 packets, got 137", id="never within the offset"),
        pytest.param(lambda: RedHistory((1, 1)), "must differ", id="twice the same"),
        pytest.param(lambda: RedHistory((1,), max_payload_bytes=0), "max_payload_bytes", id="no room at all"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def wrapped(history, timestamps):
    """What each packet carries, as (index of the copied packet, offset); packet i holds the byte i."""
    packets = [history.wrap(111, timestamp, bytes([i])) for i, timestamp in enumerate(timestamps)]
    assert [packet.data for packet in packets] == [bytes([i]) for i in range(len(packets))]
    return [[(block.data[0], block.timestamp_offset) for block in packet.redundant] for packet in packets]


@pytest.mark.parametrize(
    ("distances", "carried"),
    [
        pytest.param((), [[], [], [], []], id="none"),
        pytest.param((1,), [[], [(0, 960)], [(1, 960)], [(2, 960)]], id="1"),
        pytest.param((2,), [[], [], [(0, 1920)], [(1, 1920)]], id="2"),
        pytest.param((1, 2), [[], [(0, 960)], [(0, 1920), (1, 960)], [(1, 1920), (2, 960)]], id="1 and 2"),
        pytest.param((3, 1), [[], [(0, 960)], [(1, 960)], [(0, 2880), (2, 960)]], id="3 and 1"),
    ],
)
def test_copies_come_from_the_distances_oldest_first(distances, carried):
    assert wrapped(RedHistory(distances), [0, 960, 1920, 2880]) == carried


def test_distances_count_packets_across_a_silence():
    # 20-ms packets; after the second, 300 ms of DTX
    assert wrapped(RedHistory((1, 2)), [0, 960, 15_360, 16_320]) == [
        [],
        [(0, 960)],
        [(0, 15_360), (1, 14_400)],
        [(1, 15_360), (2, 960)],
    ]


def test_a_silence_too_long_for_the_offset_leaves_the_copy_out():
    history = RedHistory((1, 2))
    # 16384 ticks after the first, 15424 after the second; then 400 ms, as Opus DTX has them
    assert wrapped(history, [0, 960, 16_384, 35_584]) == [[], [(0, 960)], [(1, 15_424)], []]
    assert (history.left_out_offset, history.left_out_length) == (3, 0)


def test_the_timestamp_wraps():
    assert wrapped(RedHistory((1,)), [(1 << 32) - 960, 0, 960]) == [[], [(0, 960)], [(1, 960)]]


def test_a_timestamp_that_goes_back_leaves_the_copy_out():
    history = RedHistory((1,))
    assert wrapped(history, [9600, 0, 960]) == [[], [], [(1, 960)]]
    assert history.left_out_offset == 1


def test_a_copy_too_long_is_left_out():
    history = RedHistory((1,))
    history.wrap(111, 0, bytes(1024))
    assert history.wrap(111, 960, bytes(1023)).redundant == ()
    assert history.left_out_length == 1
    assert len(history.wrap(111, 1920, b"").redundant[0].data) == 1023
    assert history.left_out_length == 1


def test_a_second_encoding_is_repeated_instead_of_the_primary():
    history = RedHistory((1,))
    assert history.wrap(111, 0, b"best", copy=b"small").data == b"best"
    assert history.wrap(111, 960, b"next").redundant == (RedBlock(111, 960, b"small"),)
    assert history.wrap(111, 1920, b"last", copy=b"").redundant == (RedBlock(111, 960, b"next"),)
    assert history.wrap(111, 2880, b"end").redundant == (RedBlock(111, 960, b""),)


def test_a_copy_keeps_its_payload_type():
    history = RedHistory((1,))
    history.wrap(111, 0, b"opus")
    assert history.wrap(0, 960, b"pcmu") == RedPacket(0, b"pcmu", (RedBlock(111, 960, b"opus"),))


def test_the_oldest_copies_give_way_to_the_limit():
    history = RedHistory((1, 2), max_payload_bytes=250)
    for i in range(2):
        history.wrap(111, 960 * i, bytes(100))
    packet = history.wrap(111, 1920, bytes(100))
    assert [block.timestamp_offset for block in packet.redundant] == [960]
    assert len(packet.serialize()) == 205
    assert history.wrap(111, 2880, bytes(300)).redundant == ()
    assert history.left_out_size == 3


def test_reset_forgets_the_stream_before():
    history = RedHistory((1,))
    history.wrap(111, 0, b"old")
    history.reset()
    assert history.wrap(111, 960, b"new").redundant == ()
    assert history.left_out_offset == 0


@given(
    st.sets(st.integers(1, 6), max_size=4),
    st.lists(st.tuples(st.integers(1, 9000), st.binary(max_size=20)), max_size=30),
    st.integers(0, (1 << 32) - 1),
)
def test_every_copy_is_the_payload_of_its_own_timestamp(distances, sent, timestamp):
    history, payloads, candidates = RedHistory(tuple(distances)), {}, 0
    carried = 0
    for count, (ticks, payload) in enumerate(sent):
        timestamp = (timestamp + ticks) & 0xFFFFFFFF
        packet = RedPacket.parse(history.wrap(111, timestamp, payload).serialize())
        offsets = [block.timestamp_offset for block in packet.redundant]
        assert offsets == sorted(offsets, reverse=True)
        for block in packet.redundant:
            assert payloads[(timestamp - block.timestamp_offset) & 0xFFFFFFFF] == block.data
        payloads[timestamp] = payload
        candidates += sum(distance <= count for distance in distances)
        carried += len(packet.redundant)
    assert carried + history.left_out_offset + history.left_out_length == candidates
