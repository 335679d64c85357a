"""The core's resampler: how well it filters, how late it is, and what it does with what it should not get."""

import copy
import math
import threading
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce._core import Resampler

RATES = [8_000, 16_000, 24_000, 32_000, 44_100, 48_000]
PAIRS = [pytest.param(*pair, id=f"{pair[0]} to {pair[1]}") for pair in permutations(RATES, 2)]


def noise(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, count).astype(np.float32)


def ticks_of(from_rate, to_rate):
    """How many ticks an input and an output sample last."""
    common = math.gcd(from_rate, to_rate)
    return to_rate // common, from_rate // common


def impulse_response(from_rate, to_rate):
    """At every tick: put together of what impulses at each place against the output's grid give."""
    in_ticks, out_ticks = ticks_of(from_rate, to_rate)
    resampler = Resampler(from_rate, to_rate)
    length = 2 * resampler.delay_ticks + 1
    response = np.zeros(length)
    for place in range(out_ticks):
        impulse = np.zeros(place + length // in_ticks + 2, np.float32)
        impulse[place] = 1
        resampler.reset()
        samples = resampler.process(impulse)
        ticks = np.arange(len(samples)) * out_ticks - place * in_ticks
        within = (ticks >= 0) & (ticks < length)
        assert not samples[~within].any()
        response[ticks[within]] = samples[within]
    return response


@pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)
def test_the_pass_band_is_flat_and_the_stop_band_65_db_down(from_rate, to_rate):
    in_ticks, _ = ticks_of(from_rate, to_rate)
    response = impulse_response(from_rate, to_rate)
    gain = np.abs(np.fft.rfft(response, 16 * len(response))) / in_ticks
    frequency = np.arange(len(gain)) / (16 * len(response)) * from_rate * in_ticks / (min(from_rate, to_rate) / 2)
    gain_db = 20 * np.log10(np.maximum(gain, 1e-9))
    assert np.abs(gain_db[frequency <= 0.80]).max() < 0.01
    assert np.abs(gain_db[frequency <= 0.84]).max() < 0.1
    assert gain_db[frequency >= 1.0].max() < -65
    assert gain_db[frequency >= 1.2].max() < -75


@pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)
def test_the_phase_is_linear_about_the_declared_delay(from_rate, to_rate):
    response = impulse_response(from_rate, to_rate)
    resampler = Resampler(from_rate, to_rate)
    np.testing.assert_allclose(response, response[::-1], rtol=0, atol=1e-7)
    assert response.argmax() == resampler.delay_ticks
    in_ticks, out_ticks = ticks_of(from_rate, to_rate)
    assert resampler.delay_ticks == 24 * max(in_ticks, out_ticks)


@pytest.mark.parametrize("extra_ticks", [0, 1, 100, 640])
@pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)
def test_a_tone_arrives_as_late_as_declared(from_rate, to_rate, extra_ticks):
    resampler = Resampler(from_rate, to_rate, extra_ticks)
    hertz = 0.3 * min(from_rate, to_rate)
    samples = resampler.process(np.sin(2 * np.pi * hertz * np.arange(from_rate // 10) / from_rate).astype(np.float32))
    in_ticks, _ = ticks_of(from_rate, to_rate)
    time_s = np.arange(len(samples)) / to_rate - resampler.delay_ticks / (from_rate * in_ticks)
    late = slice(len(samples) // 2, None)
    np.testing.assert_allclose(samples[late], np.sin(2 * np.pi * hertz * time_s)[late], rtol=0, atol=1.5e-3)


@given(
    pair=st.sampled_from([*permutations(RATES, 2), (11_025, 48_000), (192_000, 44_100), (16_000, 16_000)]),
    blocks=st.lists(st.integers(0, 700), max_size=12),
)
def test_the_count_depends_on_the_total_alone_and_the_samples_on_nothing_else(pair, blocks):
    whole = noise(sum(blocks))
    resampler = Resampler(*pair)
    parts, taken = [np.zeros(0, np.float32)], 0
    for block in blocks:
        parts.append(resampler.process(whole[taken : taken + block]))
        taken += block
        assert sum(map(len, parts)) == math.ceil(Fraction(taken * pair[1], pair[0]))
    np.testing.assert_array_equal(np.concatenate(parts), Resampler(*pair).process(whole))


@pytest.mark.parametrize("copied", [Resampler.copy, copy.deepcopy])
def test_a_copy_goes_on_alone(copied):
    first = Resampler(44_100, 16_000, 5)
    first.process(noise(1001))
    second = copied(first)
    expected = first.process(noise(500, 1))
    first.process(noise(99))
    np.testing.assert_array_equal(second.process(noise(500, 1)), expected)
    assert (second.from_rate, second.to_rate, second.delay_ticks) == (44_100, 16_000, first.delay_ticks)


def test_reset_is_a_fresh_start():
    resampler = Resampler(48_000, 44_100)
    expected = resampler.process(noise(1000))
    resampler.reset()
    np.testing.assert_array_equal(resampler.process(noise(1000)), expected)


@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf, np.float32(2e30)])
def test_what_is_no_sample_counts_as_zero(fault):
    hostile, silent = noise(2000), noise(2000)
    hostile[[100, 999, 1000]], silent[[100, 999, 1000]] = fault, 0
    np.testing.assert_array_equal(Resampler(48_000, 16_000).process(hostile), Resampler(48_000, 16_000).process(silent))


def test_strided_and_read_only_samples_are_samples():
    samples = noise(2000)[::2]
    expected = Resampler(48_000, 16_000).process(samples.copy())
    np.testing.assert_array_equal(Resampler(48_000, 16_000).process(samples), expected)
    frozen = samples.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(Resampler(48_000, 16_000).process(frozen), expected)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0, 16_000), "from_rate 0"),
        ((16_000, -1), "to_rate -1"),
        ((48_000, 48_001), "to_rate 48001"),
        ((2**40, 16_000), f"from_rate {2**40}"),
        ((16_000, 48_000, -1), "extra_ticks -1"),
        ((16_000, 48_000, 641), "extra_ticks 641"),
    ],
)
def test_bad_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        Resampler(*arguments)


def test_bad_samples_change_nothing():
    resampler = Resampler(16_000, 48_000)
    with pytest.raises(TypeError, match="samples must be float32, got float64"):
        resampler.process(np.zeros(10))
    with pytest.raises(ValueError, match="one dimension"):
        resampler.process(np.zeros((1, 10), np.float32))
    np.testing.assert_array_equal(resampler.process(noise(100)), Resampler(16_000, 48_000).process(noise(100)))


def test_two_threads_at_once_are_refused_or_take_turns():
    resampler = Resampler(44_100, 48_000)
    block = noise(200_000)
    outcomes = []

    def work():
        for _ in range(20):
            try:
                outcomes.append(len(resampler.process(block)))
            except RuntimeError as error:
                outcomes.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    returned = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert sum(returned) == math.ceil(Fraction(len(returned) * len(block) * 480, 441))
    assert {outcome for outcome in outcomes if isinstance(outcome, str)} <= {
        "a Resampler is used by two threads at once"
    }
