"""What reports say of losses: through a receiver's own measurement, as in a call, and by hand where it is exact."""

import numpy as np
import pytest

from vivavoce.transport import rtcp
from vivavoce.transport.feedback import LossFeedback
from vivavoce.transport.forecast import LONGEST, LossForecast
from vivavoce.transport.playout_clock import PlayoutClock
from vivavoce.transport.protection import Protection
from vivavoce.transport.report import reception_report
from vivavoce.transport.sender import Sender
from vivavoce.transport.source import Source

REPORT_EVERY = 100  # packets: 2 s


def outages(packets, every):
    """Losses of a minute and more: so many packets, so often."""
    lost = np.zeros(50 * 120, bool)
    for begin in range(300, len(lost), every):
        lost[begin : begin + packets] = True
    return lost


def reports(lost):
    """What a receiver reports of these losses, and after how many packets."""
    source = Source(7, 0)
    for number, flag in enumerate(lost):
        if not flag:
            source.accept(number & 0xFFFF)
        if number % REPORT_EVERY == REPORT_EVERY - 1:
            time = 0.02 * number
            yield number + 1, reception_report(9, "peer", source, None, PlayoutClock(0.2), 0.02, time), time


@pytest.mark.parametrize(
    ("packets", "every"),
    [(25, 1000), (10, 500), (1, 100)],
    ids=["half a second in 20 s", "200 ms in 10 s", "one packet in 2 s"],
)
def test_redundancy_that_is_needed_again_and_again_stays(packets, every):
    lost, used = outages(packets, every), []
    stream = Sender(sample_rate=16_000, protection=Protection(auto=True), ssrc=7, playout_delay_ms=200)
    for count, datagram, time in reports(lost):
        stream.receive_rtcp(datagram, time)
        used.append((count, stream.redundancy["using"]))
    begun = next(count for count, _ in used if lost[:count].any())
    assert all(using != "none" for count, using in used if count >= begun + 3 * REPORT_EVERY)


def test_redundancy_that_is_needed_no_more_goes():
    lost, used = outages(25, 100_000), []
    stream = Sender(sample_rate=16_000, protection=Protection(auto=True), ssrc=7, playout_delay_ms=200)
    for _, datagram, time in reports(np.concatenate([lost, np.zeros(6000, bool)])):
        stream.receive_rtcp(datagram, time)
        used.append(stream.redundancy["using"] != "none")
    assert used == sorted(used[:10]) + sorted(used[10:], reverse=True)  # on once, and off once
    assert 10 < sum(used) < 60


@pytest.mark.parametrize(
    ("packets", "every"),
    [(1, 20), (1, 100), (2, 250), (3, 100), (10, 500), (25, 1000)],
    ids=lambda number: str(number),
)
def test_the_length_of_bursts_is_found(packets, every):
    feedback = LossFeedback(20)
    for _, datagram, _ in reports(outages(packets, every)):
        for packet in rtcp.parse_compound(datagram):
            for block in packet.blocks if isinstance(packet, rtcp.ExtendedReport) else ():
                feedback.take_metrics(block)
    assert feedback.mean_burst == pytest.approx(packets, rel=0.15)


def test_bursts_of_a_channel_with_a_memory_are_found_roughly():
    random, lost, state = np.random.default_rng(0), np.zeros(6000, bool), False
    for number in range(len(lost)):
        state = random.random() < (0.7 if state else 0.03)
        lost[number] = state
    feedback = LossFeedback(20)
    for _, datagram, _ in reports(lost):
        for packet in rtcp.parse_compound(datagram):
            for block in packet.blocks if isinstance(packet, rtcp.ExtendedReport) else ():
                feedback.take_metrics(block)
    assert 1.5 < feedback.mean_burst < 4  # 3.3


def test_nothing_is_known_before_a_report_and_the_usual_bursts_are_expected():
    feedback = LossFeedback(20)
    assert feedback.loss is None
    assert feedback.mean_burst is None
    assert feedback.forecast(0.1) == LossForecast.usual(0.1)
    feedback.take_metrics(rtcp.VoipMetrics(7))  # nothing was lost: it says nothing of bursts
    assert feedback.mean_burst is None


@pytest.mark.parametrize("density", [0, 1, 128, 255])
@pytest.mark.parametrize("duration", [0, 1, 40, 65_535])
@pytest.mark.parametrize("gap_density", [0, 255])
@pytest.mark.parametrize("gap_duration", [0, 65_535])
def test_whatever_a_peer_says_bursts_have_a_length(density, duration, gap_density, gap_duration):
    feedback = LossFeedback(60)
    feedback.take_metrics(
        rtcp.VoipMetrics(
            7,
            burst_density=density,
            burst_duration=duration,
            gap_density=gap_density,
            gap_duration=gap_duration,
        )
    )
    assert feedback.mean_burst is None or 1 <= feedback.mean_burst <= LONGEST
    assert feedback.forecast(0.5).rate == 0.5
