import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.transport.loss import Bernoulli, RecordedTrace
from vivavoce.transport.network import GammaJitter, JitterTrace, Network, read_jitter

PACKET_S = 0.02


def send(network, packets):
    """The arrivals of each of `packets` datagrams, sent every 20 ms."""
    return [network.send(number.to_bytes(4, "big"), number * PACKET_S) for number in range(packets)]


def first_copies(arrivals):
    return [times[0][0] for times in arrivals if times]


def test_a_perfect_network_delivers_at_once():
    arrivals = send(Network(), 3)
    assert arrivals == [[(0.0, b"\0\0\0\0")], [(0.02, b"\0\0\0\1")], [(0.04, b"\0\0\0\2")]]


def test_lost_datagrams_never_arrive_and_are_listed():
    network = Network(RecordedTrace(np.array([True, False, False])))
    arrivals = send(network, 6)
    assert [not times for times in arrivals] == network.lost == [True, False, False] * 2


impairments = st.fixed_dictionaries(
    {
        "loss": st.sampled_from([None, Bernoulli(0.3)]),
        "jitter": st.sampled_from([None, GammaJitter(15.0), JitterTrace(np.array([0.0, 70.0, 3.0]))]),
        "reorder": st.sampled_from([0.0, 0.2]),
        "duplicate": st.sampled_from([0.0, 0.2]),
        "seed": st.integers(0, 2**32),
    }
)


@given(arguments=impairments)
@settings(max_examples=50, deadline=None)
def test_the_same_seed_gives_the_same_arrivals(arguments):
    assert send(Network(**arguments), 300) == send(Network(**arguments), 300)


@given(arguments=impairments)
@settings(max_examples=50, deadline=None)
def test_nothing_arrives_before_it_is_sent_or_changed(arguments):
    for number, times in enumerate(send(Network(**arguments), 300)):
        assert all(time_s >= number * PACKET_S and data == number.to_bytes(4, "big") for time_s, data in times)
        assert times == sorted(times)
        assert len(times) <= 2


@given(arguments=impairments)
@settings(max_examples=50, deadline=None)
def test_other_impairments_leave_the_losses_alone(arguments):
    network, losses_only = Network(**arguments), Network(arguments["loss"], seed=arguments["seed"])
    send(network, 300)
    send(losses_only, 300)
    assert network.lost == losses_only.lost


def test_losses_leave_the_delays_of_the_others_alone():
    arguments = {"reorder": 0.1, "duplicate": 0.1, "seed": 5}
    whole = send(Network(**arguments), 500)
    lossy = send(Network(Bernoulli(0.3), **arguments), 500)
    assert [times for times in lossy if times] == [whole[number] for number, times in enumerate(lossy) if times]


@given(arguments=impairments)
@settings(max_examples=50, deadline=None)
def test_without_reordering_no_datagram_overtakes_another(arguments):
    times = first_copies(send(Network(**{**arguments, "reorder": 0.0}), 300))
    assert times == sorted(times)


def test_a_datagram_that_is_held_back_is_overtaken_and_blocks_nobody():
    times = np.array(first_copies(send(Network(reorder=0.1, seed=1), 5000)))
    late_ms = (times - np.arange(5000) * PACKET_S) * 1000
    held_back = late_ms > 1e-6
    assert held_back.mean() == pytest.approx(0.1, abs=0.02)
    assert late_ms[held_back].min() >= 20
    assert late_ms[held_back].max() <= 60
    assert (np.diff(times) < 0).any()


def test_duplicates_follow_within_a_packet():
    arrivals = send(Network(duplicate=0.25, seed=1), 4000)
    pairs = [times for times in arrivals if len(times) == 2]
    assert len(pairs) / 4000 == pytest.approx(0.25, abs=0.03)
    assert all(0 <= second[0] - first[0] <= 0.02 and first[1] == second[1] for first, second in pairs)


def test_gamma_delays_have_the_declared_mean_and_spread():
    delays = [delay for delay, _ in zip(GammaJitter(40.0, shape=4.0).stream(2), range(50_000), strict=False)]
    assert np.mean(delays) == pytest.approx(40, rel=0.02)
    assert np.std(delays) == pytest.approx(20, rel=0.03)
    fitted = GammaJitter.fit(np.array(delays))
    assert (fitted.mean_ms, fitted.shape) == pytest.approx((40, 4), rel=0.05)


def test_recorded_delays_are_played_again():
    times = first_copies(send(Network(jitter=JitterTrace(np.array([0.0, 5.0, 10.0]))), 6))
    delays_ms = [round((time_s - number * PACKET_S) * 1000, 6) for number, time_s in enumerate(times)]
    assert delays_ms == [0, 5, 10, 0, 5, 10]


def test_a_late_datagram_holds_up_the_queue():
    times = first_copies(send(Network(jitter=JitterTrace(np.array([50.0, 0.0, 0.0, 0.0]))), 4))
    assert times == pytest.approx([0.05, 0.05, 0.05, 0.06])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: Network(reorder=1.5), "reorder", id="reorder"),
        pytest.param(lambda: Network(duplicate=-0.1), "duplicate", id="duplicate"),
        pytest.param(lambda: GammaJitter(-1.0), "mean_ms", id="negative mean"),
        pytest.param(lambda: GammaJitter(float("nan")), "mean_ms", id="mean is not a number"),
        pytest.param(lambda: GammaJitter(10.0, shape=0.0), "shape", id="shape"),
        pytest.param(lambda: GammaJitter.fit(np.full(5, 3.0)), "all 3.0 ms", id="constant delays"),
        pytest.param(lambda: JitterTrace(np.array([1.0, -1.0])), "at least 0", id="negative delay"),
        pytest.param(lambda: JitterTrace(np.array([])), "at least one packet", id="no delay"),
    ],
)
def test_impossible_networks_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_delays_are_read_from_a_file(tmp_path):
    path = tmp_path / "delays.txt"
    path.write_bytes(b"0\n12.5\r\n3e1")
    assert read_jitter(path).tolist() == [0, 12.5, 30]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"1\nsoon\n", r"delays\.txt, line 2: expected milliseconds, at least 0, got 'soon'", id="a word"),
        pytest.param(b"1\n-2\n", r"delays\.txt, line 2: .* got '-2'", id="negative"),
        pytest.param(b"nan\n", r"delays\.txt, line 1", id="not a number"),
        pytest.param(b"1\n\n2\n", r"delays\.txt, line 2", id="a gap"),
        pytest.param(b"", r"delays\.txt, line 1: .* empty", id="empty"),
        pytest.param(b"\xff" * 1_000_000, r"delays\.txt, line 1", id="binary"),
    ],
)
def test_bad_delays_say_where(tmp_path, content, message):
    path = tmp_path / "delays.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_jitter(path)
