"""Files through the denoiser. With a limit of 0 dB it returns what it got, so that any shift or cut shows."""

import numpy as np
import pytest
import soundfile

from vivavoce import AudioFileError, ModelError, denoise
from vivavoce.audio import resample
from vivavoce.enhancement.files import denoise_file

BLOCKS = 70_000  # more than one block of the reader


def chirp(rate, seconds, channels=1):
    """Tones that rise, each channel at another pace, within what survives resampling to 48 kHz and back."""
    t = np.arange(round(rate * seconds)) / rate
    top = 0.35 * min(rate, 48_000)
    phases = [2 * np.pi * (100 * t + (top - 100) / (2 + channel) * t**2 / seconds) for channel in range(channels)]
    return (0.4 * np.sin(phases) * np.hanning(len(t))).astype(np.float32)


def write(path, samples, rate, subtype="FLOAT"):
    soundfile.write(path, samples.T, rate, subtype=subtype)
    return path


def read(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_nothing_is_shifted_or_cut(tmp_path, random_model, rate, channels):
    samples = chirp(rate, 1.7013, channels)
    source = write(tmp_path / "in.wav", samples, rate)
    done = denoise_file(source, tmp_path / "out.wav", random_model, attenuation_limit_db=0)
    assert (done.sample_rate, done.channels, done.model) == (rate, channels, "percepnet-test-v1")
    assert done.seconds == samples.shape[1] / rate
    assert done.attenuation_db == pytest.approx(0, abs=0.01)
    assert 0 <= done.voice_share <= 1
    assert 0 < done.cpu_seconds_per_second < 1
    output = read(tmp_path / "out.wav")
    assert output.shape == samples.shape
    assert np.abs(output - samples).max() < (1e-6 if rate == 48_000 else 2e-3)


@pytest.mark.parametrize("count", [1, 2, 479, 480, 481, 1440, 65_536, 65_537])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_any_length(tmp_path, random_model, rate, count):
    samples = np.full((1, count), 0.25, np.float32)
    source = write(tmp_path / "in.wav", samples, rate)
    denoise_file(source, tmp_path / "out.flac", random_model, attenuation_limit_db=0)
    output = read(tmp_path / "out.flac")
    assert output.shape == samples.shape
    if rate == 48_000:
        np.testing.assert_array_equal(output, samples)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_block_by_block_is_the_whole_and_channels_do_not_meet(tmp_path, random_model, speech_16k, rate):
    speech = resample(speech_16k[:48_000], 16_000, rate)
    samples = np.stack([speech, np.roll(speech, 5000), np.zeros_like(speech)])
    assert len(speech) > BLOCKS
    source = write(tmp_path / "in.wav", samples, rate)
    done = denoise_file(source, tmp_path / "out.wav", random_model)
    output = read(tmp_path / "out.wav")
    np.testing.assert_allclose(output, denoise(samples, rate, random_model), atol=2e-6)
    assert not output[2].any()
    measured = 10 * np.log10(np.square(samples).sum() / np.square(output).sum())
    assert done.attenuation_db == pytest.approx(measured, abs=0.01)


@pytest.mark.parametrize("name", ["out.opus", "out.ogg"])
def test_opus_keeps_its_rates_and_gets_48_khz_for_others(tmp_path, random_model, name):
    for rate, written in ((16_000, 16_000), (44_100, 48_000)):
        samples = chirp(rate, 1.5, 2)
        source = write(tmp_path / f"{rate}.wav", samples, rate)
        done = denoise_file(source, tmp_path / name, random_model, attenuation_limit_db=0, force=True)
        assert (done.input_rate, done.sample_rate) == (rate, written)
        output = read(tmp_path / name)
        assert soundfile.info(tmp_path / name).samplerate == written
        assert output.shape == (2, round(1.5 * written))
        wanted = np.stack([resample(channel, rate, written) for channel in samples])
        assert np.corrcoef(output[0], wanted[0])[0, 1] > 0.99
        assert np.corrcoef(output[1], wanted[1])[0, 1] > 0.99


@pytest.mark.parametrize(
    ("subtype", "name", "stored", "lost"),
    [
        ("PCM_16", "out.wav", "PCM_16", 0),
        ("PCM_24", "out.wav", "PCM_24", 0),
        ("FLOAT", "out.wav", "FLOAT", 0),
        ("PCM_16", "out.flac", "PCM_16", 0),
        ("FLOAT", "out.flac", "PCM_24", 2**-24),
    ],
)
def test_samples_stay_as_fine_as_they_were(tmp_path, random_model, subtype, name, stored, lost):
    source = write(tmp_path / "in.wav", chirp(48_000, 0.3), 48_000, subtype)
    denoise_file(source, tmp_path / name, random_model, attenuation_limit_db=0)
    assert soundfile.info(tmp_path / name).subtype == stored
    np.testing.assert_allclose(read(tmp_path / name), read(source), rtol=0, atol=lost)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_watch_sees_all_of_it(tmp_path, random_model, rate):
    samples = chirp(rate, 2.003, 2)
    source = write(tmp_path / "in.wav", samples, rate)
    seen = []

    def watch(reader, output_rate):
        assert (reader.channels, output_rate) == (2, rate)
        return lambda *block: seen.append(block)

    done = denoise_file(source, tmp_path / "out.wav", random_model, watch=watch)
    before, after, reports = zip(*seen, strict=True)
    np.testing.assert_array_equal(np.concatenate(before, axis=1), samples)
    np.testing.assert_array_equal(np.concatenate(after, axis=1), read(tmp_path / "out.wav"))
    reports = [report for block in reports for report in block]
    assert len(reports) == 2 * 201  # frames of 10 ms of two channels
    assert done.voice_share == np.mean([report.voice_probability > 0.5 for report in reports])


def test_silence_has_no_attenuation(tmp_path, random_model):
    source = write(tmp_path / "in.wav", np.zeros((1, 10_000), np.float32), 48_000)
    assert denoise_file(source, tmp_path / "out.wav", random_model).attenuation_db is None


def test_what_goes_wrong_leaves_nothing(tmp_path, random_model):
    samples = chirp(48_000, 2.5)
    samples[0, 100_000] = np.nan
    source = write(tmp_path / "in.wav", samples, 48_000)
    with pytest.raises(AudioFileError, match="sample 100000 is NaN"):
        denoise_file(source, tmp_path / "out.wav", random_model)
    with pytest.raises(AudioFileError, match="--force"):
        denoise_file(source, source, random_model)
    with pytest.raises(ModelError):
        denoise_file(source, tmp_path / "out.wav", tmp_path / "none.vvm")
    with pytest.raises(ValueError, match="must end in"):
        denoise_file(source, tmp_path / "out.mp3", random_model)
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]
