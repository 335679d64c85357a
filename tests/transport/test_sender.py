import itertools

import numpy as np
import pytest

from transport.streams import speech
from vivavoce.codec.extensions import extensions_of
from vivavoce.codec.packet import OpusPacket, has_lbrr
from vivavoce.redundancy.dred import EXTENSION_ID, DredReceiver
from vivavoce.redundancy.red import RedPacket
from vivavoce.transport import rtcp
from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.protection import Protection
from vivavoce.transport.protector import Protector
from vivavoce.transport.rtcp_metrics import fraction_byte, ntp_from_seconds
from vivavoce.transport.rtcp_xr import ADAPTIVE, FIXED
from vivavoce.transport.rtp import RtpPacket
from vivavoce.transport.sender import Sender

RATE = 16_000


def sender(protect="none", **settings):
    settings = {"sample_rate": RATE, "ssrc": 7, "sequence_number": 65_534, "timestamp": 2**32 - 960} | settings
    return Sender(protection=Protection.parse(protect), **settings)


def send_all(stream, samples):
    size = stream.frame_samples
    return [stream.send(samples[at : at + size]) for at in range(0, len(samples) - size + 1, size)]


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_sequence_and_timestamp_count_and_wrap(frame_ms):
    stream = sender(frame_ms=frame_ms)
    sent = [RtpPacket.parse(datagram) for (datagram,) in send_all(stream, speech(1.0))]
    assert [packet.sequence_number for packet in sent[:4]] == [65_534, 65_535, 0, 1]
    assert [packet.timestamp for packet in sent[:2]] == [2**32 - 960, (2**32 - 960 + 48 * frame_ms) % 2**32]
    assert {packet.ssrc for packet in sent} == {7}
    assert {packet.payload_type for packet in sent} == {111}
    assert [packet.marker for packet in sent[:2]] == [True, False]
    assert stream.sequence_number == (65_534 + len(sent)) % 2**16


def test_streams_begin_at_random():
    first, second = (Sender(sample_rate=RATE) for _ in range(2))
    assert first.ssrc != second.ssrc
    assert first.timestamp != second.timestamp
    assert first.sequence_number < 2**15


@pytest.mark.parametrize("protect", ["none", "lbrr", "red:1", "red:1,2", "lbrr+red:2"])
@pytest.mark.parametrize("bitrate_bps", [40_000, 64_000])
def test_the_rate_counts_every_payload_byte(protect, bitrate_bps):
    stream = sender(protect, bitrate_bps=bitrate_bps, expected_loss_pct=20, vbr=False)
    sent = [RtpPacket.parse(datagram) for (datagram,) in send_all(stream, speech())]
    bits = 8 * sum(len(packet.payload) for packet in sent[4:])
    assert bits / (0.02 * len(sent[4:])) == pytest.approx(bitrate_bps, rel=0.03)
    assert stream.stats.bytes_sent == sum(len(packet.payload) for packet in sent)
    assert stream.stats.header_bytes_sent == 12 * len(sent)


def test_red_copies_are_the_primaries_of_before():
    sent = [RtpPacket.parse(datagram) for (datagram,) in send_all(sender("red:1,2"), speech(1.0))]
    assert {packet.payload_type for packet in sent} == {63}
    red = [RedPacket.parse(packet.payload) for packet in sent]
    for index in range(2, len(red)):
        assert [block.data for block in red[index].redundant] == [red[index - 2].data, red[index - 1].data]
        assert [block.timestamp_offset for block in red[index].redundant] == [1920, 960]


def test_copies_may_come_from_a_second_encoder_at_a_lower_rate():
    stream = sender("red:1", bitrate_bps=40_000, red_bitrate_bps=8_000)
    red = [RedPacket.parse(RtpPacket.parse(datagram).payload) for (datagram,) in send_all(stream, speech())]
    copies = [block.data for packet in red for block in packet.redundant]
    assert np.mean([len(copy) for copy in copies]) < 0.4 * np.mean([len(packet.data) for packet in red])
    rate = 8 * stream.stats.bytes_sent / (0.02 * len(red))
    assert rate == pytest.approx(40_000, rel=0.15)


def test_lbrr_needs_an_expectation_of_loss():
    for expected, some in ((0, False), (0.3, True), (20, True)):
        stream = sender("lbrr", bitrate_bps=40_000, expected_loss_pct=expected)
        sent = [RtpPacket.parse(datagram).payload for (datagram,) in send_all(stream, speech())]
        assert any(map(has_lbrr, sent)) is some
        assert stream.stats.protection["lbrr"] == sum(map(has_lbrr, sent)) / len(sent)


def test_a_pause_sends_its_marker_and_then_next_to_nothing():
    samples = speech().copy()
    samples[RATE : 2 * RATE] = 0
    stream = sender(dtx=True)
    sent = send_all(stream, samples)
    assert sum(not datagrams for datagrams in sent) >= 25
    packets = [RtpPacket.parse(datagram) for datagrams in sent for datagram in datagrams]
    numbers = [packet.sequence_number for packet in packets]
    assert numbers == [(65_534 + count) % 2**16 for count in range(len(packets))]
    steps = {(b.timestamp - a.timestamp) % 2**32 // 960 for a, b in itertools.pairwise(packets)}
    assert max(steps) > 5
    assert any(len(packet.payload) <= 2 for packet in packets)
    resumed = [packet for packet in packets[1:] if packet.marker]
    assert resumed
    assert all(len(packet.payload) > 2 for packet in resumed)
    assert stream.stats.dtx_frames > stream.stats.frames_encoded - stream.stats.packets_sent


@pytest.mark.parametrize("begin", range(30, 45))
def test_no_description_hides_the_marker_of_a_pause(begin):
    samples = speech().copy()
    samples[320 * begin : 320 * begin + RATE] = 0
    stream = sender("dred", dtx=True, expected_loss_pct=20, playout_delay_ms=300)
    sent = [RtpPacket.parse(datagram).payload for datagrams in send_all(stream, samples) for datagram in datagrams]
    markers = [payload for payload in sent if len(OpusPacket.parse(payload).frames[0]) <= 1]
    assert markers
    assert all(len(payload) <= 2 for payload in markers)


def test_a_block_of_red_describes_beside_the_marker_of_a_pause():
    stream = sender("dred", expected_loss_pct=20, dred_payload_type=118)
    send_all(stream, speech(1.0))
    bodies = [stream._protector.wrap(0, b"\x48", None)[1] for _ in range(20)]
    assert all(RedPacket.parse(body).data == b"\x48" for body in bodies)
    assert any(RedPacket.parse(body).redundant for body in bodies)


def report_of(ssrc, fraction, **fields):
    block = rtcp.ReportBlock(ssrc, fraction_byte(fraction), 0, 0, 0, **fields)
    return rtcp.serialize_compound([rtcp.ReceiverReport(3, (block,))])


def test_expected_loss_follows_the_peers_reports():
    stream = sender("lbrr", expected_loss_pct=None)
    assert stream.expected_loss_pct == 10
    stream.receive_rtcp(report_of(8, 0.9), 1.0)
    assert stream.expected_loss_pct == 10  # about another stream
    stream.receive_rtcp(report_of(7, 0.25), 1.0)
    assert stream.expected_loss_pct == 25
    stream.receive_rtcp(report_of(7, 0.0), 2.0)
    assert stream.expected_loss_pct == 12.5
    assert stream.stats.reports_received == 2


def test_a_told_expectation_stays():
    stream = sender("lbrr", expected_loss_pct=5)
    stream.receive_rtcp(report_of(7, 0.5), 1.0)
    assert stream.expected_loss_pct == 5
    assert stream.stats.fraction_lost == 0.5


def test_the_round_trip_is_measured():
    stream = sender()
    sent = rtcp.parse_compound(stream.report(100.0))[0]
    last_sr = sent.ntp_timestamp >> 16 & 0xFFFF_FFFF
    assert sent.ntp_timestamp == ntp_from_seconds(100.0)
    stream.receive_rtcp(report_of(7, 0.0, last_sr=last_sr, delay_since_last_sr=2 * 65_536), 102.25)
    assert stream.stats.round_trip_time == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("datagram", [b"", b"\x80\xc9", b"\xff" * 100, bytes(8)])
def test_a_malformed_report_is_ignored(datagram):
    stream = sender(expected_loss_pct=None)
    stream.receive_rtcp(datagram, 1.0)
    assert stream.expected_loss_pct == 10


def test_the_report_counts_and_says_goodbye():
    stream = sender()
    send_all(stream, speech(1.0))
    report, description, goodbye = rtcp.parse_compound(stream.report(5.0, goodbye=True))
    assert (report.packet_count, report.octet_count) == (50, stream.stats.bytes_sent)
    assert description.chunks[0].ssrc == 7
    assert goodbye.sources == (7,)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"protect": "red:1,2", "bitrate_bps": 16_000}, "leaves"),
        ({"bitrate_bps": float("nan")}, "nan"),
        ({"expected_loss_pct": 101}, "101"),
        ({"frame_ms": 15}, "15"),
        ({"sample_rate": 44_100}, "44100"),
        ({"bitrate_bps": 600_000}, "takes 512000"),
        ({"payload_type": 128}, "payload_type .* 128"),
        ({"red_payload_type": -1}, "payload_type .* -1"),
        ({"dred_payload_type": 300}, "payload_type .* 300"),
        ({"timestamp": 2**32}, "timestamp"),
        ({"sequence_number": 2**16}, "sequence_number"),
        ({"ssrc": -1}, "ssrc"),
    ],
    ids=[
        *("rate too low for its copies", "rate not a number", "loss", "frame", "sample rate", "rate too high", "type"),
        *("type of RED", "type of descriptions", "timestamp", "sequence number", "source"),
    ],
)
def test_impossible_settings_are_named(settings, named):
    with pytest.raises(ValueError, match=named):
        sender(**settings)


def test_the_rate_can_change_in_mid_call():
    stream = sender("red:1", bitrate_bps=24_000, vbr=False)
    before = np.mean([len(d) for (d,) in send_all(stream, speech(1.0))])
    stream.bitrate_bps = 48_000
    after = np.mean([len(d) for (d,) in send_all(stream, speech(1.0))])
    assert after == pytest.approx(2 * before, rel=0.15)
    for impossible in (5_000, 1_200_000):
        with pytest.raises(ValueError, match="leaves"):
            stream.bitrate_bps = impossible
        assert stream.bitrate_bps == 48_000
        assert stream.redundancy["opus_bps"] < 24_000


@pytest.mark.parametrize(("frame_ms", "red"), [(60, "red:8"), (20, "red:17"), (40, "red:9")])
def test_distances_that_red_cannot_express_are_refused(frame_ms, red):
    reaches = int(red.partition(":")[2]) * frame_ms * 48
    if reaches > 2**14 - 1:
        with pytest.raises(ValueError, match="341 ms"):
            sender(red, frame_ms=frame_ms, bitrate_bps=64_000)
    else:
        assert sender(red, frame_ms=frame_ms, bitrate_bps=64_000).protection.red


def test_no_payload_is_longer_than_chrome_plays():
    stream = sender("red:1,2", bitrate_bps=500_000, vbr=False)
    sent = [RtpPacket.parse(datagram) for (datagram,) in send_all(stream, speech(1.0))]
    assert max(len(packet.payload) for packet in sent) <= 1000
    assert stream.stats.red_copies_left_out > 0


def test_every_end_has_a_name_of_its_own():
    names = {rtcp.parse_compound(sender().report(1.0))[1].chunks[0].items for _ in range(2)}
    assert len(names) == 2


@pytest.mark.parametrize("protect", ["dred", "dred:200", "lbrr+dred", "red:1+dred"])
@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_descriptions_of_the_past_stay_within_the_rate(protect, frame_ms):
    stream = sender(protect, bitrate_bps=48_000, expected_loss_pct=20, frame_ms=frame_ms)
    sent = [RtpPacket.parse(datagram) for (datagram,) in send_all(stream, np.tile(speech(), 2))]
    bits = 8 * sum(len(packet.payload) for packet in sent)
    assert 0.8 * 48_000 < bits / (frame_ms / 1000 * len(sent)) < 1.08 * 48_000
    stats, said = stream.stats, stream.redundancy["dred"]
    assert stats.protection["dred"] > 0.2
    assert stats.packets_with_dred == said["descriptions"]
    assert stats.dred_bytes_sent == pytest.approx(said["bytes"] * said["descriptions"], rel=0.05)
    assert said["covered_ms"] <= (200 if "200" in protect else 1040)


def test_copies_describe_nothing():
    sent = [RtpPacket.parse(datagram) for (datagram,) in send_all(sender("red:1+dred"), speech(1.0))]
    reds = [RedPacket.parse(packet.payload) for packet in sent]
    described = [extension.id == EXTENSION_ID for red in reds for extension in extensions_of(red.data)]
    assert sum(described) > 5
    assert not any(extensions_of(block.data) for red in reds for block in red.redundant)


def test_the_sender_chooses_by_what_the_peer_reports():
    stream = sender("auto", expected_loss_pct=None, bitrate_bps=40_000)
    stream.receive_rtcp(report_of(7, 0.0), 1.0)
    send_all(stream, speech(1.0))
    assert stream.redundancy["using"] == "none"
    assert "no loss" in stream.redundancy["because"]
    assert not any(stream.stats.protection.values())
    stream.receive_rtcp(report_of(7, 0.4), 2.0)
    send_all(stream, speech(1.0))
    assert "dred" in stream.redundancy["using"]
    assert "19.9 %" in stream.redundancy["because"]
    assert stream.stats.protection["dred"] > 0.1
    stream.bitrate_bps = 10_000
    assert "too low" in stream.redundancy["because"]
    assert stream.redundancy["opus_bps"] == 10_000


def test_reported_bursts_decide_how_often_the_past_is_described():
    every = []
    for density in (0.2, 0.9):
        stream = sender("dred", expected_loss_pct=None, bitrate_bps=16_000)
        metrics = rtcp.VoipMetrics(7, burst_density=fraction_byte(density), buffer_nominal=1100)
        stream.receive_rtcp(rtcp.serialize_compound([rtcp.ReceiverReport(3), rtcp.ExtendedReport(3, (metrics,))]), 1.0)
        every.append(stream.redundancy["dred"]["every"])
    assert every[0] > every[1] > 4


@pytest.mark.parametrize(
    ("config", "nominal", "limit", "lbrr_alone"),
    [
        pytest.param(FIXED, 60, 60, True, id="it waits no longer"),
        pytest.param(0, 60, 0, True, id="nobody knows"),
        pytest.param(ADAPTIVE, 60, 1100, False, id="it waits for what is sent"),
        pytest.param(ADAPTIVE, 60, 90, True, id="but not so long"),
        pytest.param(FIXED, 300, 300, False, id="it waits anyway"),
    ],
)
def test_who_adapts_his_delay_is_described_the_past_to(config, nominal, limit, lbrr_alone):
    stream = sender("auto", expected_loss_pct=20, bitrate_bps=40_000)
    delays = {"receiver_config": config, "buffer_nominal": nominal, "buffer_limit": limit}
    metrics = rtcp.VoipMetrics(7, gap_density=20, gap_duration=20_000, **delays)
    stream.receive_rtcp(rtcp.serialize_compound([rtcp.ReceiverReport(3), rtcp.ExtendedReport(3, (metrics,))]), 1.0)
    assert (stream.redundancy["using"] == "lbrr") is lbrr_alone


def heard(stream, **metrics):
    """Let the peer tell of his losses, as he hears them."""
    block = rtcp.VoipMetrics(7, loss_rate=fraction_byte(0.2), buffer_nominal=1100, **metrics)
    lost = rtcp.ReportBlock(7, fraction_byte(0.2), 0, 0, 0)
    compound = [rtcp.ReceiverReport(3, (lost,)), rtcp.ExtendedReport(3, (block,))]
    stream.receive_rtcp(rtcp.serialize_compound(compound), 1.0)
    return stream.redundancy


@pytest.mark.parametrize("told_loss_pct", [None, 20])
def test_bursts_that_are_over_are_forgotten_and_those_told_are_not(told_loss_pct):
    stream = sender("auto", expected_loss_pct=told_loss_pct)
    assert "bursts of 8.9 packets" in heard(stream, burst_density=fraction_byte(0.9))["because"]
    assert "bursts of 8.9 packets" in heard(stream)["because"]  # nothing more was lost
    for _ in range(200):
        heard(stream, gap_density=1, gap_duration=20_000)
    assert "bursts of 1.0 packets" in stream.redundancy["because"]
    stream = sender("auto", expected_loss_pct=told_loss_pct, forecast=LossForecast.usual(0.0, 5.0))
    assert "bursts of 4.9 packets" in heard(stream, burst_density=fraction_byte(0.9))["because"]


def test_until_the_first_report_auto_adds_what_costs_little():
    stream = sender("auto", expected_loss_pct=None)
    send_all(stream, speech(1.0))
    assert stream.redundancy == {
        "using": "lbrr",
        "opus_bps": 32_000,
        "because": "nobody has reported losses yet",
    }
    assert stream.stats.packets_with_dred == 0
    assert sender("auto", expected_loss_pct=None, bitrate_bps=10_000).redundancy["using"] == "none"


def test_however_much_is_reported_it_is_heeded_once_a_frame(monkeypatch):
    planned = []
    plan = Protector.replan
    monkeypatch.setattr(Protector, "replan", lambda self, **news: planned.append(news) or plan(self, **news))
    stream = sender("auto", expected_loss_pct=None)
    block, metrics = rtcp.ReportBlock(7, 30, 0, 0, 0), rtcp.VoipMetrics(7, burst_density=99)
    compound = [rtcp.ReceiverReport(3, (block,) * 31)] * 9 + [rtcp.ExtendedReport(3, (metrics,) * 9)]
    for _ in range(20):
        stream.receive_rtcp(rtcp.serialize_compound(compound), 1.0)
    assert stream.stats.reports_received == 20
    assert not planned
    send_all(stream, speech(1.0))
    assert len(planned) == 1


def test_copies_of_a_rate_of_their_own_are_chosen_only_where_they_fit():
    using = []
    for red_bitrate_bps in (57_000, 20_000):
        stream = sender("auto", bitrate_bps=64_000, red_bitrate_bps=red_bitrate_bps, expected_loss_pct=None)
        stream.receive_rtcp(report_of(7, 0.4), 1.0)
        assert len(send_all(stream, speech(1.0))) == 50
        using.append(stream.redundancy["using"])
    assert using == ["dred", "red:2+dred"]


@pytest.mark.parametrize("types", [{"red_payload_type": 111}, {"dred_payload_type": 111}, {"dred_payload_type": 63}])
def test_one_payload_type_cannot_mean_two_things(types):
    with pytest.raises(ValueError, match="must differ"):
        sender("dred", **types)


def test_blocks_of_red_stay_within_the_rate_too():
    stream = sender("dred", bitrate_bps=16_000, expected_loss_pct=10, frame_ms=10, dred_payload_type=118, vbr=False)
    padded = sender("dred", bitrate_bps=16_000, expected_loss_pct=10, frame_ms=10, vbr=False)
    assert padded.redundancy["opus_bps"] - stream.redundancy["opus_bps"] > 500  # its share of 800
    sent = [RtpPacket.parse(datagram).payload for (datagram,) in send_all(stream, speech())]
    assert 800 * sum(map(len, sent)) / len(sent) < 1.02 * 16_000


def test_what_auto_used_is_told_after_it_has_left_it():
    stream = sender("auto", expected_loss_pct=None, bitrate_bps=40_000)
    stream.receive_rtcp(report_of(7, 0.4), 1.0)
    send_all(stream, speech(1.0))
    for number in range(60):
        stream.receive_rtcp(report_of(7, 0.0), 2.0 + number)
    send_all(stream, speech(1.0))
    assert stream.redundancy["using"] == "none"
    assert stream.redundancy["dred"]["descriptions"] == stream.stats.packets_with_dred > 10
    assert list(stream.carried) == ["dred"]
    assert sender("dred").carried == {"dred": 0.0}


def test_descriptions_come_in_the_extension_that_was_told():
    stream = sender("dred", dred_extension_id=77)
    packets = [RtpPacket.parse(datagram).payload for (datagram,) in send_all(stream, speech(1.0))]
    found = [{extension.id for extension in extensions_of(packet)} for packet in packets]
    assert sum(ids == {77} for ids in found) == stream.stats.packets_with_dred > 5
    payload = next(packet for packet, ids in zip(packets, found, strict=True) if ids)
    assert DredReceiver(77).redundancy_of(0, payload) is not None
    assert DredReceiver().redundancy_of(0, payload) is None
    for refused in (31, 124, 126, 128):
        with pytest.raises(ValueError, match="extension of deep redundancy"):
            sender("dred", dred_extension_id=refused)


def test_auto_describes_nothing_to_who_reads_none():
    stream = sender("auto", expected_loss_pct=20, reads_dred=False)
    send_all(stream, speech(1.0))
    assert stream.redundancy["using"] == "lbrr"
    assert stream.stats.packets_with_dred == 0
    assert stream._protector._dred_sender is None  # nor listens for it
    assert sender("auto", expected_loss_pct=40, bitrate_bps=72_000, reads_dred=False).redundancy["using"] == "red:2"


@pytest.mark.parametrize("protect", ["dred", "lbrr+dred", "auto"])
@pytest.mark.parametrize("bitrate_bps", [6_000, 9_000, 14_000])
def test_no_report_takes_from_opus_what_it_needs(protect, bitrate_bps):
    stream = sender(protect, expected_loss_pct=None, bitrate_bps=bitrate_bps)
    stream.receive_rtcp(report_of(7, 0.99), 1.0)
    metrics = rtcp.VoipMetrics(7, burst_density=255, buffer_nominal=1)
    stream.receive_rtcp(rtcp.serialize_compound([rtcp.ReceiverReport(3), rtcp.ExtendedReport(3, (metrics,))]), 2.0)
    assert stream.redundancy["opus_bps"] >= 6_000
    assert len(send_all(stream, speech(1.0))) == 50
