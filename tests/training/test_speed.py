import numpy as np
import pytest

from vivavoce.training.speed import draw_rate, play, samples_for


@pytest.mark.parametrize("rate", [0.6, 0.88, 1.0, 1.14, 1.6])
def test_a_tone_comes_out_at_the_rate_of_playback(rate):
    count = 48_000
    tone = np.sin(2 * np.pi * 1000 / 48_000 * np.arange(samples_for(count, rate))).astype(np.float32)
    played = play(tone, rate, count)
    assert played.shape == (count,)
    assert played.dtype == np.float32
    wanted = np.sin(2 * np.pi * 1000 * rate / 48_000 * (np.arange(count) + (0 if rate == 1 else 1 / rate)))
    assert np.abs(played - wanted)[1:].max() < 2e-3


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 100])
@pytest.mark.parametrize("rate", [0.6, 1.6])
def test_a_recording_that_ends_gives_fewer_samples(length, rate):
    played = play(np.ones(length, np.float32), rate, 1000)
    assert len(played) <= max(length, length / rate + 1)
    assert np.allclose(played, 1)


def test_rates_are_even_over_the_logarithm():
    random = np.random.default_rng(0)
    rates = [draw_rate(random, 0.5, 2.0) for _ in range(2000)]
    assert 0.5 <= min(rates) < 0.51
    assert np.mean(np.log(rates)) == pytest.approx(0, abs=0.03)
