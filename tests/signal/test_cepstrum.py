import numpy as np
import pytest

from corpora import voice
from vivavoce._core import lpc_of_cepstrum as core_lpc_of_cepstrum
from vivavoce._core import speech_features as core_speech_features
from vivavoce.signal.cepstrum import (
    BARK_BANDS,
    HOP,
    LPC_ORDER,
    PITCH,
    SAMPLE_RATE,
    VOICING,
    bark_weights,
    cepstrum_of_energies,
    dct_matrix,
    energies_of_cepstrum,
    levinson,
    lpc_of_cepstrum,
    period_of_feature,
    pitch_feature,
    preemphasise,
    speech_features,
    voicing_feature,
)


def tone(period, seconds=0.5):
    time = np.arange(round(seconds * SAMPLE_RATE))
    return sum(0.02 * np.cos(2 * np.pi * k * time / period + k * k) for k in range(1, period // 2))


def test_bands_hold_every_bin_and_the_outer_ones_count_twice():
    weights = bark_weights()
    sums = weights.sum(axis=0)
    assert weights.shape == (18, 161)
    assert sums[4:136] == pytest.approx(1, abs=1e-6)
    assert (sums[0], sums[160]) == (2, 2)


def test_the_dct_is_orthonormal():
    assert dct_matrix() @ dct_matrix().T == pytest.approx(np.eye(BARK_BANDS), abs=1e-12)


def test_energies_come_back_from_the_cepstrum():
    energies = 10 ** np.random.default_rng(0).uniform(2, 4, (5, BARK_BANDS))
    assert energies_of_cepstrum(cepstrum_of_energies(energies)) == pytest.approx(energies, rel=1e-4)


def test_bands_far_below_the_rest_are_raised():
    energies = np.full(BARK_BANDS, 1e-9)
    energies[3] = 1e8
    raised = np.log10(energies_of_cepstrum(cepstrum_of_energies(energies)))
    assert raised[3] == pytest.approx(8, abs=1e-6)
    assert raised[4] == pytest.approx(5.5, abs=1e-6)  # 25 dB below the band before
    assert raised[5] == pytest.approx(3, abs=1e-6)
    assert raised[12] == pytest.approx(0, abs=1e-6)  # 80 dB below the loudest


def test_silence_has_the_lowest_cepstrum():
    features = speech_features(np.zeros(800), 5)
    assert features[:, 0] == pytest.approx(-2 * np.sqrt(BARK_BANDS) - 4, abs=1e-9)
    assert features[:, 1:BARK_BANDS] == pytest.approx(0, abs=1e-9)


def test_every_period_survives_its_feature():
    periods = np.arange(32, 257)
    assert (period_of_feature(pitch_feature(periods)) == periods).all()
    assert pitch_feature([32, 256]) == pytest.approx([1.5, -1.5])
    assert period_of_feature(np.array([9.0, -9.0])).tolist() == [32, 256]


def test_voicing_rises_from_noise_to_voice():
    low, middle, high = voicing_feature(np.array([-1.0, 0.0, 1.0]))
    assert low == pytest.approx(-0.5, abs=0.01)
    assert middle == pytest.approx(-0.36, abs=0.01)
    assert high == pytest.approx(0.5)


def test_levinson_finds_the_filter_that_made_a_signal():
    coefficients = np.array([1.2, -0.7, 0.1])
    noise = np.random.default_rng(1).standard_normal(200_000)
    signal = np.zeros(len(noise))
    for n in range(3, len(noise)):
        signal[n] = coefficients @ signal[n - 3 : n][::-1] + noise[n]
    correlation = np.array([signal[: len(signal) - k] @ signal[k:] for k in range(4)])
    prediction, error = levinson(correlation)
    assert prediction == pytest.approx(coefficients, abs=0.01)
    assert error == pytest.approx(len(noise), rel=0.02)
    assert levinson(np.zeros(5))[0].tolist() == [0, 0, 0, 0]


def test_the_prediction_of_the_cepstrum_takes_the_envelope_away():
    """Of noise with one strong formant, at least three quarters of what the true filter predicts, in dB."""
    noise = 0.01 * np.random.default_rng(2).standard_normal(SAMPLE_RATE)
    coloured = np.zeros(len(noise))
    for n in range(2, len(noise)):
        coloured[n] = 1.85 * np.cos(0.3) * coloured[n - 1] - 0.87 * coloured[n - 2] + noise[n]
    sharp, possible = preemphasise(coloured), preemphasise(noise)
    predictions, levels = lpc_of_cepstrum(speech_features(coloured, 99)[:, :BARK_BANDS])
    assert predictions.shape == (99, LPC_ORDER)
    residual = np.zeros(len(sharp))
    for frame in range(2, 97):
        here = slice(HOP * frame - 80, HOP * frame + 80)
        past = np.stack([sharp[here.start - 1 - k : here.stop - 1 - k] for k in range(LPC_ORDER)], axis=1)
        residual[here] = sharp[here] - past @ predictions[frame]
    whole = slice(HOP * 3, HOP * 95)
    gain, ceiling = (
        10 * np.log10((sharp[whole] ** 2).sum() / (error[whole] ** 2).sum()) for error in (residual, possible)
    )
    assert gain > 0.75 * ceiling
    assert np.mean(levels[5:95]) == pytest.approx(np.std(residual[whole]), rel=0.25)


@pytest.mark.parametrize("period", [40, 47, 80, 133, 256])
def test_a_voice_has_its_pitch(period):
    features = speech_features(tone(period), 48)
    assert np.abs(period_of_feature(features[10:, PITCH]) - period).max() <= 1
    assert features[10:, VOICING].min() > 0.4


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(voice(np.random.default_rng(3), 2.0, SAMPLE_RATE), id="voice"),
        pytest.param(0.1 * np.random.default_rng(4).standard_normal(8_000), id="noise"),
        pytest.param(np.zeros(8_000), id="silence"),
        pytest.param(np.clip(3 * tone(100), -1, 1), id="clipped"),
        pytest.param(np.eye(1, 8_000, 4_000)[0], id="impulse"),
    ],
)
def test_the_core_has_the_same_features(samples):
    samples = samples.astype(np.float32)
    frames = len(samples) // HOP
    reference, core = speech_features(samples, frames), core_speech_features(samples, frames)
    assert core[:, :BARK_BANDS] == pytest.approx(reference[:, :BARK_BANDS], abs=2e-4)
    same = np.abs(core[:, PITCH] - reference[:, PITCH]) < 1e-5  # of two lags that fit equally, rounding chooses
    assert same.mean() > 0.98
    assert core[same, VOICING] == pytest.approx(reference[same, VOICING], abs=2e-4)


def test_no_sample_harms_the_core():
    random = np.random.default_rng(5)
    samples = random.choice(np.array([np.nan, np.inf, -np.inf, 1e38, 0, 1, -1], np.float32), 16_000)
    assert np.isfinite(core_speech_features(samples, 100)).all()
    assert core_speech_features(np.zeros(0, np.float32), 3).shape == (3, 20)
    with pytest.raises(TypeError, match="float32"):
        core_speech_features(np.zeros(10), 1)


def test_the_core_predicts_alike():
    random = np.random.default_rng(6)
    speech = voice(random, 1.0, SAMPLE_RATE)
    cepstra = speech_features(speech, 100)[:, :BARK_BANDS]
    predictions, levels = lpc_of_cepstrum(cepstra)
    core_predictions, core_levels = core_lpc_of_cepstrum(cepstra.astype(np.float32))
    assert core_predictions == pytest.approx(predictions, abs=5e-3)
    assert core_levels == pytest.approx(levels, rel=1e-3)
    hostile = random.choice(np.array([np.nan, np.inf, -np.inf, 1e38, 99, -99, 0], np.float32), (500, BARK_BANDS))
    assert all(np.isfinite(result).all() for result in core_lpc_of_cepstrum(hostile))
