"""The LADSPA plugin: what `Reblocked(Denoiser())` gives, whatever a host does; and hosts that no one here wrote."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from checkpoints import METADATA, random_checkpoint
from ladspa_host import AUDIO, CONTROL, INPUT, OUTPUT, PLUGIN, Plugin, descriptors
from vivavoce.enhancement.denoiser import DEFAULT_MODEL, Denoiser
from vivavoce.enhancement.image import model_image
from vivavoce.streaming import Reblocked

pytestmark = pytest.mark.skipif(
    not PLUGIN.exists() and not (os.environ.get("CI") and sys.platform == "linux"),
    reason=f"{PLUGIN.name} is not built here",
)

NO_LIMIT, DRY = 100.0, 0.0
LABELS = ("vivavoce_mono", "vivavoce_stereo")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "random.vvm"
    path.write_bytes(model_image(random_checkpoint(), METADATA))
    return path


@pytest.fixture(autouse=True)
def model(image, monkeypatch):
    monkeypatch.setenv("VIVAVOCE_MODEL", str(image))
    return image


def noise(seconds, sample_rate=48_000, channels=1, seed=0):
    """Noise that swells and fades, so that the probability of voice moves."""
    count = round(seconds * sample_rate)
    swell = 0.1 + 0.1 * np.sin(2 * np.pi * 1.5 * np.arange(count) / sample_rate)
    return (np.random.default_rng(seed).standard_normal((channels, count)) * swell).astype(np.float32)


def late(samples, delay):
    return np.pad(samples, ((0, 0), (delay, 0)))[:, : samples.shape[1]]


def ports(descriptor):
    return [
        (descriptor.port_names[i].decode(), descriptor.ports[i], descriptor.port_range_hints[i])
        for i in range(descriptor.port_count)
    ]


def test_it_describes_itself():
    found = descriptors()
    assert tuple(found) == LABELS
    assert len({each.unique_id for each in found.values()}) == 2
    for each in found.values():
        assert 1000 < each.unique_id < 0x1000000
        assert each.properties == 4  # hard real-time, and in-place is fine
        assert not each.run_adding
        assert not each.set_run_adding_gain
        assert [name for name, _, _ in ports(each)[-3:]] == ["Attenuation Limit (dB)", "VAD Threshold (%)", "latency"]
        audio = [bits for _, bits, _ in ports(each)[:-3]]
        channels = len(audio) // 2
        assert audio == [AUDIO | INPUT] * channels + [AUDIO | OUTPUT] * channels
        assert [bits for _, bits, _ in ports(each)[-3:]] == [CONTROL | INPUT, CONTROL | INPUT, CONTROL | OUTPUT]
        limit, threshold, _ = (hint for _, _, hint in ports(each)[-3:])
        assert (limit.bits, limit.lower, limit.upper) == (0x283, 0, 100)  # bounded, 100 by default
        assert (threshold.bits, threshold.lower, threshold.upper) == (0x203, 0, 99)  # bounded, 0 by default


def test_nothing_else_is_exported():
    with pytest.raises(AttributeError):
        _ = ctypes.CDLL(str(PLUGIN)).vv_version


@pytest.mark.parametrize("blocks", [(32,), (1,), (1024,), (4801,), (1, 479, 33, 2000, 256, 257)], ids=str)
@pytest.mark.parametrize("sample_rate", [8000, 16_000, 44_100, 48_000, 96_000])
def test_it_is_the_reblocked_denoiser(model, sample_rate, blocks):
    samples = noise(0.5, sample_rate)
    reference = Reblocked(Denoiser(model), sample_rate=sample_rate)
    with Plugin("vivavoce_mono", sample_rate=sample_rate) as plugin:
        output = plugin.process(samples, blocks)
        later = plugin.latency - reference.delay_samples
        assert 0 <= later <= sample_rate // 100
    np.testing.assert_array_equal(output[0], late(reference.process(samples[0])[None], later)[0])


@pytest.mark.parametrize("label", LABELS)
def test_the_latency_is_the_measured_one(label):
    milliseconds = 40 if label == "vivavoce_mono" else 41
    with Plugin(label, (DRY, 0.0)) as plugin:
        assert plugin.latency == 48 * milliseconds  # told before the first run()
        samples = noise(0.5, channels=plugin.channels)
        output = plugin.process(samples, (32, 7, 1, 5000, 32))  # a stall among them
        assert plugin.latency == 48 * milliseconds
    np.testing.assert_array_equal(output, late(samples, 48 * milliseconds))


@pytest.mark.parametrize("sample_rate", [8000, 11_025, 16_000, 22_050, 44_100, 96_000, 192_000])
@pytest.mark.parametrize("label", LABELS)
def test_the_latency_is_a_whole_number_of_samples_at_every_rate(label, sample_rate):
    with Plugin(label, (DRY, 0.0), sample_rate) as plugin:
        impulse = np.zeros((plugin.channels, sample_rate // 5), np.float32)
        impulse[:, 100] = 1
        output = plugin.process(impulse, (64,))
        for channel in output:
            peak = 100 + plugin.latency
            assert np.argmax(np.abs(channel)) == peak
            around = channel[peak - 20 : peak + 21]
            np.testing.assert_allclose(around, around[::-1], atol=1e-5)  # linear phase: no fraction of a sample
    assert plugin.latency / sample_rate < 0.05


def test_channels_are_independent_streams():
    samples = noise(0.4, channels=2)
    with Plugin("vivavoce_stereo") as stereo, Plugin("vivavoce_mono") as left, Plugin("vivavoce_mono") as right:
        output = stereo.process(samples, (100,))
        apart = np.concatenate([left.process(samples[:1]), right.process(samples[1:])])
        np.testing.assert_array_equal(output, late(apart, stereo.latency - left.latency))


@pytest.mark.parametrize("label", LABELS)
def test_it_works_in_place(label):
    with Plugin(label) as plugin, Plugin(label) as other:
        samples = noise(0.3, channels=plugin.channels)
        np.testing.assert_array_equal(plugin.process(samples, (999,), in_place=True), other.process(samples))


def test_an_output_may_lie_over_the_other_input():
    samples = noise(0.3, channels=2)
    crossed = samples.copy()
    with Plugin("vivavoce_stereo") as plugin, Plugin("vivavoce_stereo") as other:
        for port, row in enumerate((0, 1, 1, 0)):
            plugin.connect(port, crossed[row])
        plugin.run(samples.shape[1])
        np.testing.assert_array_equal(crossed[::-1], other.process(samples))


@pytest.mark.parametrize("label", LABELS)
def test_activate_begins_anew(label):
    with Plugin(label, (NO_LIMIT, 40.0)) as plugin:
        samples = noise(0.3, channels=plugin.channels)
        first = plugin.process(samples, (77,))
        plugin.activate()
        np.testing.assert_array_equal(plugin.process(samples), first)


@pytest.mark.parametrize("label", LABELS)
def test_unconnected_ports_do_no_harm(label):
    with Plugin(label) as plugin, Plugin(label) as other:
        for port in range(2 * plugin.channels + 3):
            plugin.connect(port, None)
        plugin.run(3000)
        plugin.activate()
        plugin.connect(99, None)
        samples = noise(0.3, channels=plugin.channels)
        # without controls it does what their defaults say
        np.testing.assert_array_equal(plugin.process(samples), other.process(samples))
        plugin.run(0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -50.0], ids=str)
def test_it_recovers_from_any_input_and_any_control(value):
    samples = noise(1.0)
    hostile = samples.copy()
    hostile[0, 5000:6000:7] = value
    with Plugin("vivavoce_mono", (value, value)) as plugin:
        output = plugin.process(hostile, (32,))
        assert np.isfinite(output).all()
        assert np.abs(output).max() < 50
        plugin.controls[:2] = DRY, 0
        plugin.process(samples)
        np.testing.assert_array_equal(plugin.process(samples)[:, 4800:], late(samples, plugin.latency)[:, 4800:])


@pytest.mark.parametrize("limit_db", [0.0, 12.0, 99.0])
def test_the_limit_is_that_of_the_denoiser(model, limit_db):
    samples = noise(0.4)
    reference = Reblocked(Denoiser(model, attenuation_limit_db=limit_db)).process(samples[0])
    with Plugin("vivavoce_mono", (limit_db, 0.0)) as plugin:
        np.testing.assert_array_equal(plugin.process(samples)[0, 1:], reference[:-1])


def gated(model, samples, threshold):
    """Whole frames of a denoiser, each faded by the gate as its description has it."""
    denoiser = Denoiser(model)
    frames, gain, opened_at = [], 1.0, -100
    for number, frame in enumerate(samples.reshape(-1, 480)):
        cleaned = denoiser.process(frame)
        if denoiser.voice_probability >= threshold:
            opened_at = number
        target = 1.0 if number - opened_at <= 20 else 0.0  # 200 ms
        frames.append(cleaned * np.linspace(gain, target, 481)[1:])
        gain = target
    return np.concatenate(frames)


def test_the_gate_opens_and_closes_with_the_voice(model):
    samples = noise(4.0)[0]
    samples[60_000:120_000] *= 1e-3
    denoiser = Denoiser(model)
    probabilities = []
    for frame in samples.reshape(-1, 480):
        denoiser.process(frame)
        probabilities.append(denoiser.voice_probability)
    threshold_pct = 100 * float(np.quantile(probabilities, 0.98))
    want = gated(model, samples, threshold_pct / 100)
    with Plugin("vivavoce_mono", (NO_LIMIT, threshold_pct)) as plugin:
        output = plugin.process(samples[None], (32,))[0]
    np.testing.assert_allclose(output[480:], want[:-480], atol=1e-6)
    silent = (want.reshape(-1, 480) == 0).all(axis=1)
    assert 0.1 < silent[4:].mean() < 0.9  # there is something to see


@pytest.mark.parametrize("sample_rate", [0, 1, 44_101, 2**31, 2**40])
@pytest.mark.parametrize("label", LABELS)
def test_other_rates_are_refused(label, sample_rate):
    with pytest.raises(RuntimeError):
        Plugin(label, sample_rate=sample_rate)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "cannot be read"), (b"no model", "is no model image of this version, or damaged")]
)
def test_without_a_model_one_line_says_so(monkeypatch, tmp_path, capfd, content, reason):
    path = tmp_path / "mine.vvm"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("VIVAVOCE_MODEL", str(path))
    with pytest.raises(RuntimeError):
        Plugin("vivavoce_mono")
    assert capfd.readouterr().err == f"vivavoce LADSPA plugin: the model {path} {reason}\n"


@pytest.mark.parametrize("folder", ["models", "."])
def test_a_model_is_found_beside_the_plugin(monkeypatch, tmp_path, capfd, image, folder):
    monkeypatch.delenv("VIVAVOCE_MODEL")
    plugin = shutil.copy(PLUGIN, tmp_path / f"{folder}.so")
    with pytest.raises(RuntimeError):
        Plugin("vivavoce_mono", path=plugin)
    complaint = capfd.readouterr().err
    assert complaint.count("\n") == 1
    assert f"no model at {tmp_path}/" in complaint
    (tmp_path / folder).mkdir(exist_ok=True)
    shutil.copy(image, tmp_path / folder / f"{DEFAULT_MODEL}.vvm")
    with Plugin("vivavoce_mono", path=plugin) as instance:
        assert instance.latency == 1920


def test_threads_may_run_instances_side_by_side():
    """As hosts do with a mono plugin for each channel."""

    def work(seed):
        with Plugin("vivavoce_mono") as plugin:
            return plugin.process(noise(0.5, seed=seed), (64,)).tobytes()

    alone = [work(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == alone


@pytest.mark.peer
def test_debian_s_host_lists_it(peer):
    program = peer.program("analyseplugin", "ladspa-sdk")
    listing = subprocess.run([program, PLUGIN], capture_output=True, text=True, check=True, timeout=30).stdout
    assert re.findall(r'Label: "(.*)"', listing) == list(LABELS)
    assert '"Attenuation Limit (dB)" input, control, 0 to 100, default 100' in listing
    assert '"VAD Threshold (%)" input, control, 0 to 99, default 0' in listing
    assert '"latency" output, control, integer' in listing
    assert "Environment: Normal or Hard Real-Time" in listing


@pytest.mark.peer
@pytest.mark.parametrize(("label", "sample_rate"), [("vivavoce_mono", 44_100), ("vivavoce_stereo", 48_000)])
def test_debian_s_host_runs_it(peer, tmp_path, label, sample_rate):
    channels = 1 if label == "vivavoce_mono" else 2
    integers = np.rint(noise(1.0, sample_rate, channels) * 32767).astype(np.int16)
    soundfile.write(tmp_path / "in.wav", integers.T, sample_rate)
    program = peer.program("applyplugin", "ladspa-sdk")
    files = [tmp_path / "in.wav", tmp_path / "out.wav"]
    subprocess.run([program, *files, PLUGIN, label, "100", "0"], capture_output=True, check=True, timeout=30)
    heard = soundfile.read(files[1], dtype="float32", always_2d=True)[0].T
    with Plugin(label, sample_rate=sample_rate) as plugin:
        want = plugin.process(integers.astype(np.float32) / 32768)
    np.testing.assert_allclose(heard, want, atol=2e-4)  # 16 bits


@pytest.mark.peer
def test_ffmpeg_runs_it_and_takes_its_latency_out(peer, tmp_path):
    program = peer.program("ffmpeg", "ffmpeg")
    samples = noise(1.0, channels=2)
    soundfile.write(tmp_path / "in.wav", samples.T, 48_000, subtype="FLOAT")
    graph = f"ladspa=file={PLUGIN}:plugin=vivavoce_stereo:controls=c0={DRY}|c1=0:latency=1"
    arguments = ["-v", "error", "-i", tmp_path / "in.wav", "-af", graph, "-c:a", "pcm_f32le", tmp_path / "out.wav"]
    subprocess.run([program, *arguments], check=True, timeout=30)
    heard = soundfile.read(tmp_path / "out.wav", dtype="float32")[0].T
    np.testing.assert_array_equal(heard, samples)
