import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.transport.rtcp import (
    ReportBlock,
    burst_metrics,
    compact_ntp,
    fraction_byte,
    interarrival_jitter,
    ntp_from_seconds,
    round_trip_time,
    seconds_from_ntp,
)


@pytest.mark.parametrize(
    ("seconds", "ntp"),
    [
        pytest.param(0, 2_208_988_800 << 32, id="1970"),
        pytest.param(0.5, (2_208_988_800 << 32) + (1 << 31), id="half a second"),
        pytest.param(2_085_978_496, 0, id="the era ends on 7 February 2036"),
    ],
)
def test_ntp_counts_from_1900(seconds, ntp):
    assert ntp_from_seconds(seconds) == ntp
    assert seconds_from_ntp(ntp) == seconds


@given(st.floats(-60_000_000, 4_200_000_000))
def test_ntp_keeps_the_microsecond(seconds):
    assert seconds_from_ntp(ntp_from_seconds(seconds)) == pytest.approx(seconds, abs=1e-6)


def test_the_compact_form_is_the_middle():
    assert compact_ntp(0x11112222_33334444) == 0x22223333


@pytest.mark.parametrize(
    ("last_sr", "delay", "now", "seconds"),
    [
        # RFC 3550 figure 2: A = b710:8000, LSR = b705:2000, DLSR = 5.250 s
        pytest.param(0xB7052000, 0x00054000, 0xB710_8000 << 16, 6.125, id="the figure of RFC 3550"),
        pytest.param(0, 0, 5 << 32, None, id="no sender report yet"),
        pytest.param(0xFFFF8000, 0, 0x00008000 << 16, 1.0, id="across the wrap of 18 hours"),
        pytest.param(0x00010000, 0x00020000, 0x00020000 << 16, 0.0, id="clocks that disagree"),
    ],
)
def test_round_trips(last_sr, delay, now, seconds):
    block = ReportBlock(1, 0, 0, 0, 0, last_sr=last_sr, delay_since_last_sr=delay)
    assert round_trip_time(block, now) == seconds


def test_jitter_moves_a_sixteenth_of_the_way():
    assert interarrival_jitter(0, 160) == 10
    assert interarrival_jitter(10, -160) == 10 + 150 / 16
    assert interarrival_jitter(16, 0) == 15


@pytest.mark.parametrize(("fraction", "byte"), [(0, 0), (0.25, 64), (0.999, 255), (1, 255), (1 / 257, 0)])
def test_a_share_is_eight_bits(fraction, byte):
    assert fraction_byte(fraction) == byte


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_no_share_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction"):
        fraction_byte(fraction)


def trace(text):
    """ "X" is lost, "." arrives, and a number stands for as many packets that arrive."""
    flags = []
    for word in text.split():
        flags += [False] * int(word) if word.isdigit() else [letter == "X" for letter in word]
    return flags


@pytest.mark.parametrize(
    ("lost", "gmin", "expected"),
    [
        pytest.param("", 16, (0, 0, 0, 0), id="nothing"),
        pytest.param("50", 16, (0, 0, 0, 1000), id="no loss is one gap"),
        pytest.param("20 X 29", 16, (0, 1 / 50, 0, 1000), id="a single loss is within the gap"),
        pytest.param("X 16 X", 16, (0, 2 / 18, 0, 360), id="16 between them: two single losses"),
        pytest.param("X 15 X", 16, (2 / 17, 0, 340, 0), id="15 between them: one burst from end to end"),
        pytest.param("XX", 16, (1, 0, 40, 0), id="all lost"),
        pytest.param("X", 16, (0, 1, 0, 20), id="one packet, lost"),
        pytest.param("20 XX.X 26", 16, (3 / 4, 0, 80, 460), id="one burst, gaps of 20 and 26"),
        pytest.param("XX 48", 16, (1, 0, 40, 960), id="a burst at the start: one gap"),
        pytest.param("48 XX", 16, (1, 0, 40, 960), id="a burst at the end: one gap"),
        pytest.param("20 XX 20 X 20 XXXX 20", 16, (1, 1 / 81, 60, 540), id="two bursts, a lone loss between them"),
        pytest.param("XX 3 XX", 3, (1, 0, 40, 60), id="a smaller gmin splits"),
        pytest.param("XX 3 XX", 4, (4 / 7, 0, 140, 0), id="a larger one joins"),
        pytest.param("X 1 X 2 X", 2, (2 / 3, 1 / 3, 60, 60), id="pairs by gmin, the last loss alone"),
    ],
)
def test_bursts_and_gaps_as_counted_by_hand(lost, gmin, expected):
    assert burst_metrics(trace(lost), 20, gmin) == pytest.approx(expected)


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 20))
def test_every_loss_is_in_a_burst_or_a_gap(lost, gmin):
    metrics = burst_metrics(lost, 1, gmin)
    if metrics.burst_density == 0:  # one gap; its losses are at least gmin apart
        assert metrics.gap_density * len(lost) == pytest.approx(sum(lost))
        assert sum(lost) <= -(-len(lost) // (gmin + 1))
    else:  # a burst has two losses or more, and fewer than gmin arrivals between them
        assert metrics.burst_density > 1 / (gmin + 1)
        assert metrics.burst_duration_ms >= 2


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_burst_density_is_that_of_the_markov_model(lost):
    """RFC 3611 appendix A.2: c22 and c23 are steps from an arrival within a burst, c32 and c33 from a loss."""
    c13 = c22 = c23 = c33 = 0
    since, run = 16, 0
    for flag in [*lost, *[False] * 16, True]:  # the closing loss ends the last burst
        if not flag:
            since += 1
            continue
        if since >= 16:
            c13 += run > 1
            run = 1
        else:
            run += 1
            c33 += since == 0
            c23 += since > 0
            c22 += max(since - 1, 0)
        since = 0
    metrics = burst_metrics(lost, 20)
    if not c13:
        assert metrics.burst_density == 0
    elif not c23:
        assert metrics.burst_density == 1
    else:
        p32, p23 = c23 / (c13 + c23 + c33), c23 / (c22 + c23)
        assert metrics.burst_density == pytest.approx(p23 / (p23 + p32))


@pytest.mark.parametrize(("packet_ms", "gmin", "name"), [(20, 0, "gmin"), (0, 16, "packet_ms"), (-1, 16, "packet_ms")])
def test_impossible_arguments_are_named(packet_ms, gmin, name):
    with pytest.raises(ValueError, match=name):
        burst_metrics([True], packet_ms, gmin)
