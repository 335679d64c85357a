import numpy as np
import pytest

from vivavoce.training.level import active_power, clip_snr_db, level_db
from vivavoce.training.spectrum import draw_tilt, fast_length, low_pass_response, tilt_response
from vivavoce.training.synthetic import synthetic_noise


@pytest.mark.parametrize("samples", [1, 2, 3, 7, 97, 1_000, 192_001, 288_000])
def test_a_fast_length_is_the_next_even_one_without_large_factors(samples):
    def smooth(length):
        for factor in (2, 3, 5):
            while length % factor == 0:
                length //= factor
        return length == 1

    expected = next(length for length in range(samples, 10 * samples + 2) if length % 2 == 0 and smooth(length))
    assert fast_length(samples) == expected


def test_a_tilt_is_its_recursion():
    b1, b2, a1, a2 = coefficients = draw_tilt(np.random.default_rng(1))
    response = np.zeros(256)
    for n in range(256):
        pulse = [n == 0, b1 * (n == 1), b2 * (n == 2)]
        response[n] = sum(pulse) - a1 * (response[n - 1] if n else 0) - a2 * (response[n - 2] if n > 1 else 0)
    assert np.fft.irfft(tilt_response(coefficients, 256)) == pytest.approx(response, abs=1e-6)


def test_a_low_pass_passes_below_and_stops_at_its_cutoff():
    response = low_pass_response(8_000, 4_800)  # 10 Hz a bin
    assert (response[:750] == 1).all()
    assert response[775] == pytest.approx(0.5, abs=0.02)
    assert (response[800:] == 0).all()


@pytest.mark.parametrize("seed", range(12))
def test_made_noise_is_finite_and_has_a_level(seed):
    noise = synthetic_noise(np.random.default_rng(seed), 9_600)
    assert noise.dtype == np.float32
    assert np.isfinite(noise).all()
    assert noise.shape == (9_600,)
    assert active_power(noise) > 0
    assert abs(noise.mean()) < 1e-6 * np.abs(noise).max() + 1e-9


def test_pauses_do_not_lower_the_active_level():
    tone = 0.1 * np.sin(np.arange(48_000)).astype(np.float32)
    paused = np.concatenate([tone, np.zeros(96_000, np.float32)])
    assert level_db(active_power(paused)) == pytest.approx(level_db(active_power(tone)), abs=0.05)
    assert level_db(active_power(tone)) == pytest.approx(-23.01, abs=0.05)
    assert active_power(np.zeros(100, np.float32)) == 0
    assert clip_snr_db(paused + np.float32(1e-3)) == pytest.approx(60 - 23.01, abs=0.1)
