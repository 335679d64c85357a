"""What the tests of several folders share: peers that no one here wrote, the command itself, and free ports."""

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
import soundfile
from hypothesis import HealthCheck, settings

from checkpoints import METADATA, random_checkpoint
from vivavoce.enhancement.image import model_image

# a busy machine makes an example slow, not wrong; what must be fast is measured in CPU time (parser_limits.py)
settings.register_profile("vivavoce", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vivavoce")

SPEECH = Path(__file__).parent / "data" / "speech-16k.flac"
PEER_S = 30  # a peer that runs longer is stuck


class Peers:
    """Finds programs and libraries of others; where one is missing the test is skipped by name, and fails in CI."""

    def program(self, name, package):
        """The path of a program of a Debian package."""
        path = shutil.which(name)
        return path if path is not None else self.missing(f"the Debian package {package} ({name})")

    def library(self, name, package):
        """The file name of a shared library of a Debian package, known to load."""
        try:
            ctypes.CDLL(name)
        except OSError:
            self.missing(f"the Debian package {package} ({name})")
        return name

    def gstreamer(self, *elements):
        """The path of gst-launch-1.0, known to have these elements."""
        launch = self.program("gst-launch-1.0", "gstreamer1.0-tools")
        inspect = self.program("gst-inspect-1.0", "gstreamer1.0-tools")
        for element in elements:
            if subprocess.run([inspect, "--exists", element], timeout=PEER_S, check=False).returncode:
                self.missing(f"GStreamer's element {element} (Debian: gstreamer1.0-plugins-base, -good, -bad)")
        return launch

    def module(self, name):
        """A Python package that only the tests need."""
        try:
            return import_module(name)
        except ImportError:
            return self.missing(f"the Python package {name}")

    @staticmethod
    def missing(what):
        message = f"{what} is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="session")
def peer():
    """Programs and libraries that no one here wrote: peer.program(name, package) and so on."""
    return Peers()


@pytest.fixture(scope="session")
def speech_16k():
    """Six seconds of one reader, shape (96000,), float32, 16 kHz."""
    return soundfile.read(SPEECH, dtype="float32")[0]


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    """The file of a small PercepNet that has learnt nothing, named percepnet-test-v1, with 20 ms of look-ahead."""
    path = tmp_path_factory.mktemp("model") / "random.vvm"
    path.write_bytes(model_image(random_checkpoint(), METADATA))
    return path


class Command:
    """Starts programs and sees to it that none outlives its test."""

    def __init__(self):
        self._started = []

    def vivavoce(self, *arguments, **options):
        """Start `vivavoce` as a process of its own."""
        return self.start(sys.executable, "-c", "from vivavoce.cli import main; main()", *arguments, **options)

    def start(self, *arguments, **options):
        process = subprocess.Popen(
            [str(argument) for argument in arguments],
            **{
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "stdin": subprocess.DEVNULL,
                "text": True,
                **options,
            },
        )
        self._started.append(process)
        return process

    def stop(self):
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def command():
    """Starter of processes, which end with the test at the latest."""
    commands = Command()
    yield commands
    commands.stop()


@pytest.fixture(scope="module")
def module_command():
    """The same, until the end of the module."""
    commands = Command()
    yield commands
    commands.stop()


class Ports:
    """UDP ports of this machine."""

    def __init__(self):
        self._given = set()

    def free(self):
        """A port that is free together with the next one; no two calls give the same."""
        while True:
            with socket.socket(type=socket.SOCK_DGRAM) as rtp, socket.socket(type=socket.SOCK_DGRAM) as rtcp:
                rtp.bind(("127.0.0.1", 0))
                port = rtp.getsockname()[1] & ~1
                try:
                    rtcp.bind(("127.0.0.1", port + 1))
                except OSError:
                    continue
                if port not in self._given:
                    self._given.add(port)
                    return port

    @staticmethod
    def wait_until_taken(port, timeout_s=10.0):
        """Return when somebody listens on the port; where the kernel does not tell, after a while."""
        tables = [Path("/proc/net/udp"), Path("/proc/net/udp6")]
        if not tables[0].exists():
            time.sleep(2)
            return
        deadline = time.monotonic() + timeout_s
        while not any(f":{port:04X} " in table.read_text() for table in tables if table.exists()):
            assert time.monotonic() < deadline, f"nobody listens on port {port}"
            time.sleep(0.02)


@pytest.fixture(scope="session")
def ports():
    return Ports()
