"""Delays: adaptive, with reordered packets; pauses that stop the clock; joins in the middle of a packet."""

import numpy as np
import pytest

from transport.streams import on_time, packets, play
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.rtp import RtpPacket

RATE = 16_000
FIRST_TIMESTAMP = 2**32 - 1920  # of `packets`


def endless(count, transit_s):
    """`count` packets of 20 ms, each `transit_s(index)` under way: an utterance again and again."""
    payloads = [RtpPacket.parse(datagram).payload for _, datagram in packets(seconds=5.5)]
    return [
        (
            (index + 1) * 0.02 + transit_s(index),
            RtpPacket(111, index % 2**16, index * 960, 7, payloads[index % len(payloads)]).serialize(),
        )
        for index in range(count)
    ]


def test_an_adaptive_delay_learns_from_packets_that_were_overtaken():
    random = np.random.default_rng(0)
    held_back = np.where(random.random(1500) < 0.1, random.uniform(0.02, 0.06, 1500), 0)
    held_back[:500] = 0
    arrivals = endless(1500, lambda index: held_back[index])
    receiver = Receiver(8_000, playout_delay_ms=None)
    play(receiver, [arrival for arrival in arrivals if arrival[0] < 20], 20)
    learning = receiver.stats.packets_discarded
    play(receiver, [arrival for arrival in arrivals if arrival[0] >= 20], 30.2, start=20)
    assert receiver.playout_delay_ms > 60
    late = receiver.stats.packets_discarded - learning
    assert late < 0.04 * 500  # it aims at one in fifty
    assert late < 0.3 * np.count_nonzero(held_back[1000:])


@pytest.mark.parametrize("pull_s", [0.01, 0.02, 0.04])
@pytest.mark.parametrize("mean_s", [0.005, 0.01, 0.02])
def test_an_adaptive_delay_loses_no_more_than_it_aims_at(pull_s, mean_s):
    """One slot in fifty may come too late; the first seconds, before it has learned, count here too."""
    random = np.random.default_rng(1)
    arrivals, queue = [], 0.0
    for time, datagram in endless(1500, lambda index: 0.0):
        queue = max(queue, time + random.gamma(2, mean_s / 2))
        arrivals.append((queue, datagram))
    receiver = Receiver(8_000, playout_delay_ms=None)
    play(receiver, arrivals, 30, pull_s=pull_s)
    assert receiver.stats.packets_discarded < 0.04 * 1500
    assert receiver.playout_delay_ms < 40 + 5000 * mean_s + 1000 * pull_s


def test_an_adaptive_delay_changes_in_quiet_places_only():
    random = np.random.default_rng(2)
    arrivals, queue = [], 0.0
    for time, datagram in endless(1500, lambda index: 0.0):
        queue = max(queue, time + random.gamma(2, 0.02))
        arrivals.append((queue, datagram))
    receiver = Receiver(RATE, playout_delay_ms=None)
    played = play(receiver, arrivals, 30)
    changes = [time for time, _ in receiver.delay_changes[1:]]
    assert len(changes) > 5
    concealed = {slot.timestamp for slot in receiver.drain_slots() if slot.source == "plc"}
    loud = float(np.sqrt(np.mean(played**2)))
    levels = [float(np.sqrt(np.mean(played[round((t - 0.02) * RATE) : round(t * RATE)] ** 2))) for t in changes]
    assert concealed
    assert np.median(levels) < 0.2 * loud


@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize("playout_delay_ms", [100, None], ids=["fixed", "adaptive"])
@pytest.mark.parametrize("pause_s", [2, 20, 60])
def test_a_mute_that_stops_the_timestamps_is_survived(anchored, playout_delay_ms, pause_s):
    arrivals = endless(400, lambda index: pause_s if index >= 200 else 0.0)
    receiver = Receiver(8_000, playout_delay_ms=playout_delay_ms, anchor=(0, 0.0) if anchored else None)
    play(receiver, arrivals, 8 + pause_s + 0.5)
    assert receiver.stats.packets_discarded <= 25
    assert receiver.stats.slots["primary"] >= 370


def test_a_packet_that_comes_in_its_middle_is_joined_without_a_click():
    stream = packets(frame_ms=60)
    clean = play(Receiver(RATE), on_time(stream, (), 0.06), 3.2)
    joins = []
    for late in range(5, 45):
        arrivals = on_time(stream, (), 0.06)
        arrivals[late] = (arrivals[late][0] + 0.065, arrivals[late][1])
        receiver = Receiver(RATE, anchor=(FIRST_TIMESTAMP, 0.0))
        steps, clean_steps = np.abs(np.diff(play(receiver, arrivals, 3.2))), np.abs(np.diff(clean))
        for slot in receiver.drain_slots():
            if slot.reason == "came in its middle":
                join = round(((slot.timestamp - FIRST_TIMESTAMP) / 48_000 + 0.1) * RATE)
                joins.append(steps[join - 1] / max(1e-4, clean_steps[join - 160 : join + 160].max()))
    assert len(joins) > 30
    assert max(joins) < 2


def test_a_packet_that_overlaps_by_a_tick_plays_no_more_than_that():
    stream = [RtpPacket.parse(datagram) for _, datagram in packets()]
    odd = [
        RtpPacket(
            111, packet.sequence_number, (packet.timestamp - (959 if index == 60 else 0)) % 2**32, 7, packet.payload
        )
        for index, packet in enumerate(stream)
    ]
    receiver = Receiver(RATE)
    play(receiver, [((index + 1) * 0.02, packet.serialize()) for index, packet in enumerate(odd)], 3.1)
    stats = receiver.stats
    assert stats.total_samples_received == sum(stats.slot_ticks.values()) // 3


def test_a_packet_that_arrives_while_its_slot_is_made_up_is_counted_and_used():
    """The decoder works outside the lock; the arrival is put there by a hook."""
    stream = on_time(packets())
    late = stream.pop(60)
    receiver = Receiver(RATE)
    decoder = receiver._player._decoder
    conceal, arrived = decoder.conceal, []

    def conceal_and_receive(samples):
        if not arrived:
            arrived.append(receiver.receive(late[1], late[0] + 0.085))
        return conceal(samples)

    decoder.conceal = conceal_and_receive
    play(receiver, stream, 3.1)
    stats = receiver.stats
    assert (stats.packets_received, stats.packets_discarded, stats.late_payloads_used) == (150, 1, 1)
