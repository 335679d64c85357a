import numpy as np
import pytest

from corpora import voice
from vivavoce.evaluation.mixing import PEAK, active_level_db, level_db, mix

RATE = 16_000


def tone(frequency, seconds=2.0):
    return (0.1 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_pauses_do_not_count_for_the_active_level():
    speech = voice(np.random.default_rng(0), 4, RATE)
    paused = np.concatenate([speech, np.zeros(4 * RATE, np.float32)])
    assert active_level_db(paused, RATE) == pytest.approx(active_level_db(speech, RATE), abs=0.3)
    assert level_db(paused) == pytest.approx(level_db(speech) - 3.01, abs=0.01)
    assert active_level_db(np.zeros(RATE), RATE) == float("-inf")


def test_loud_noise_lowers_both():
    clean = tone(440)
    spiky = np.zeros_like(clean)
    spiky[::8000] = 1
    levelled, noisy = mix(clean, spiky, RATE, 0)
    assert np.abs(noisy).max() == pytest.approx(PEAK)
    assert active_level_db(levelled, RATE) - level_db(noisy - levelled) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("clean", "noise", "message"),
    [
        pytest.param(tone(440), np.zeros(2 * RATE, np.float32), "must not be silent", id="silent noise"),
        pytest.param(np.zeros(2 * RATE, np.float32), tone(440), "must not be silent", id="silent speech"),
        pytest.param(tone(440), tone(440, 1), "must have one shape", id="lengths"),
    ],
)
def test_what_cannot_be_mixed_is_refused(clean, noise, message):
    with pytest.raises(ValueError, match=message):
        mix(clean, noise, RATE, 0)
