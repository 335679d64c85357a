import numpy as np
import pytest
import soundfile

from vivavoce.audio import resample
from vivavoce.cli.microphone import Microphone
from vivavoce.enhancement.denoiser import denoise
from vivavoce.errors import AudioFileError
from vivavoce.evaluation.mixing import active_level_db, level_db


@pytest.fixture
def files(tmp_path, speech_16k):
    """Speech, and two seconds of stereo noise at another rate."""
    soundfile.write(tmp_path / "speech.wav", speech_16k[:80_000], 16_000, subtype="FLOAT")
    noise = np.random.default_rng(0).normal(0, 0.01, (88_200, 2))
    soundfile.write(tmp_path / "noise.wav", noise, 44_100, subtype="FLOAT")
    soundfile.write(tmp_path / "silence.wav", np.zeros(1000), 16_000)
    return {path.stem: str(path) for path in tmp_path.iterdir()}


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_without_options_it_is_the_file(files, speech_16k, rate):
    speech = Microphone(None, None, denoise=False, model=None).capture(files["speech"], rate)
    np.testing.assert_array_equal(speech.sent, resample(speech_16k[:80_000], 16_000, rate))
    assert speech.sent is speech.original
    assert speech.stages == speech.notes == speech.summary == {}


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 20.0])
def test_noise_has_the_asked_for_distance_to_active_speech(files, snr_db):
    speech = Microphone(files["noise"], snr_db, denoise=False, model=None).capture(files["speech"], 48_000)
    noise = speech.noisy - speech.original
    assert active_level_db(speech.original, 48_000) - level_db(noise) == pytest.approx(snr_db, abs=0.01)
    assert np.abs(speech.noisy).max() <= 1
    middle = slice(96_000, 96_000 + 1000)  # repeated after two seconds
    np.testing.assert_allclose(noise[middle], noise[:1000], atol=np.abs(noise).max() / 100)
    assert speech.sent is speech.noisy
    assert list(speech.stages) == ["noisy"]


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_the_denoiser_hears_the_noise_and_shifts_nothing(files, random_model, rate):
    speech = Microphone(files["noise"], 5, denoise=True, model=str(random_model)).capture(files["speech"], rate)
    assert len(speech.original) == len(speech.noisy) == len(speech.cleaned) == 5 * rate
    assert speech.sent is speech.cleaned
    assert list(speech.stages) == ["noisy", "cleaned"]
    assert speech.summary["denoise_delay_ms"] == 30
    assert speech.cpu_seconds_per_second["denoise"] > 0
    if rate == 48_000:
        np.testing.assert_allclose(speech.cleaned, denoise(speech.noisy, rate, random_model), atol=1e-6)


@pytest.mark.parametrize(("speech", "noise"), [("silence", "noise"), ("speech", "silence")])
def test_silence_has_no_snr(files, speech, noise):
    with pytest.raises(AudioFileError, match=r"silence\.wav: is silent"):
        Microphone(files[noise], 5, denoise=False, model=None).capture(files[speech], 16_000)
