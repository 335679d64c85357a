import io
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from vivavoce.audio import read_audio, resample, wav_bytes, write_audio, write_wav, write_whole
from vivavoce.audio_reader import open_audio
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


def noise(channels, count, seed=0):
    return np.random.default_rng(seed).uniform(-0.7, 0.7, (channels, count)).astype(np.float32)


def in_blocks(samples, size=30_000):
    return (samples[:, at : at + size] for at in range(0, samples.shape[1], size))


def decoded(path):
    """All channels, shape (channels, samples)."""
    with open_audio(path) as reader:
        return np.concatenate(list(reader.blocks()), axis=1)


@pytest.mark.parametrize(
    ("written", "subtype"),
    [
        ("PCM_U8", "PCM_16"),
        ("PCM_16", "PCM_16"),
        ("PCM_24", "PCM_24"),
        ("PCM_32", "PCM_24"),
        ("FLOAT", "FLOAT"),
        ("DOUBLE", "FLOAT"),
        ("ULAW", "PCM_16"),
    ],
)
def test_a_reader_tells_what_is_in_a_file(tmp_path, written, subtype):
    samples = noise(3, 100_001)
    soundfile.write(tmp_path / "in.wav", samples.T, 44_100, subtype=written)
    with open_audio(tmp_path / "in.wav") as reader:
        assert (reader.sample_rate, reader.channels, reader.expected_samples) == (44_100, 3, 100_001)
        assert reader.subtype == subtype
        blocks = list(reader.blocks())
    assert len(blocks) > 1
    assert all(block.dtype == np.float32 and len(block) == 3 for block in blocks)
    assert np.abs(np.concatenate(blocks, axis=1) - samples).max() < 0.05


@pytest.mark.parametrize(
    ("codec", "stored", "subtype"),
    [("pcm_s16le", "s16", "PCM_16"), ("pcm_s24le", "s32", "PCM_24"), ("pcm_f32le", "flt", "FLOAT")],
)
def test_a_reader_of_what_only_ffmpeg_knows(tmp_path, codec, stored, subtype):
    av = pytest.importorskip("av")
    samples = noise(2, 50_000)
    dtype, scale = {"s16": (np.int16, 2**15), "s32": (np.int32, 2**31), "flt": (np.float32, 1)}[stored]
    path = tmp_path / "in.mka"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=48_000, layout="stereo")
        interleaved = (samples.T.astype(np.float64) * scale).astype(dtype).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, format=stored, layout="stereo")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_audio(path) as reader:
        assert (reader.sample_rate, reader.channels, reader.subtype) == (48_000, 2, subtype)
        read = np.concatenate(list(reader.blocks()), axis=1)
    np.testing.assert_allclose(read, samples, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("name", "subtype", "stored", "step"),
    [
        ("out.wav", "PCM_16", "PCM_16", 2**-15),
        ("out.wav", "PCM_24", "PCM_24", 2**-23),
        ("out.WAV", "FLOAT", "FLOAT", 0),
        ("out.flac", "PCM_16", "PCM_16", 2**-15),
        ("out.flac", "FLOAT", "PCM_24", 2**-23),
    ],
)
def test_what_is_written_block_by_block_is_exact(tmp_path, name, subtype, stored, step, channels):
    samples = noise(channels, 100_001)
    write_audio(tmp_path / name, in_blocks(samples), 44_100, channels, subtype=subtype)
    info = soundfile.info(tmp_path / name)
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (44_100, channels, 100_001, stored)
    read = decoded(tmp_path / name)
    assert np.abs(read - samples).max() <= step / 2
    write_audio(tmp_path / name, in_blocks(read, 777), 44_100, channels, subtype=subtype, force=True)
    np.testing.assert_array_equal(decoded(tmp_path / name), read)


@pytest.mark.parametrize("name", ["out.opus", "out.ogg"])
@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000])
def test_ogg_opus_is_as_long_and_aligned(tmp_path, name, rate):
    samples = np.stack([tone(rate, 1.03), tone(rate, 1.03, 800)])
    write_audio(tmp_path / name, in_blocks(samples), rate, 2)
    info = soundfile.info(tmp_path / name)
    assert (info.samplerate, info.channels, info.subtype) == (rate, 2, "OPUS")
    assert info.frames == samples.shape[1]
    inner = slice(rate // 10, -rate // 10)
    assert np.corrcoef(decoded(tmp_path / name)[0][inner], samples[0][inner])[0, 1] > 0.99


@pytest.mark.parametrize(("name", "subtype"), [("out.wav", "PCM_16"), ("out.wav", "PCM_24"), ("out.flac", "PCM_24")])
def test_loud_samples_saturate(tmp_path, name, subtype):
    write_audio(tmp_path / name, [np.array([[0.5, 7, -7, 1]], np.float32)], 48_000, 1, subtype=subtype)
    np.testing.assert_allclose(decoded(tmp_path / name), [[0.5, 1, -1, 1]], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "channels", "rate", "says"),
    [
        pytest.param("out.mp3", 1, 48_000, "must end in .wav", id="a suffix that is not written"),
        pytest.param("out", 1, 48_000, "must end in .wav", id="no suffix"),
        pytest.param("out.flac", 12, 48_000, "FLAC does not hold 12 channels", id="too many channels"),
        pytest.param("out.opus", 1, 44_100, "Opus does not hold 1 channels at 44100 Hz", id="a rate Opus lacks"),
        pytest.param("none/out.wav", 1, 48_000, "does not exist", id="no folder"),
    ],
)
def test_what_a_format_does_not_hold_is_one_clear_error(tmp_path, name, channels, rate, says):
    with pytest.raises((AudioFileError, ValueError), match=says):
        write_audio(tmp_path / name, [noise(channels, 100)], rate, channels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.wav", "out.flac", "out.opus"])
def test_blocks_that_break_off_leave_nothing(tmp_path, name):
    def blocks():
        yield noise(1, 100_000)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_audio(tmp_path / name, blocks(), 48_000, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("name", ["out.wav", "out.flac", "out.opus"])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, name):
    program = """
import resource, sys
import numpy as np
from vivavoce.audio import write_audio
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).uniform(-1, 1, (1, 100_000)).astype(np.float32)
try:
    write_audio(sys.argv[1], [noise] * 50, 48_000, 1)
except OSError as error:
    print(error.filename, error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / name], capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / name} File too large\n"
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_device_gets_a_whole_wav():
    with pytest.raises(OSError, match="No space left"):
        write_audio("/dev/full", [noise(1, 1000)], 48_000, 1, force=True)


def test_pipes_of_any_length_and_format():
    program = """
from vivavoce.audio import write_audio
from vivavoce.audio_reader import open_audio
with open_audio("-") as reader:
    write_audio("-", reader.blocks(), reader.sample_rate, reader.channels, subtype=reader.subtype)
"""
    sent = io.BytesIO()
    soundfile.write(sent, noise(2, 100_001).T, 44_100, subtype="PCM_24", format="WAV")
    endless = bytearray(sent.getvalue())
    for at in (4, endless.index(b"data") + 4):  # as a program writes it into a pipe, where it cannot go back
        endless[at : at + 4] = b"\xff" * 4
    done = subprocess.run([sys.executable, "-c", program], input=bytes(endless), capture_output=True, check=True)
    before, _ = soundfile.read(io.BytesIO(sent.getvalue()))
    after, rate = soundfile.read(io.BytesIO(done.stdout))
    assert rate == 44_100
    np.testing.assert_array_equal(before, after)
