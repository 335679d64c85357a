import io
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from vivavoce.audio import read_audio, resample, wav_bytes, write_wav, write_whole
from vivavoce.errors import AudioFileError


def tone(rate, seconds=0.5, hertz=440.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channel_count_becomes_mono_at_the_wanted_rate(tmp_path, rate, channels):
    soundfile.write(tmp_path / "in.wav", np.tile(tone(rate)[:, None], channels), rate)
    samples, sample_rate = read_audio(tmp_path / "in.wav", 16_000)
    assert sample_rate == 16_000
    assert samples.dtype == np.float32
    assert len(samples) == round(round(rate * 0.5) * 16_000 / rate)
    middle = slice(800, -800)
    assert np.abs(samples - tone(16_000)[: len(samples)])[middle].max() < 0.01


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_formats_that_libsndfile_knows(tmp_path, suffix):
    soundfile.write(tmp_path / f"in.{suffix}", tone(16_000), 16_000)
    samples, rate = read_audio(tmp_path / f"in.{suffix}")
    assert rate == 16_000
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.35, abs=0.03)


def test_formats_that_only_ffmpeg_knows(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "in.mka"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        integers = (tone(16_000) * 32_767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(integers, format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    samples, rate = read_audio(path)
    assert rate == 16_000
    np.testing.assert_allclose(samples, tone(16_000), atol=1e-3)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "empty", id="an empty file"),
        pytest.param(b"hello, world" * 100, "no sound file", id="text"),
        pytest.param(wav_bytes(tone(16_000), 16_000)[:30], "no sound file", id="half a header"),
        pytest.param(wav_bytes(np.zeros(0, np.float32), 16_000), "no samples", id="a header alone"),
    ],
)
def test_what_is_no_sound_is_one_clear_error(tmp_path, content, says):
    path = tmp_path / "in.wav"
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match=says) as raised:
        read_audio(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_named(tmp_path, value):
    samples = tone(16_000)
    samples[123] = value
    soundfile.write(tmp_path / "in.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(AudioFileError, match="sample 123"):
        read_audio(tmp_path / "in.wav")


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_audio(tmp_path / "none.wav")


@pytest.mark.parametrize(
    ("count", "from_rate", "to_rate"), [(1, 48_000, 16_000), (7, 8_000, 48_000), (999, 44_100, 16_000)]
)
def test_resampled_length_is_the_nearest(count, from_rate, to_rate):
    resampled = resample(np.ones(count, np.float32), from_rate, to_rate)
    assert len(resampled) == max(1, round(count * to_rate / from_rate))
    assert np.isfinite(resampled).all()


def test_written_samples_come_back_and_loud_ones_saturate(tmp_path):
    samples = np.array([0, 0.5, -0.5, 1.0, -1.0, 7.0, -7.0], np.float32)
    write_wav(tmp_path / "out.wav", samples, 16_000)
    info = soundfile.info(tmp_path / "out.wav")
    assert (info.subtype, info.channels, info.samplerate) == ("PCM_16", 1, 16_000)
    back, _ = soundfile.read(tmp_path / "out.wav", dtype="int16")
    assert back.tolist() == [0, 16_384, -16_384, 32_767, -32_768, 32_767, -32_768]


def test_an_existing_file_needs_force(tmp_path):
    path = tmp_path / "out.wav"
    path.write_text("precious")
    with pytest.raises(AudioFileError, match="--force"):
        write_wav(path, tone(16_000), 16_000)
    assert path.read_text() == "precious"
    write_wav(path, tone(16_000), 16_000, force=True)
    assert path.read_bytes()[:4] == b"RIFF"
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
@pytest.mark.parametrize("existing", [b"precious", None], ids=["over a file", "a new file"])
def test_what_breaks_off_leaves_nothing_behind(tmp_path, error, existing):
    path = tmp_path / "out.wav"
    if existing:
        path.write_bytes(existing)

    def write(file):
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        write_whole(path, write)
    assert [p.name for p in tmp_path.iterdir()] == (["out.wav"] if existing else [])
    if existing:
        assert path.read_bytes() == existing


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_says_which_file():
    with pytest.raises(OSError, match="No space left") as raised:
        write_wav("/dev/full", tone(16_000), 16_000, force=True)
    assert raised.value.filename == "/dev/full"


def test_pipes():
    program = "from vivavoce import audio; audio.write_wav('-', *audio.read_audio('-'))"
    sent = wav_bytes(tone(16_000), 16_000)
    done = subprocess.run([sys.executable, "-c", program], input=sent, capture_output=True, check=True)
    before, _ = soundfile.read(io.BytesIO(sent))
    after, _ = soundfile.read(io.BytesIO(done.stdout))
    np.testing.assert_array_equal(before, after)
