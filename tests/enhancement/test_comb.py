import numpy as np
import pytest

from vivavoce.enhancement.comb import HANN_TAPS, comb_frames, comb_taps, noise_gain

PERIODS = np.array([60, 96, 97, 191, 192, 193, 480, 481, 768])


@pytest.mark.parametrize("lookahead", [0, 1, 2])
def test_taps_are_those_within_the_look_ahead_and_sum_to_one(lookahead):
    taps = comb_taps(PERIODS, lookahead)
    np.testing.assert_allclose(taps.sum(axis=1), 1)
    for period, row in zip(PERIODS, taps, strict=True):
        reached = [k <= 0 or k * period <= 480 * lookahead for k in range(-5, 6)]
        assert (row > 0).tolist() == reached
        np.testing.assert_allclose(row / row[5], np.where(reached, HANN_TAPS, 0))


def test_all_taps_cancel_9_db_of_noise():
    assert noise_gain(np.array([60]), 2) == pytest.approx(1 / 8)
    assert (noise_gain(PERIODS, 0) > noise_gain(np.array([60]), 2)).all()
    noise = np.random.default_rng(0).standard_normal(60 * 480)
    filtered = comb_frames(noise, np.full(60, 150), 2)[12:55]
    assert filtered.var() == pytest.approx(1 / 8, rel=0.1)


@pytest.mark.parametrize("lookahead", [0, 2])
def test_what_repeats_with_the_period_passes(lookahead):
    periodic = np.tile(np.random.default_rng(0).standard_normal(200), 100)
    frames = comb_frames(periodic, np.full(30, 200), lookahead)
    for frame in range(5, 30):
        np.testing.assert_allclose(frames[frame], periodic[480 * (frame - 1) : 480 * (frame + 1)], atol=1e-12)


def test_it_looks_no_further_ahead_than_it_may():
    random = np.random.default_rng(0)
    periods = random.integers(60, 769, 20)
    signal = random.standard_normal(40 * 480)
    for lookahead in (0, 1, 2):
        frames = comb_frames(signal, periods, lookahead)
        for frame in (0, 7, 19):
            cut = signal[: 480 * (frame + 1 + lookahead)]
            assert (comb_frames(cut, periods, lookahead)[frame] == frames[frame]).all()
