import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.enhancement.gains import coherence, comb_coherence, oracle_gains, oracle_strengths

SHARE = st.floats(0, 1)
ENERGY = st.floats(0, 1e12)
NOISE_GAIN = st.floats(0.05, 1)


@given(correlation=st.floats(-1e12, 1e12), a=ENERGY, b=ENERGY)
def test_coherence_is_a_share(correlation, a, b):
    assert 0 <= coherence(*map(np.array, (correlation, a, b))) <= 1


def test_coherence_of_known_spectra():
    np.testing.assert_allclose(coherence(np.array([2.0, -2, 1, 0]), np.full(4, 2.0), np.full(4, 2.0)), [1, 0, 0.5, 0])


@given(q=SHARE, noise_gain=NOISE_GAIN)
def test_the_comb_filter_makes_no_signal_less_coherent(q, noise_gain):
    reached = comb_coherence(np.array(q), np.array(noise_gain))
    assert reached >= q * (1 - 1e-9)
    assert reached <= 1 + 1e-9


@given(clean=SHARE, noisy=SHARE, noise_gain=NOISE_GAIN)
def test_strengths_and_attenuations_are_shares_for_any_input(clean, noisy, noise_gain):
    strength, attenuation = oracle_strengths(*map(np.array, (clean, noisy, noise_gain)))
    assert 0 <= strength <= 1
    assert 0 < attenuation <= 1


@given(noisy=st.floats(0.05, 0.95), share=st.floats(0.05, 0.95), noise_gain=st.floats(0.05, 0.5))
def test_the_strength_solves_the_equation_of_the_paper(noisy, share, noise_gain):
    reached = float(comb_coherence(np.array(noisy), np.array(noise_gain)))
    clean = noisy + share * (reached - noisy)  # within what the filter reaches
    strength, attenuation = oracle_strengths(*map(np.array, (clean, noisy, noise_gain)))
    alpha = strength / (1 - strength)
    a, b, c = reached**2 - clean**2, reached * noisy * (1 - clean**2), clean**2 - noisy**2
    assert a * alpha**2 + 2 * b * alpha == pytest.approx(c, rel=1e-6, abs=1e-9)
    assert attenuation == 1


def test_nothing_to_gain_leaves_the_signal_alone_and_too_much_attenuates():
    noise_gain = np.full(3, 0.125)
    clean, noisy = np.array([0.5, 0.5, 1.0]), np.array([0.5, 0.9, 0.1])
    strengths, attenuations = oracle_strengths(clean, noisy, noise_gain)
    np.testing.assert_allclose(strengths, [0, 0, 1], atol=1e-6)
    assert attenuations[:2].tolist() == [1, 1]
    assert 10 ** (-15.5 / 20) < attenuations[2] < 10 ** (-12 / 20)  # the mask limits it to 15 dB


@given(x=ENERGY, y=ENERGY)
def test_gains_are_shares(x, y):
    assert 0 <= oracle_gains(np.array(x), np.array(y)) <= 1


def test_gains_of_known_energies():
    np.testing.assert_allclose(oracle_gains(np.array([1.0, 0, 5, 0]), np.array([4.0, 1, 1, 0])), [0.5, 0, 1, 1])
