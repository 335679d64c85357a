import numpy as np
import pytest

from vivavoce.signal.pitch import FULL_BAND, HOP, WIDE_BAND, track_pitch

LOOKAHEADS = [pytest.param(0, id="no look-ahead"), pytest.param(2, id="2 frames")]
SEARCHES = [pytest.param(FULL_BAND, id="48 kHz"), pytest.param(WIDE_BAND, id="16 kHz")]


def voice(periods, seed=0):
    """A harmonic sound whose period, in samples, is given for each sample."""
    phase = np.cumsum(1 / np.asarray(periods, float))
    harmonics = np.arange(1, 40)[:, None]
    audible = harmonics / np.asarray(periods) < 0.4
    phases = np.random.default_rng(seed).uniform(size=(len(harmonics), 1))
    return 0.1 * (np.cos(2 * np.pi * (harmonics * phase + phases)) * audible / harmonics).sum(axis=0)


def octaves_off(periods, want):
    return np.abs(np.log2(periods / want))


@pytest.mark.parametrize("period", [60, 61, 75, 100, 133, 200, 301, 480, 555, 700, 768])
@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_a_steady_voice_has_its_period(period, lookahead):
    track = track_pitch(voice(np.full(30 * HOP, period)), 25, lookahead)
    settled = slice(8, 25)
    assert np.abs(track.periods[settled] - period).max() <= 1
    assert track.correlations[settled].min() > 0.98


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_a_glide_is_followed(lookahead):
    periods = np.geomspace(200, 400, 100 * HOP)  # an octave a second
    track = track_pitch(voice(periods), 95, lookahead)
    centres = periods[np.arange(95) * HOP]
    assert octaves_off(track.periods, centres)[10:].max() < 0.05


def test_noise_as_loud_as_the_voice_makes_no_octave_jumps():
    clean = voice(np.full(200 * HOP, 283))
    noise = np.random.default_rng(1).standard_normal(len(clean)) * clean.std()
    track = track_pitch(clean + noise, 200)
    assert octaves_off(track.periods, 283)[10:195].max() < 0.05


def test_a_new_voice_after_a_pause_is_found_at_once():
    pause = np.zeros(10 * HOP)
    signal = np.concatenate([voice(np.full(20 * HOP, 120)), pause, voice(np.full(20 * HOP, 500))])
    periods = track_pitch(signal, 50).periods
    assert np.abs(periods[8:17] - 120).max() <= 1
    assert np.abs(periods[35:48] - 500).max() <= 1


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(np.zeros(0), id="nothing"),
        pytest.param(np.zeros(10 * HOP), id="silence"),
        pytest.param(np.ones(10 * HOP), id="DC"),
        pytest.param(np.eye(1, 10 * HOP, 2000)[0], id="impulse"),
        pytest.param(np.full(10 * HOP, 1e-300), id="next to nothing"),
    ],
)
def test_any_signal_has_periods_in_range(samples):
    track = track_pitch(samples, 12)
    assert track.periods.shape == track.correlations.shape == (12,)
    assert track.periods.min() >= 60
    assert track.periods.max() <= 768
    assert np.isfinite(track.correlations).all()


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_windows_end_with_the_look_ahead_and_are_symmetrical_where_they_can(lookahead, search):
    end = ((lookahead + 1) * search.hop - search.lowpass_delay) // search.decimation
    for lag in search.lags:
        start = search.early_window_start(lag, lookahead)
        late_end = start + lag + search.coarse_window
        assert late_end <= end
        assert late_end == end or abs(start + late_end) <= 1


@pytest.mark.parametrize("search", SEARCHES)
def test_the_low_pass_keeps_voice_and_stops_what_would_alias(search):
    response = np.abs(np.fft.rfft(search.lowpass(), search.sample_rate))
    assert response[0] == pytest.approx(1, abs=1e-6)
    assert response[:1_200].min() > 0.97
    assert 20 * np.log10(response[6_000:].max()) < -50


@pytest.mark.parametrize("period", [32, 33, 40, 57, 80, 121, 200, 256])
@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_a_steady_voice_at_16_khz_has_its_period(period, lookahead):
    track = track_pitch(voice(np.full(30 * 160, period)), 25, lookahead, WIDE_BAND)
    told = period if period >= 40 else 2 * period  # above 400 Hz it is rather two of a lower voice
    assert np.abs(track.periods[8:25] - told).max() <= 1
    assert track.correlations[8:25].min() > 0.97
