import numpy as np
import pytest

from vivavoce.signal.bands import ErbBands

BANDS = ErbBands()


def spectra(frames=5, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((frames, 481)) + 1j * random.standard_normal((frames, 481))


def test_centres_are_equal_steps_on_the_erb_scale_but_100_hz_apart():
    assert BANDS.centres[[0, -1]].tolist() == [0, 400]  # 0 Hz and 20 kHz
    steps = np.diff(BANDS.centres)
    assert steps.min() == 2
    wide = BANDS.centres[:-1][steps > 4]
    erb = 24.7 * (1 + wide * 50 / (24.7 * 9.265))
    np.testing.assert_allclose(steps[steps > 4] * 50 / erb, 1.25, rtol=0.15)


def test_bands_sum_to_one_at_every_bin():
    np.testing.assert_allclose(BANDS.weights.sum(axis=0), 1, atol=1e-6)
    assert (BANDS.weights[-1, 400:] == 1).all()


def test_a_tone_in_a_centre_is_in_one_band_alone():
    for band, centre in enumerate(BANDS.centres):
        energies = BANDS.energies(2j * np.eye(1, 481, centre))
        assert energies[0].tolist() == [4.0 if other == band else 0 for other in range(34)]


def test_energies_keep_the_whole_and_are_correlations_with_oneself():
    y = spectra()
    energies = BANDS.energies(y)
    assert energies.shape == (5, 34)
    np.testing.assert_allclose(energies.sum(axis=1), (np.abs(y) ** 2).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(BANDS.correlations(y, y), energies)


def test_correlation_is_real_and_signed():
    y = spectra()
    np.testing.assert_allclose(BANDS.correlations(y, 1j * y), 0, atol=1e-12)
    np.testing.assert_allclose(BANDS.correlations(y, -y), -BANDS.energies(y))


def test_interpolation_goes_through_the_centres_in_straight_lines():
    gains = np.random.default_rng(0).uniform(size=34)
    bins = BANDS.interpolate(gains)
    np.testing.assert_allclose(bins[BANDS.centres], gains, rtol=1e-6)
    low, high = BANDS.centres[-2:]
    assert bins[(low + high) // 2] == pytest.approx(np.interp((low + high) // 2, [low, high], gains[-2:]))
    np.testing.assert_allclose(BANDS.interpolate(np.ones(34)), 1, atol=1e-6)


def test_bands_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="300 bands of 2 bins and more do not fit into 481 bins"):
        ErbBands(bands=300)
