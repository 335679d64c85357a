import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from checkpoints import METADATA, random_checkpoint
from ladspa_host import PLUGIN
from vivavoce.cli.pipewire import app
from vivavoce.enhancement.image import model_image
from vivavoce.errors import ModelError

FILE = "pipewire/pipewire.conf.d/50-vivavoce.conf"

needs_plugin = pytest.mark.skipif(
    not PLUGIN.exists() and not (os.environ.get("CI") and sys.platform == "linux"),
    reason=f"{PLUGIN.name} is not built here",
)


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def plugin(tmp_path):
    """A plugin elsewhere, at a path that has to be quoted."""
    folder = tmp_path / 'Müller "x"'
    folder.mkdir()
    (folder / "plugin.so").symlink_to(PLUGIN)
    return folder / "plugin.so"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@needs_plugin
def test_install_show_and_uninstall(home, plugin):
    shown = run("show", "--plugin", plugin)
    installed = run("install", "--plugin", plugin)
    path = home / FILE
    assert installed.exit_code == 0
    assert path.read_text() == shown.stdout
    assert str(path) in installed.stdout
    assert "systemctl --user restart pipewire" in installed.stdout
    removed = run("uninstall")
    assert removed.exit_code == 0
    assert str(path) in removed.stdout
    assert not path.exists()
    assert "nothing is installed" in str(run("uninstall").exception)


@needs_plugin
def test_the_configuration_says_what_was_asked_for(home, plugin):
    text = run("show", "--plugin", plugin, "--attenuation-limit", 24, "--vad-threshold", 12.5, "--stereo").stdout
    assert '"Attenuation Limit (dB)" = 24.0' in text
    assert '"VAD Threshold (%)" = 12.5' in text
    assert "label = vivavoce_stereo" in text
    assert "audio.channels = 2" in text
    assert "audio.position = [ FL FR ]" in text
    assert 'Müller \\"x\\"/plugin.so"' in text
    mono = run("show", "--plugin", plugin).stdout
    assert '"Attenuation Limit (dB)" = 100.0' in mono
    assert '"VAD Threshold (%)" = 0.0' in mono
    assert "label = vivavoce_mono" in mono
    assert "audio.channels = 1" in mono


@needs_plugin
def test_what_is_there_needs_force(home, plugin):
    assert run("install", "--plugin", plugin).exit_code == 0
    again = run("install", "--plugin", plugin, "--stereo")
    assert "--force replaces it" in str(again.exception)
    assert "vivavoce_mono" in (home / FILE).read_text()
    assert run("install", "--plugin", plugin, "--stereo", "--force").exit_code == 0
    assert "vivavoce_stereo" in (home / FILE).read_text()


@needs_plugin
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--attenuation-limit", -1, "--attenuation-limit must be from 0 to 100, got -1"),
        ("--attenuation-limit", "nan", "--attenuation-limit must be from 0 to 100, got nan"),
        ("--vad-threshold", 99.5, "--vad-threshold must be from 0 to 99, got 99.5"),
    ],
)
def test_numbers_out_of_range_are_refused(home, plugin, option, value, message):
    result = run("install", "--plugin", plugin, option, value)
    assert isinstance(result.exception, ValueError)
    assert str(result.exception) == message
    assert not (home / FILE).exists()


@pytest.mark.parametrize(
    ("content", "message"), [(None, "there is no such plugin"), (b"text", "is no LADSPA plugin: ")], ids=str
)
def test_something_else_is_no_plugin(home, tmp_path, content, message):
    path = tmp_path / "other.so"
    if content is not None:
        path.write_bytes(content)
    result = run("install", "--plugin", path)
    assert f"{path}: {message}" in str(result.exception)
    assert not (home / FILE).exists()


@needs_plugin
def test_the_package_s_plugin_needs_a_model(home, monkeypatch):
    monkeypatch.setattr("vivavoce.models.MODELS", home)
    result = run("install")
    assert isinstance(result.exception, ModelError)
    assert not (home / FILE).exists()


def test_the_home_folder_serves_where_xdg_says_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(tmp_path / ".config" / FILE) in str(run("uninstall").exception)


# A microphone without hardware. It has no clock of its own but runs by that of PipeWire.
TEST_MICROPHONE = """
context.objects = [
    { factory = adapter
      args = {
          factory.name = support.null-audio-sink
          node.name = test-microphone
          media.class = Audio/Source/Virtual
          audio.position = MONO
      }
    }
]
"""
PATIENCE_S = 15
RECORD = ("pw-cat", "--record", "--target", "vivavoce.microphone", "--channels", 1, "--format", "f32")
PLAY = ("pw-cat", "--playback", "--target", 0, "--properties", "{ node.name = test-player }")


class PipeWire:
    """A PipeWire with its session manager, apart from any other on this machine."""

    def __init__(self, command, folder):
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        names = {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder, "XDG_RUNTIME_DIR": runtime}
        self._environment = os.environ | {name: str(path) for name, path in names.items()}
        self._command = command
        # both end with the shell, and that with its standard input
        script = (
            "pipewire & pid=$!; until test -S $XDG_RUNTIME_DIR/pipewire-0; do sleep 0.1; done; wireplumber & read _; "
        )
        script += "kill $! $pid; wait"
        self._session = self.start("dbus-run-session", "--", "sh", "-c", script, stdin=subprocess.PIPE)

    def start(self, *arguments, **options):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return self._command.start(*arguments, env=self._environment, **(quiet | options))

    def stop(self):
        self._session.communicate("\n", timeout=PATIENCE_S)

    def link(self, output, into):
        """Link two ports as soon as they are there."""
        _wait_until(lambda: self._pw_link(output, into).returncode == 0)

    def wait_for_link(self, output, into):
        """Wait for the session manager to link ports of two nodes."""
        pattern = re.compile(rf"^{output}\S*\n(  \|-> .*\n)*  \|-> {into}", re.MULTILINE)
        _wait_until(lambda: pattern.search(self._pw_link("--links").stdout))

    def _pw_link(self, *arguments):
        options = {"env": self._environment, "capture_output": True, "text": True, "timeout": PATIENCE_S}
        return subprocess.run(["pw-link", *arguments], **options, check=False)


def _wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def pipewire(peer, command, home, plugin, monkeypatch):
    """PipeWire with the microphone and our filter chain, which takes nothing away."""
    for program, package in (
        *(("pipewire", "pipewire-bin"), ("pw-cat", "pipewire-bin"), ("pw-link", "pipewire-bin")),
        *(("wireplumber", "wireplumber"), ("dbus-run-session", "dbus-daemon")),
    ):
        peer.program(program, package)
    model = home / "random.vvm"
    model.write_bytes(model_image(random_checkpoint(), METADATA))
    monkeypatch.setenv("VIVAVOCE_MODEL", str(model))
    assert run("install", "--attenuation-limit", 0, "--plugin", plugin).exit_code == 0
    (home / FILE).with_name("10-test.conf").write_text(TEST_MICROPHONE)
    server = PipeWire(command, home)
    yield server
    server.stop()


def found_in(samples, excerpt):
    """The best normalised correlation of an excerpt with any part of the samples as long."""
    size = 1 << (len(samples) + len(excerpt)).bit_length()
    products = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(excerpt, size)), size)
    energies = np.cumsum(np.concatenate([[0], samples.astype(np.float64) ** 2]))
    starts = np.arange(len(samples) - len(excerpt) + 1)
    norms = np.sqrt((energies[starts + len(excerpt)] - energies[starts]) * np.sum(excerpt**2)) + 1e-9
    return float(np.max(products[starts] / norms))


@needs_plugin
@pytest.mark.peer
def test_pipewire_shows_the_microphone_and_sound_passes(pipewire, home):
    """A busy machine may lose some of it, but most arrives as it was."""
    noise = (0.1 * np.random.default_rng(0).standard_normal(96_000)).astype(np.float32)
    soundfile.write(home / "in.wav", noise, 48_000, subtype="FLOAT")
    pipewire.wait_for_link("test-microphone", "vivavoce.input")  # the session manager did that
    recorder = pipewire.start(*RECORD, home / "out.wav")
    pipewire.wait_for_link("vivavoce.microphone", "pw-cat")
    player = pipewire.start(*PLAY, home / "in.wav")
    pipewire.link("test-player:output_MONO", "test-microphone:input_MONO")
    time.sleep(1.5)
    player.terminate()
    recorder.terminate()
    recorder.wait(PATIENCE_S)
    heard = soundfile.read(home / "out.wav", dtype="float32")[0]
    excerpts = heard[: len(heard) // 4800 * 4800].reshape(-1, 4800)
    loud = [excerpt for excerpt in excerpts if np.sqrt(np.mean(excerpt**2)) > 0.05]
    assert loud
    assert max(found_in(noise, excerpt) for excerpt in loud) > 0.99
