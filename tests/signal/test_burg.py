import numpy as np
import pytest

from corpora import voice
from vivavoce._core import burg_features as core_burg_features
from vivavoce.signal.burg import BURG_FEATURES, HALF, burg, burg_cepstrum, burg_features
from vivavoce.signal.cepstrum import BARK_BANDS, SAMPLE_RATE, speech_features


def test_a_sine_is_predicted():
    samples = np.sin(0.7 * np.arange(80))
    prediction, error = burg(samples, 2)
    assert prediction == pytest.approx([2 * np.cos(0.7), -1], abs=0.02)
    assert error < 1e-3


def test_noise_cannot_be():
    samples = np.random.default_rng(0).standard_normal(20_000)
    prediction, error = burg(samples, 8)
    assert np.abs(prediction).max() < 0.03
    assert error == pytest.approx(1, rel=0.05)


def test_the_filter_that_made_a_signal_is_found():
    noise = np.random.default_rng(1).standard_normal(20_000)
    signal = np.zeros(len(noise))
    for n in range(2, len(noise)):
        signal[n] = 1.6 * signal[n - 1] - 0.8 * signal[n - 2] + noise[n]
    prediction, error = burg(signal, 2)
    assert prediction == pytest.approx([1.6, -0.8], abs=0.02)
    assert error == pytest.approx(1, rel=0.05)


def test_its_cepstrum_is_in_the_units_of_the_other():
    """On steady noise, means over many frames agree within half a unit (2 dB a band, about)."""
    samples = 0.05 * np.random.default_rng(2).standard_normal(SAMPLE_RATE)
    steady = speech_features(samples, 100)[5:, :BARK_BANDS].mean(axis=0)
    assert burg_features(samples, 100)[5:, :BARK_BANDS].mean(axis=0) == pytest.approx(steady, abs=0.5)


def test_a_rise_stands_in_the_difference():
    samples = 0.01 * np.random.default_rng(3).standard_normal(160)
    samples[HALF:] *= 10
    features = burg_features(samples, 1)
    assert features.shape == (1, BURG_FEATURES)
    assert features[0, BARK_BANDS] == pytest.approx(2 * np.sqrt(BARK_BANDS), abs=2)  # 20 dB in each band


def test_silence_and_a_constant_are_finite():
    for samples in (np.zeros(160), np.ones(160), np.eye(1, 160, 80)[0]):
        assert np.isfinite(burg_cepstrum(samples[:HALF])).all()
        assert np.isfinite(burg_features(samples, 1)).all()


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(voice(np.random.default_rng(4), 1.0, SAMPLE_RATE), id="voice"),
        pytest.param(0.1 * np.random.default_rng(5).standard_normal(4_000), id="noise"),
        pytest.param(np.zeros(1_600), id="silence"),
        pytest.param(np.sin(0.3 * np.arange(1_600)), id="sine"),
    ],
)
def test_the_core_has_the_same(samples):
    samples = samples.astype(np.float32)
    frames = len(samples) // 160
    assert core_burg_features(samples, frames) == pytest.approx(burg_features(samples, frames), abs=2e-3)


def test_no_sample_harms_the_core():
    random = np.random.default_rng(6)
    samples = random.choice(np.array([np.nan, np.inf, -np.inf, 1e38, 0, 1, -1], np.float32), 16_000)
    assert np.isfinite(core_burg_features(samples, 100)).all()
