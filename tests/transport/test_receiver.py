import threading

import numpy as np
import pytest

from transport.streams import FRAME_S, on_time, packets, play, speech
from vivavoce.transport import rtcp
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.rtp import RtpPacket

RATE = 16_000


def lag_of(played, reference):
    size = 2 * max(len(played), len(reference))
    match = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(reference, size).conj())
    lag = int(np.argmax(match))
    return lag if lag < size // 2 else lag - size


def level(samples):
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("count", [1, 7, 160, 4_801])
def test_playout_returns_exactly_what_is_asked_for(rate, count):
    receiver = Receiver(rate)
    assert receiver.playout(count, 0.0).shape == (count,)
    for time, datagram in on_time(packets()):
        receiver.receive(datagram, time)
    played = receiver.playout(count, 0.5)
    assert played.shape == (count,)
    assert played.dtype == np.float32


@pytest.mark.parametrize("delay_ms", [20, 40, 50, 100, 333.3, 1100])
def test_the_declared_delay_is_the_measured_one(delay_ms):
    receiver = Receiver(RATE, playout_delay_ms=delay_ms)
    played = play(receiver, on_time(packets()), 4.3)
    codec_delay = 104  # 6.5 ms, libopus's look-ahead at 16 kHz
    assert abs(lag_of(played, speech()) - codec_delay - delay_ms * RATE / 1000) <= 1
    slots = receiver.stats.slots
    assert slots["primary"] == 150
    assert receiver.stats.packets_lost == 0


def test_a_slow_first_packet_does_not_move_the_timeline():
    arrivals = on_time(packets())
    arrivals[0] = (arrivals[0][0] + 0.03, arrivals[0][1])
    receiver = Receiver(RATE)
    played = play(receiver, arrivals, 3.5)
    assert abs(lag_of(played, speech()) - 1704) <= 1
    assert receiver.stats.packets_discarded == 0


@pytest.mark.parametrize(
    ("protect", "lost", "expected"),
    [
        pytest.param("none", (50,), {"primary": 149, "plc": 1}, id="nothing helps"),
        pytest.param("red:1", (50,), {"primary": 149, "red": 1}, id="a copy at distance 1"),
        pytest.param("red:2", (50, 51), {"primary": 148, "red": 2}, id="copies at distance 2 bridge two"),
        pytest.param(
            "red:1", (50, 51), {"primary": 148, "red": 1, "plc": 1}, id="distance 1 saves the last of a burst"
        ),
        pytest.param("red:1,2", (50, 51), {"primary": 148, "red": 2}, id="both distances"),
        pytest.param("lbrr", (50,), {"primary": 149, "lbrr": 1}, id="LBRR"),
        pytest.param("lbrr", (50, 51), {"primary": 148, "lbrr": 1, "plc": 1}, id="LBRR saves the last of a burst"),
        pytest.param("lbrr+red:2", (50, 51, 52), {"primary": 147, "red": 2, "lbrr": 1}, id="LBRR of a RED copy"),
    ],
)
def test_each_slot_has_its_best_source(protect, lost, expected):
    receiver = Receiver(RATE, playout_delay_ms=200)
    stream = packets(protect, bitrate_bps=64_000)
    play(receiver, on_time(stream, lost), 3.2)
    stats = receiver.stats
    assert stats.slots == expected
    assert stats.packets_lost == len(lost)
    assert stats.concealed_samples == 320 * expected.get("plc", 0)
    assert stats.concealment_events == min(1, expected.get("plc", 0))
    assert sum(stats.reasons.values()) == 150
    assert len(receiver.drain_slots()) == 150
    assert receiver.drain_slots() == []


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
@pytest.mark.parametrize("protect", ["none", "lbrr+red:1"])
def test_every_frame_duration_is_played_and_recovered(frame_ms, protect):
    stream = packets(protect, frame_ms=frame_ms, bitrate_bps=64_000)
    lost = (600 // frame_ms,)
    receiver = Receiver(RATE, playout_delay_ms=200)
    played = play(receiver, on_time(stream, lost, frame_ms / 1000), 3.2)
    ticks = receiver.stats.slot_ticks
    assert ticks["plc" if protect == "none" else "red"] == frame_ms * 48
    assert ticks["primary"] == 3 * 48_000 - frame_ms * 48
    assert abs(lag_of(played, speech()) - 104 - 3200) <= 1


def test_the_first_packet_may_be_lost():
    receiver = Receiver(RATE, anchor=(2**32 - 1920, 0.0))
    played = play(receiver, on_time(packets(), (0, 1)), 3.1)
    assert receiver.stats.slots == {"plc": 2, "primary": 148}
    assert abs(lag_of(played, speech()) - 1704) <= 1


def test_reordering_and_duplication_cost_nothing_within_the_delay():
    random = np.random.default_rng(0)
    arrivals = [(time + random.uniform(0, 0.07), datagram) for time, datagram in on_time(packets())]
    receiver = Receiver(RATE, anchor=(2**32 - 1920, 0.0))
    play(receiver, arrivals + [(time + 0.005, datagram) for time, datagram in arrivals], 3.1)
    stats = receiver.stats
    assert stats.slots == {"primary": 150}
    assert stats.packets_duplicated == 150
    assert stats.packets_received == 150
    assert stats.packets_lost == 0


def test_a_late_packet_is_discarded_and_repairs_the_decoder():
    """After a gap whose packet came too late to be heard, the next slots are those of a call without loss."""
    stream = packets(
        bitrate_bps=16_000
    )  # at a low rate SILK leans on its past, so that a wrong state is heard for long
    clean = play(Receiver(RATE), on_time(stream), 3.1)

    def error_after_gap(late):
        arrivals = on_time(stream, (60,))
        if late:
            arrivals.append((60 * FRAME_S + 0.115, stream[60][1]))  # its slot is played at 60 * 0.02 + 0.1
        receiver = Receiver(RATE)
        played = play(receiver, arrivals, 3.1)
        after = slice(round((61 * FRAME_S + 0.1 + 0.006) * RATE), None)
        return level(played[after] - clean[after]), receiver.stats

    without, _ = error_after_gap(late=False)
    repaired, stats = error_after_gap(late=True)
    assert stats.late_payloads_used == 1
    assert stats.packets_discarded == 1
    assert stats.packets_lost == 0
    assert stats.slots == {"plc": 1, "primary": 149}
    assert without > 1e-3
    assert repaired < 1e-5


@pytest.mark.parametrize("protect", ["none", "red:1"])
def test_a_pause_of_the_sender_is_neither_loss_nor_jitter(protect):
    stream = packets(protect, dtx=True, pause=True)
    sent = {index for index, _ in stream}
    assert len(sent) < 120
    receiver = Receiver(RATE)
    play(receiver, on_time(stream), 3.1)
    stats = receiver.stats
    assert stats.slots["dtx"] >= 25
    assert stats.slots.get("plc", 0) == 0
    assert stats.packets_lost == 0
    assert stats.concealed_samples == 0
    assert stats.concealment_events == 0
    assert stats.jitter < 1e-9


def test_a_pause_that_was_not_announced_is_recognised_afterwards():
    stream = packets()
    mute = [(index, datagram) for index, datagram in stream if not 60 <= index < 90]
    renumbered = []
    for number, (index, datagram) in enumerate(mute):
        fields = RtpPacket.parse(datagram)
        renumbered.append((index, RtpPacket(111, number, fields.timestamp, 7, fields.payload).serialize()))
    receiver = Receiver(RATE)
    play(receiver, on_time(tuple(renumbered)), 3.1)
    stats = receiver.stats
    assert stats.slots == {"dtx": 30, "primary": 120}
    assert {source: count for (source, _), count in stats.reasons.items() if count} == stats.slots
    assert stats.packets_lost == 0
    assert stats.concealed_samples == 0


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"ssrc": 8, "sequence_number": 300, "timestamp": 5_000_000}, id="a new source"),
        pytest.param({"sequence_number": 30_000, "timestamp": 77_000_000}, id="a restarted sequence and clock"),
        pytest.param({"protect": "red:1", "ssrc": 9, "sequence_number": 4, "timestamp": 12}, id="another payload type"),
    ],
)
def test_the_call_goes_on_after(changes):
    first, second = packets(), packets(**changes)
    gap = (len(first) + 1) * FRAME_S
    arrivals = on_time(first) + [(gap + time, datagram) for time, datagram in on_time(second)]
    receiver = Receiver(RATE)
    played = play(receiver, arrivals, 6.3)
    stats = receiver.stats
    assert stats.restarts == 1
    assert stats.slots["primary"] == 300
    assert stats.packets_lost == 0
    for part, begin in ((played[: 3 * RATE + 1600], 0), (played[3 * RATE + 1600 :], 3)):
        assert level(part) > 0.5 * level(speech()), begin


def test_the_payload_type_may_change_in_mid_stream():
    plain, red = packets(), packets("red:1")
    mixed = tuple(plain[:75]) + tuple(red[75:])
    receiver = Receiver(RATE)
    play(receiver, on_time(mixed, (100,)), 3.1)
    assert receiver.stats.slots == {"primary": 149, "red": 1}


def test_strangers_are_ignored():
    """A single packet of another source, an unknown payload type, and noise do not disturb the stream."""
    stream = on_time(packets())
    stranger = RtpPacket(111, 500, 1, 99, b"\x08hello").serialize()
    unknown = RtpPacket(0, 40, 960, 7, bytes(160)).serialize()
    noise = np.random.default_rng(1).bytes(200)
    extra = [(0.5, stranger), (0.7, unknown), (0.9, noise), (0.91, b""), (1.2, stranger)]
    receiver = Receiver(RATE)
    played = play(receiver, stream + extra, 3.1)
    stats = receiver.stats
    assert stats.slots == {"primary": 150}
    assert (stats.packets_of_other_sources, stats.packets_of_unknown_type) == (2, 1)
    assert stats.packets_malformed >= 1
    np.testing.assert_array_equal(played, play(Receiver(RATE), stream, 3.1))


def test_strangers_in_pairs_do_not_take_over_while_the_stream_lives():
    stream = on_time(packets())
    forged = [
        (0.5 + 0.2 * pair + 0.001 * index, RtpPacket(111, 900 + index, 5000, 100 + pair, bytes([8, 1, 2])).serialize())
        for pair in range(10)
        for index in range(2)
    ]
    receiver = Receiver(RATE)
    played = play(receiver, stream + forged, 3.1)
    np.testing.assert_array_equal(played, play(Receiver(RATE), stream, 3.1))
    stats = receiver.stats
    assert (stats.restarts, stats.packets_of_other_sources) == (0, 20)
    assert stats.bytes_received == sum(len(RtpPacket.parse(datagram).payload) for _, datagram in stream)


def test_a_forged_sequence_number_does_not_move_the_sound():
    stream = on_time(packets())
    genuine = RtpPacket.parse(packets()[70][1])
    forged = RtpPacket(111, (genuine.sequence_number + 150) % 2**16, genuine.timestamp, 7, genuine.payload).serialize()
    receiver = Receiver(RATE)
    played = play(receiver, [*stream, (71 * FRAME_S + 0.001, forged)], 3.1)
    assert receiver.stats.slots == {"primary": 150}
    assert abs(lag_of(played[2 * RATE :], speech()[2 * RATE - 1704 :])) <= 1
    assert len(receiver.delay_changes) == 1


def test_a_wild_timestamp_is_dropped_three_in_a_row_are_a_new_clock():
    stream = [RtpPacket.parse(datagram) for _, datagram in packets()]

    def shifted(indices):
        return [
            (
                (index + 1) * FRAME_S,
                RtpPacket(
                    111,
                    packet.sequence_number,
                    (packet.timestamp + (10**9 if index in indices else 0)) % 2**32,
                    7,
                    packet.payload,
                ).serialize(),
            )
            for index, packet in enumerate(stream)
        ]

    one = Receiver(RATE)
    play(one, shifted({70}), 3.1)
    assert one.stats.slots == {"plc": 1, "primary": 149}
    assert one.stats.restarts == 0
    many = Receiver(RATE)
    played = play(many, shifted(set(range(70, 150))), 3.1)
    assert many.stats.restarts == 1
    assert many.stats.slots["primary"] >= 147
    assert level(played[-RATE:]) > 0.2 * level(speech())


@pytest.mark.parametrize("seconds", [2.5, 0.3, -20.0])
def test_one_forged_packet_does_not_move_the_call(seconds):
    stream = on_time(packets())
    genuine = RtpPacket.parse(packets()[80][1])
    moved = (genuine.timestamp + round(48_000 * seconds)) % 2**32
    forged = RtpPacket(111, (genuine.sequence_number + 1) % 2**16, moved, 7, genuine.payload).serialize()
    receiver = Receiver(RATE)
    play(receiver, [*stream, (81 * FRAME_S + 0.001, forged)], 3.1)
    stats = receiver.stats
    assert stats.restarts == 0
    assert stats.slots["primary"] >= 149  # the packet whose number was stolen is taken for a duplicate
    assert len(receiver.delay_changes) == 1


def test_a_sender_whose_clock_stood_still_is_heard_again_within_half_a_second():
    first, second = on_time(packets()[:60]), on_time(packets()[60:])
    receiver = Receiver(RATE)
    played = play(receiver, first + [(time + 10, datagram) for time, datagram in second], 13.5)
    assert receiver.stats.packets_discarded <= 25
    assert level(played[round(11.8 * RATE) : round(13 * RATE)]) > 0.3 * level(speech())


def test_a_network_that_becomes_slow_for_good_is_followed():
    arrivals = [(time + (0.4 if time > 1 else 0), datagram) for time, datagram in on_time(packets())]
    receiver = Receiver(RATE)
    play(receiver, arrivals, 3.5)
    stats = receiver.stats
    assert stats.packets_discarded > 0
    assert stats.slots["primary"] > 80


def test_an_adaptive_delay_grows_until_nothing_is_late():
    random = np.random.default_rng(3)
    stream = packets(seconds=5.5)
    clock, arrivals = 0.0, []
    for time, datagram in on_time(stream):
        clock = max(clock, time + random.gamma(2, 0.03))
        arrivals.append((clock, datagram))
    adaptive, fixed = Receiver(RATE, playout_delay_ms=None), Receiver(RATE, playout_delay_ms=60)
    play(adaptive, arrivals, 6)
    play(fixed, arrivals, 6)
    assert adaptive.stats.packets_discarded < fixed.stats.packets_discarded / 3
    assert adaptive.playout_delay_ms > 100
    changes = adaptive.delay_changes
    assert len(changes) > 1
    quiet = [slot for slot in adaptive.drain_slots() if slot.source == "plc"]
    assert quiet


def test_an_adaptive_delay_shrinks_when_the_network_is_fast():
    receiver = Receiver(RATE, playout_delay_ms=None)
    play(receiver, on_time(packets(seconds=5.5)), 5.5)
    assert receiver.playout_delay_ms < 60
    assert receiver.stats.slots["primary"] > 260
    assert receiver.stats.removed_samples_for_acceleration > 0


@pytest.mark.parametrize("ppm", [200, -200])
def test_a_clock_that_is_off_for_an_hour_stays_within_a_packet_of_the_target(ppm):
    """An utterance again and again, in 60-ms packets; each minute's waiting time is read from the statistics."""
    frame_s = 0.06
    stream = [
        RtpPacket.parse(datagram).payload for _, datagram in packets(seconds=5.5, frame_ms=60, bitrate_bps=16_000)
    ]
    receiver = Receiver(8_000, playout_delay_ms=140)
    pulled, waited, emitted, waiting_ms = 0, 0.0, 0, []
    for index in range(60_000):
        arrival = (index + 1) * frame_s * (1 - ppm * 1e-6)
        while pulled * frame_s < arrival:
            receiver.playout(480, pulled * frame_s)
            pulled += 1
        payload = stream[index % len(stream)]
        receiver.receive(RtpPacket(111, index % 2**16, index * 2880 % 2**32, 7, payload).serialize(), arrival)
        if index % 1000 == 999:
            stats = receiver.stats
            waiting_ms.append(
                1000 * (stats.jitter_buffer_delay - waited) / (stats.jitter_buffer_emitted_count - emitted)
            )
            waited, emitted = stats.jitter_buffer_delay, stats.jitter_buffer_emitted_count
    assert max(abs(waiting - 80) for waiting in waiting_ms) < 20  # 140 ms after capture is 80 ms after arrival
    assert stats.packets_lost == 0
    assert set(stats.slots) == {"primary"}
    assert stats.restarts == 0
    moved = stats.inserted_samples_for_deceleration - stats.removed_samples_for_acceleration
    assert moved == pytest.approx(-ppm * 1e-6 * 3600 * 8_000, abs=200)


def test_whoever_stops_pulling_goes_on_where_the_sender_is():
    receiver = Receiver(RATE)
    stream = on_time(packets(seconds=5.5))
    play(receiver, [a for a in stream if a[0] < 1], 1.0)
    for time, datagram in stream:
        if 1 <= time < 4:
            receiver.receive(datagram, time)
    played = play(receiver, [a for a in stream if a[0] >= 4], 5.5, start=4.0)
    assert abs(lag_of(played, speech(5.5)[round(3.9 * RATE) :]) - 104) <= 16


def test_goodbye_ends_the_stream():
    stream = on_time(packets())
    receiver = Receiver(RATE)
    bye = rtcp.serialize_compound([rtcp.ReceiverReport(7), rtcp.Goodbye((7,))])
    play(receiver, [*stream, (3.01, bye)], 5.0)
    assert receiver.ended
    assert receiver.stats.slots == {"primary": 150}


def test_the_report_says_what_was_lost():
    receiver = Receiver(RATE, ssrc=42)
    assert rtcp.parse_compound(receiver.report(0.0))[0].reports == ()
    lost = (20, 21, 22, 70)
    play(receiver, on_time(packets(), lost), 3.1)
    report, _, extended = rtcp.parse_compound(receiver.report(3.1))
    (block,) = report.reports
    assert report.ssrc == 42
    assert block.ssrc == 7
    assert block.cumulative_lost == 4
    assert block.fraction_lost == round(256 * 4 / 150) or block.fraction_lost == 256 * 4 // 150
    assert block.highest_sequence == 65_530 + 149
    (metrics,) = extended.blocks
    assert metrics.burst_duration == 60
    assert metrics.loss_rate == block.fraction_lost
    assert metrics.discard_rate == 0
    assert (metrics.adaptive, metrics.buffer_nominal, metrics.buffer_limit) == (False, 100, 100)


def test_the_report_says_whether_the_delay_is_adaptive():
    receiver = Receiver(RATE, playout_delay_ms=None)
    play(receiver, on_time(packets()), 3.1)
    (metrics,) = rtcp.parse_compound(receiver.report(3.1))[2].blocks
    assert metrics.adaptive
    assert metrics.buffer_nominal < 100 < metrics.buffer_limit == 1100


def test_late_packets_are_reported_as_discarded_and_not_as_lost():
    arrivals = on_time(packets())
    for index in range(20, 140, 10):
        arrivals[index] = (arrivals[index][0] + 0.2, arrivals[index][1])
    receiver = Receiver(RATE)
    play(receiver, arrivals, 3.3)
    (metrics,) = rtcp.parse_compound(receiver.report(3.3))[2].blocks
    assert (metrics.loss_rate, metrics.discard_rate) == (0, 256 * 12 // 150)
    assert receiver.stats.packets_discarded == 12


def test_delays_divide_as_w3c_says():
    receiver = Receiver(RATE)
    play(receiver, on_time(packets(), tuple(range(0, 150, 2))), 3.1)
    stats = receiver.stats
    assert stats.jitter_buffer_delay / stats.jitter_buffer_emitted_count == pytest.approx(0.08, abs=1e-6)
    assert stats.jitter_buffer_target_delay / stats.jitter_buffer_emitted_count == pytest.approx(0.08, abs=1e-6)


def test_a_new_source_is_not_answered_with_the_times_of_the_old():
    report = rtcp.serialize_compound([rtcp.SenderReport(7, 5 << 32, 0, 0, 0)])
    later = [(time + 3.1, datagram) for time, datagram in on_time(packets(ssrc=8))]
    receiver = Receiver(RATE)
    play(receiver, [*on_time(packets()), (1.0, report), *later], 6.2)
    (block,) = rtcp.parse_compound(receiver.report(6.2))[0].reports
    assert (block.ssrc, block.last_sr) == (8, 0)


def test_sender_reports_are_answered_with_their_time():
    receiver = Receiver(RATE)
    play(receiver, on_time(packets()), 1.0)
    report = rtcp.SenderReport(7, ntp_timestamp=(5 << 32) + (1 << 31), rtp_timestamp=0, packet_count=0, octet_count=0)
    receiver.receive(rtcp.serialize_compound([report]), 1.0)
    (block,) = rtcp.parse_compound(receiver.report(3.0))[0].reports
    assert block.last_sr == (5 << 16) + (1 << 15)
    assert block.delay_since_last_sr == 2 * 65_536


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_time_must_be_finite(bad):
    receiver = Receiver(RATE)
    with pytest.raises(ValueError, match="arrival_time"):
        receiver.receive(packets()[0][1], bad)
    with pytest.raises(ValueError, match="now"):
        receiver.playout(160, bad)


@pytest.mark.parametrize("samples", [-1, 1 << 30])
def test_absurd_requests_are_refused(samples):
    with pytest.raises(ValueError, match=str(samples)):
        Receiver(RATE).playout(samples, 0.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"playout_delay_ms": -1},
        {"playout_delay_ms": float("nan")},
        {"conceal": "magic"},
        {"payload_types": {1: "pcmu"}},
    ],
    ids=["negative", "nan", "concealer", "payload"],
)
def test_wrong_settings_are_refused(arguments):
    with pytest.raises(ValueError, match=r"playout_delay_ms|concealer|payload types"):
        Receiver(RATE, **arguments)


def test_receive_and_playout_may_run_in_two_threads():
    stream = on_time(packets("lbrr+red:1", seconds=5.5, bitrate_bps=64_000), tuple(range(3, 270, 7)))
    receiver = Receiver(RATE, anchor=(2**32 - 1920, 0.0))
    arrived = threading.Semaphore(0)
    played = []

    def pull():
        for tick in range(560):
            arrived.acquire(timeout=0.002)
            played.append(receiver.playout(160, tick * 0.01))

    puller = threading.Thread(target=pull)
    puller.start()
    for time, datagram in stream:
        receiver.receive(datagram, time)
        arrived.release()
        receiver.stats
    puller.join()
    assert sum(map(len, played)) == 560 * 160
    assert np.isfinite(np.concatenate(played)).all()
    assert sum(receiver.stats.slots.values()) >= 270
