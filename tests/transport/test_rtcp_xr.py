import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.errors import PacketError
from vivavoce.transport.rtcp import ExtendedReport, LossRle, UnknownBlock, VoipMetrics

VOIP = VoipMetrics(
    ssrc=0x0A0B0C0D,
    loss_rate=51,
    discard_rate=2,
    burst_density=128,
    gap_density=3,
    burst_duration=120,
    gap_duration=4000,
    round_trip_delay=85,
    end_system_delay=110,
    signal_level=-20,
    noise_level=-70,
    residual_echo_return_loss=45,
    r_factor=78,
    mos_lq=39,
    mos_cq=37,
    receiver_config=0b11_11_0000,
    buffer_nominal=100,
    buffer_maximum=160,
    buffer_limit=1000,
)


def report(blocks):
    """The bytes of an extended report by SSRC 5 with these blocks."""
    body = bytes.fromhex("00000005" + blocks)
    return b"\x80\xcf" + (len(body) // 4).to_bytes(2, "big") + body


@pytest.mark.parametrize(
    ("blocks", "wire"),
    [
        pytest.param((), "", id="no block"),
        pytest.param(
            (VOIP,),
            "07000008 0a0b0c0d 33028003 00780fa0 0055006e ecba2d10 4e7f2725 f0000064 00a003e8",
            id="VoIP metrics",
        ),
        pytest.param(
            (LossRle.of(9, 0xFFFE, [False, True, False]),),
            "01000003 00000009 fffe0001 d0000000",
            id="a bit vector across the wrap, 1 for what arrived, and a null",
        ),
        pytest.param(
            (LossRle.of(9, 100, [False] * 16 + [True] * 15),), "01000003 00000009 00640083 4010000f", id="two runs"
        ),
        pytest.param(
            (LossRle.of(9, 0, [False] * 16384),), "01000003 00000009 00004000 7fffc000", id="the longest run, one more"
        ),
        pytest.param((LossRle.of(9, 7, []),), "01000002 00000009 00070007", id="losses of no packet"),
        pytest.param(
            (LossRle.of(9, 6, [True, True, False, True, True], thinning=2),),
            "01020003 00000009 0006000b c0000000",
            id="thinned to the sequence number 8",
        ),
        pytest.param((UnknownBlock(4, 0, bytes(8)),), "04000002 0000000000000000", id="receiver reference time"),
        pytest.param((UnknownBlock(255, 7, b""), VOIP), "ff070000" + VOIP.serialize().hex(), id="unknown, then known"),
    ],
)
def test_reports_have_exactly_these_bytes(blocks, wire):
    packet = ExtendedReport(5, blocks)
    assert packet.serialize() == report(wire)
    assert ExtendedReport.parse(report(wire)) == packet


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        pytest.param("07000007" + "00" * 28, "VoIP metrics have 32 bytes, got 28", id="short VoIP metrics"),
        pytest.param("07000009" + "00" * 36, "VoIP metrics have 32 bytes, got 36", id="long VoIP metrics"),
        pytest.param("09000001", "block of 4 bytes does not fit into 0", id="block beyond the end"),
        pytest.param("01000001 00000009", "at least 8 bytes, got 4", id="Loss RLE without a range"),
        pytest.param("01000003 00000009 0000000f 400e0000", "tell of 14 packets, .* has 15", id="runs too short"),
        pytest.param("01000003 00000009 00000010 ffff0000", "tell of 15 packets, .* has 16", id="a null too early"),
        pytest.param("01000003 00000009 00000001 40008000", "chunk 0x4000 is neither", id="a run of nothing"),
        pytest.param("01000002 00000009 0000fffe", "at most 65533 packets", id="a range without meaning"),
    ],
)
def test_a_malformed_block_says_why(blocks, message):
    with pytest.raises(PacketError, match=message):
        ExtendedReport.parse(report(blocks))


def test_a_report_needs_its_reporter():
    with pytest.raises(PacketError, match="needs an SSRC"):
        ExtendedReport.parse(bytes.fromhex("80cf0000"))


def test_reserved_bits_are_ignored_and_written_as_zero():
    wire = "01f20003 00000009 0006000b c0000000"
    assert ExtendedReport.parse(report(wire)).serialize() == report(wire.replace("f2", "02", 1))


def test_chunks_beyond_the_range_or_the_null_are_ignored():
    block = ExtendedReport.parse(report("01000004 00000009 00000010 7fff3fff 0000ffff")).blocks[0]
    assert block.lost == [False] * 16
    assert block.chunks == (0x7FFF, 0x3FFF)


@given(
    st.integers(0, 65535),
    st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=12),
    st.integers(0, 4),
)
def test_losses_are_read_as_they_were_written(begin, runs, thinning):
    lost = [flag for flag, length in runs for _ in range(length)]
    block = LossRle.of(1, begin, lost, thinning)
    (parsed,) = ExtendedReport.parse(ExtendedReport(2, (block,)).serialize()).blocks
    assert parsed == block
    assert dict(zip(parsed.sequence_numbers, parsed.lost, strict=True)) == {
        number: flag for number, flag in enumerate(lost, start=begin) if number % (1 << thinning) == 0
    }


def test_the_longest_range_fits():
    lost = [number % 2 == 0 for number in range(65_533)]
    block = LossRle.of(1, 9, lost)
    (parsed,) = ExtendedReport.parse(ExtendedReport(2, (block,)).serialize()).blocks
    assert parsed.lost == lost


def test_a_trace_fills_in_the_voip_metrics():
    lost = [False] * 20 + [True, True, False, True] + [False] * 26
    assert VoipMetrics.measured(7, lost, 20) == VoipMetrics(
        7, loss_rate=15, burst_density=192, gap_density=0, burst_duration=80, gap_duration=460
    )


def test_durations_saturate():
    assert VoipMetrics.measured(7, [False] * 5000, 20).gap_duration == 65535


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: dataclasses.replace(VOIP, loss_rate=256), "VoIP metric", id="a share"),
        pytest.param(lambda: dataclasses.replace(VOIP, signal_level=128), "VoIP metric", id="a level"),
        pytest.param(lambda: dataclasses.replace(VOIP, gap_duration=-1), "VoIP metric", id="a duration"),
        pytest.param(lambda: LossRle.of(1, 0, [True] * 65_534), "at most 65533 packets, got 65534", id="trace"),
        pytest.param(lambda: LossRle.of(1, 65536, []), "begin_sequence", id="sequence number"),
        pytest.param(lambda: LossRle.of(1, 0, [], thinning=16), "thinning", id="thinning"),
        pytest.param(lambda: LossRle(1, 0, 20, (0x4005,)), "tell of 5 packets", id="chunks too short"),
        pytest.param(lambda: LossRle(1, 0, 1, (0, 0xFFFF)), "chunk 0x0000", id="a null within"),
        pytest.param(lambda: LossRle(1, 0, 1, (0x10000,)), "chunk 0x10000", id="17 bits"),
        pytest.param(lambda: UnknownBlock(7, 0, b""), "class of its own", id="a known block"),
        pytest.param(lambda: UnknownBlock(9, 256, b""), "specific", id="type-specific byte"),
        pytest.param(lambda: UnknownBlock(9, 0, b"odd"), "whole words", id="odd body"),
        pytest.param(lambda: ExtendedReport(1, (VOIP,) * 285), "must fit into 10240", id="too many blocks"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
