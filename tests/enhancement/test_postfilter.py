import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vivavoce.enhancement.postfilter import MAX_DECAY, MAX_REMATCH, envelope_postfilter, limit_decay, mix
from vivavoce.signal.bands import ErbBands

BANDS = ErbBands()
RANDOM = np.random.default_rng(0)
Y, P = (RANDOM.standard_normal((4, 481)) + 1j * RANDOM.standard_normal((4, 481)) for _ in range(2))


def test_no_strength_is_the_noisy_signal():
    mixed, scales = mix(Y, P, np.zeros((4, 34)), BANDS)
    assert (mixed == Y).all()
    np.testing.assert_allclose(scales, 1)


def test_full_strength_is_the_comb_filtered_signal_as_loud_as_the_noisy_one():
    mixed, scales = mix(Y, P / 1.5, np.ones((4, 34)), BANDS)
    np.testing.assert_allclose(mixed, P / 1.5, atol=1e-6)
    want = np.sqrt(BANDS.energies(Y) / BANDS.energies(P / 1.5))
    np.testing.assert_allclose(scales, np.minimum(want, MAX_REMATCH), rtol=1e-5)


def test_a_band_that_cancels_is_raised_by_6_db_at_most():
    mixed, scales = mix(Y, np.zeros_like(Y), np.ones((4, 34)), BANDS)
    assert (scales == 2).all()
    assert np.abs(mixed).max() < 1e-6


def test_silence_stays_silent():
    silence = np.zeros((1, 481), complex)
    mixed, scales = mix(silence, silence, np.full((1, 34), 0.5), BANDS)
    assert not mixed.any()
    assert np.isfinite(scales).all()
    assert np.isfinite(envelope_postfilter(np.zeros((1, 34)), np.zeros((1, 34)))).all()


@given(
    arrays.arrays(float, (1, 34), elements=st.floats(0, 1)),
    arrays.arrays(float, (1, 34), elements=st.floats(0, 1e9)),
)
def test_any_gains_give_gains_of_nearly_their_loudness(gains, energies):
    filtered = envelope_postfilter(gains, energies)
    assert np.isfinite(filtered).all()
    assert filtered.min() >= 0
    before, after = ((g**2 * energies).sum() for g in (gains, filtered))
    assert after <= before * 1.03 + 1e-18


def test_noisy_bands_go_down_and_clear_ones_stay():
    gains = np.full((1, 34), 0.1)
    gains[0, :10] = 1
    filtered = envelope_postfilter(gains, np.where(gains == 1, 1.0, 0.01))
    np.testing.assert_allclose(filtered[0, :10], 1, rtol=0.01)
    assert filtered[0, 10:].max() < 0.02
    np.testing.assert_allclose(envelope_postfilter(np.ones((1, 34)), np.ones((1, 34))), 1)


def test_gains_fall_by_60_db_in_100_ms_at_most_and_rise_at_once():
    gains = np.zeros((12, 34))
    gains[0] = 1
    gains[11] = 1
    limited = limit_decay(gains)
    assert limited[10, 0] == pytest.approx(1e-3)
    np.testing.assert_allclose(limited[:11, 0], MAX_DECAY ** np.arange(11))
    assert limited[11, 0] == 1
    assert gains[1, 0] == 0, "the argument is left alone"
