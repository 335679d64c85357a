import numpy as np
import pytest

from vivavoce.transport.source import MAX_DROPOUT, Source, Verdict


def accept_all(source, numbers):
    return [source.accept(number & 0xFFFF)[0] for number in numbers]


def test_losses_are_counted_across_the_wrap_of_the_sequence():
    source = Source(1, 65_530)
    accept_all(source, [65_530, 65_531, 65_534, 65_536, 65_538])
    assert source.highest == 65_538
    assert source.expected == 9
    assert source.lost == 4
    assert source.lost_flags() == [False, False, True, True, False, True, False, True, False]


def test_a_reordered_packet_is_no_loss_and_a_repeated_one_is_a_duplicate():
    source = Source(1, 10)
    assert accept_all(source, [10, 12, 11, 12, 11]) == [Verdict.NEW] * 3 + [Verdict.DUPLICATE] * 2
    assert (source.expected, source.lost, source.received) == (3, 0, 3)


def test_a_packet_before_the_first_counts():
    source = Source(1, 10)
    accept_all(source, [10, 9, 11])
    assert (source.expected, source.lost) == (3, 0)


def test_stray_numbers_change_nothing():
    source = Source(1, 100)
    accept_all(source, [100, 101])
    assert accept_all(source, [30_000, 30_001, 40_000, 65_500]) == [Verdict.SUSPECT] * 4
    assert source.accept(102)[0] is Verdict.NEW
    assert (source.highest, source.lost) == (102, 0)


def test_the_largest_dropout_is_a_loss_and_no_restart():
    source = Source(1, 0)
    assert accept_all(source, [0, MAX_DROPOUT]) == [Verdict.NEW, Verdict.NEW]
    assert source.lost == MAX_DROPOUT - 1


def test_fraction_lost_is_of_the_time_since_the_last_report():
    source = Source(1, 0)
    accept_all(source, range(0, 100))
    assert source.fraction_lost_since_report() == 0
    accept_all(source, range(100, 200, 2))
    assert source.fraction_lost_since_report() == pytest.approx(49 / 99)
    assert source.fraction_lost_since_report() == 0


def test_late_packets_are_lost_to_a_listener():
    source = Source(1, 0)
    accept_all(source, range(5))
    source.discard(3)
    source.discard(-5000)
    assert source.lost_flags() == [False, False, False, True, False]
    assert source.lost == 0


def test_jitter_follows_rfc_3550_appendix_a8():
    source = Source(1, 0)
    random = np.random.default_rng(0)
    expected, last = 0.0, None
    for index in range(200):
        arrival = 0.02 * index + random.exponential(0.01)
        transit = arrival - 0.02 * index
        source.arrived(arrival, 0.02 * index)
        if last is not None:
            expected += (abs(transit - last) - expected) / 16
        last = transit
    assert source.jitter_s == pytest.approx(expected)
    assert source.jitter_s > 0.001
