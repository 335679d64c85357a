"""The core's analysis, a stream in float32, against `vivavoce.enhancement.features`, whole signals in double."""

from pathlib import Path

import numpy as np
import pytest
import soxr

from vivavoce._core import percepnet_analyse, percepnet_targets
from vivavoce.enhancement.features import ERB_BANDS, FEATURES, analyse_noisy, comb_spectra
from vivavoce.enhancement.gains import coherence, oracle_gains, oracle_strengths
from vivavoce.signal.stft import analyse

LOOKAHEADS = [pytest.param(0, id="no look-ahead"), pytest.param(1, id="1 frame"), pytest.param(2, id="2 frames")]
FRAMES = 400
RARE = 0.005  # of frames: two periods that correlate equally well may be told apart by a rounding error


def noise(count, level, seed=0):
    return (level * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


@pytest.fixture(scope="module")
def speech(speech_16k):
    return soxr.resample(speech_16k, 16_000, 48_000)[: 480 * FRAMES]


SIGNALS = [
    pytest.param(lambda speech: speech + noise(len(speech), 0.003), id="speech"),
    pytest.param(lambda speech: speech + noise(len(speech), 0.05), id="noisy speech"),
    pytest.param(lambda speech: 0.01 * speech + noise(len(speech), 1e-4), id="quiet speech"),
    pytest.param(lambda speech: np.clip(30 * speech, -1, 1) + noise(len(speech), 0.003), id="clipped speech"),
    pytest.param(lambda speech: noise(len(speech), 0.3), id="noise"),
]


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_features_are_those_of_the_reference(speech, signal, lookahead):
    samples = signal(speech).astype(np.float32)
    features, periods = percepnet_analyse(samples, FRAMES, lookahead)
    reference = analyse_noisy(samples, FRAMES, lookahead)
    assert features.shape == (FRAMES, FEATURES)
    assert (periods != reference.periods).mean() < RARE
    off = np.abs(features - reference.features).max(axis=1) > 1e-3
    assert off.mean() < RARE


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_targets_are_those_of_the_reference(speech, lookahead):
    noisy = speech + noise(len(speech), 0.02)
    clean = speech + noise(len(speech), 1e-4, seed=1)  # no band of it is empty, where rounding errors would be compared
    features, gains, strengths, noisy_energies, clean_energies, attenuations = percepnet_targets(
        noisy, clean, FRAMES, lookahead
    )
    reference = analyse_noisy(noisy, FRAMES, lookahead)
    x, p = analyse(clean, FRAMES), comb_spectra(clean, reference.periods, lookahead)
    energies = ERB_BANDS.energies(x)
    q = coherence(ERB_BANDS.correlations(p, x), ERB_BANDS.energies(p), energies)
    want_strengths, want_attenuations = oracle_strengths(q, reference.coherences, reference.noise_gains[:, None])
    assert (features == percepnet_analyse(noisy, FRAMES, lookahead)[0]).all()
    np.testing.assert_allclose(noisy_energies, reference.energies, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(clean_energies, energies, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(gains, oracle_gains(energies, reference.energies), atol=1e-3)
    for got, want in ((strengths, want_strengths), (attenuations, want_attenuations)):
        # where q^ and q_x nearly agree, either case of the oracle is right
        assert (np.abs(got - want) > 5e-3).mean() < RARE


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_a_frame_depends_on_no_sample_beyond_its_look_ahead(speech, lookahead):
    """What makes the analysis a stream: features of frame t know hops up to t, whatever follows."""
    frames = 150
    changed = speech.copy()
    changed[480 * frames :] = noise(len(speech) - 480 * frames, 0.5)
    features, periods = percepnet_analyse(speech, 200, lookahead)
    other, other_periods = percepnet_analyse(changed, 200, lookahead)
    assert (features[:frames] == other[:frames]).all()
    assert (periods[: frames - lookahead] == other_periods[: frames - lookahead]).all()
    assert (features[frames] != other[frames]).any()
    assert (percepnet_analyse(speech[: 480 * frames], frames, lookahead)[0] == features[:frames]).all()


def square(period, level):
    return (level * np.sign(np.sin(2 * np.pi * (np.arange(48_000) + 0.5) / period))).astype(np.float32)


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(np.zeros(48_000, np.float32), id="silence"),
        pytest.param(np.ones(48_000, np.float32), id="DC"),
        pytest.param(square(768, 1), id="square of the longest period"),
        pytest.param(square(60, 1), id="square of the shortest period"),
        pytest.param(square(9_600, 4), id="steps beyond full scale"),
        pytest.param(np.eye(1, 48_000, 20_000, dtype=np.float32)[0], id="impulse"),
        pytest.param(np.full(48_000, 1e-42, np.float32), id="subnormal"),
        pytest.param(noise(48_000, 1e-7), id="next to nothing"),
        pytest.param(np.float32(1e37) * noise(48_000, 1), id="far beyond full scale"),
        pytest.param(np.where(np.arange(48_000) % 2, np.nan, np.inf).astype(np.float32), id="no numbers"),
        pytest.param(np.zeros(0, np.float32), id="nothing"),
    ],
)
@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_any_signal_gives_numbers_in_range(samples, lookahead):
    features, periods = percepnet_analyse(samples, 100, lookahead)
    assert np.isfinite(features).all()
    assert features.min() >= -5
    coherences, correlations = features[:, 34:68], features[:, 69]
    assert coherences.min() >= 0
    assert coherences.max() <= 1
    assert np.abs(correlations).max() <= 1.001
    assert periods.min() >= 60
    assert periods.max() <= 768
    for array in percepnet_targets(samples, samples[::-1], 100, lookahead):
        assert np.isfinite(array).all()


def test_samples_that_are_no_numbers_count_as_silence(speech):
    faulty, zeros = speech.copy(), speech.copy()
    faulty[10_000:10_500] = np.nan
    faulty[20_000::7001] = -np.inf
    zeros[10_000:10_500] = zeros[20_000::7001] = 0
    assert (percepnet_analyse(faulty, FRAMES)[0] == percepnet_analyse(zeros, FRAMES)[0]).all()


def test_bad_arguments_are_named():
    samples = np.zeros(960, np.float32)
    with pytest.raises(TypeError, match="samples must be float32, got float64"):
        percepnet_analyse(samples.astype(float), 2)
    with pytest.raises(ValueError, match="lookahead must be from 0 to 2, got 3"):
        percepnet_analyse(samples, 2, 3)
    with pytest.raises(ValueError, match=r"frames must be from 0 to 2\^31, got -1"):
        percepnet_analyse(samples, -1)
    with pytest.raises(ValueError, match="clean must have one dimension"):
        percepnet_targets(samples, samples[None], 2)
    assert percepnet_analyse(samples, 0)[0].shape == (0, FEATURES)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_results_are_freed():
    """Each call of `targets` makes 500 kB of arrays; they once stayed."""
    samples = np.zeros(96_000, np.float32)

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def work():
        for _ in range(40):
            percepnet_targets(samples, samples, 200, 2)
            percepnet_analyse(samples, 200, 2)

    work()
    before = resident()
    work()
    assert resident() - before < 4e6
