import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from vivavoce.cli.app import app
from vivavoce.errors import MissingExtraError

SPEECH = Path(__file__).parents[1] / "data" / "speech-16k.flac"


@pytest.fixture
def run(tmp_path, random_model):
    """`vivavoce denoise` in an empty folder, with a model of random weights."""

    def started(*arguments, stdin=b"", model=random_model):
        command = [sys.executable, "-m", "vivavoce", "denoise", *map(str, arguments)]
        if model is not None:
            command += ["--model", str(model)]
        return subprocess.run(command, input=stdin, capture_output=True, cwd=tmp_path, timeout=120)

    return started


@pytest.fixture(scope="module")
def stereo(speech_16k):
    """Two channels of one second at 44.1 kHz."""
    random = np.random.default_rng(0)
    return np.stack([np.resize(speech_16k, 44_100), random.normal(0, 0.1, 44_100)], axis=1).astype(np.float32)


def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "form", "subtype"),
    [("out.wav", "WAV", "PCM_24"), ("out.flac", "FLAC", "PCM_24"), ("out.opus", "OGG", "OPUS")],
)
def test_the_suffix_is_the_format(tmp_path, run, stereo, name, form, subtype):
    soundfile.write(tmp_path / "in.aiff", stereo, 48_000, subtype="PCM_24")
    done = run("in.aiff", name)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert f"in.aiff -> {name}: 0.92 s".encode() in done.stdout
    info = soundfile.info(tmp_path / name)
    assert (info.format, info.subtype, info.samplerate, info.channels) == (form, subtype, 48_000, 2)
    assert info.frames == 44_100


def test_json_is_one_line_a_file(tmp_path, run, stereo):
    soundfile.write(tmp_path / "in.wav", stereo, 44_100)
    done = run("in.wav", "out.wav", "--json", "--attenuation-limit", "6")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.decode().splitlines()
    result = json.loads(line)
    assert list(result) == [
        *("input", "output", "duration_s", "sample_rate", "channels", "model"),
        *("attenuation_db", "voice_share", "cpu_seconds_per_second"),
    ]
    assert (result["input"], result["output"]) == ("in.wav", "out.wav")
    assert (result["duration_s"], result["sample_rate"], result["channels"]) == (1.0, 44_100, 2)
    assert result["model"] == "percepnet-test-v1"
    assert 0.5 < result["attenuation_db"] < 6.1
    assert 0 <= result["voice_share"] <= 1
    assert 0 < result["cpu_seconds_per_second"] < 1


def test_a_rate_that_opus_lacks_is_said(tmp_path, run, stereo):
    soundfile.write(tmp_path / "in.wav", stereo, 44_100)
    done = run("in.wav", "out.ogg", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == b"vivavoce: warning: out.ogg: Opus does not have 44100 Hz, so it has 48000 Hz\n"
    assert json.loads(done.stdout)["sample_rate"] == 48_000
    assert soundfile.info(tmp_path / "out.ogg").frames == 48_000


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
def test_pipes(tmp_path, run, stereo, form):
    sent = io.BytesIO()
    soundfile.write(sent, stereo, 44_100, format=form)
    done = run("-", "-", stdin=sent.getvalue())
    assert done.returncode == 0, done.stderr
    info = soundfile.info(io.BytesIO(done.stdout))
    assert (info.format, info.samplerate, info.channels, info.frames) == ("WAV", 44_100, 2, 44_100)
    assert done.stderr.startswith(b"- -> -: 1.00 s")
    assert not files_of(tmp_path)


def test_a_folder_goes_into_a_folder(tmp_path, run, stereo):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    soundfile.write(tmp_path / "in" / "a.flac", stereo, 16_000)
    soundfile.write(tmp_path / "in" / "sub" / "b.mp3", stereo, 48_000)
    (tmp_path / "in" / "notes.txt").write_text("no sound")
    (tmp_path / "in" / "broken.wav").write_bytes(b"no sound")
    (tmp_path / "in" / "empty.wav").write_bytes(b"")
    done = run("in", "out", "--json", "--jobs", 2)
    assert done.returncode == 1
    assert files_of(tmp_path / "out") == ["a.flac", "sub/b.wav"]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(result["output"] for result in results) == ["out/a.flac", "out/sub/b.wav"]
    *failures, last = sorted(done.stderr.decode().splitlines(), key=lambda line: "files failed" in line)
    assert last == "vivavoce: 2 of 4 files failed"
    assert sorted(failures)[1] == "vivavoce: in/empty.wav: the file is empty"
    assert sorted(failures)[0].startswith("vivavoce: in/broken.wav: no sound file")


def test_a_folder_within_itself_is_not_read_again(tmp_path, run, stereo):
    soundfile.write(tmp_path / "a.wav", stereo, 48_000)
    for _ in range(2):
        done = run(".", "out", "--force")
        assert done.returncode == 0, done.stderr
        assert files_of(tmp_path) == ["a.wav", "out/a.wav"]


def test_a_list_of_files_and_an_existing_folder(tmp_path, run, stereo):
    for name in ("a.wav", "b.ogg"):
        soundfile.write(tmp_path / name, stereo, 48_000)
    done = run("a.wav", "b.ogg", "out")
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "out") == ["a.wav", "b.ogg"]
    done = run("a.wav", "out")
    assert done.returncode == 1
    assert done.stderr.startswith(b"vivavoce: out/a.wav: exists already; --force replaces it\n")


def test_a_file_may_be_replaced_by_itself(tmp_path, run, stereo):
    soundfile.write(tmp_path / "a.wav", stereo, 48_000)
    before = (tmp_path / "a.wav").read_bytes()
    done = run("a.wav", "a.wav", "--force")
    assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "a.wav").frames == 44_100
    assert (tmp_path / "a.wav").read_bytes() != before


def test_a_report_for_each_file_of_a_folder(tmp_path, random_model, stereo, monkeypatch):
    """In this process: the metrics take long to import."""

    def missing(trace, done):
        raise MissingExtraError("evaluate", "speechmos")

    monkeypatch.setattr("vivavoce.evaluation.denoise_report.quality", missing)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    soundfile.write(tmp_path / "in" / "sub" / "a.wav", stereo, 44_100)
    arguments = ["denoise", "in", "out", "--model", random_model, "--report", "report", "--json"]
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["report"] == "report/sub/a/index.html"
    assert done.stderr.startswith("vivavoce: warning: the report has no scores: speechmos is not installed")
    assert len(files_of(tmp_path / "report" / "sub" / "a")) == 8
    assert "percepnet-test-v1" in (tmp_path / "report" / "sub" / "a" / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        pytest.param(["{speech}"], 2, "both needed", id="no output"),
        pytest.param(["{speech}", "out.mp3"], 2, "must end in .wav, .flac, .opus, .ogg", id="a format not written"),
        pytest.param(["{speech}", "out"], 2, "must end in", id="no suffix"),
        pytest.param(["{speech}", "out.wav", "--attenuation-limit=-3"], 2, "--attenuation-limit", id="negative limit"),
        pytest.param(["{speech}", "out.wav", "--jobs", "0"], 2, "--jobs", id="no jobs"),
        pytest.param(["{speech}", "-", "--json"], 2, "stdout", id="two results on one stream"),
        pytest.param(["{speech}", "{speech}", "-"], 2, "folder", id="several into a pipe"),
        pytest.param(["{speech}", "{speech}", "text.wav"], 2, "folder", id="several into a file"),
        pytest.param(["-", "{speech}", "out"], 2, "alone", id="a pipe among files"),
        pytest.param(["{speech}", "{speech}", "out"], 1, "would both become out", id="two for one output"),
        pytest.param(["none.wav", "out.wav"], 1, "none.wav: No such file", id="no such input"),
        pytest.param(["text.wav", "out.wav"], 1, "text.wav: no sound file", id="input is text"),
        pytest.param(["{speech}", "text.wav"], 1, "--force", id="output exists"),
        pytest.param(["{speech}", "nowhere/out.wav"], 1, "nowhere", id="no such folder"),
        pytest.param(["{speech}", "/dev/full", "--force"], 1, "No space left", id="disk full"),
        pytest.param(["-", "out.wav"], 1, "empty", id="empty pipe"),
        pytest.param(["{speech}", "out.wav", "--report", "."], 1, "--force", id="report into a full folder"),
        pytest.param(["{speech}", "out.wav", "--low-delay"], 2, "looks ahead", id="a model that is not low-delay"),
    ],
)
def test_what_goes_wrong_is_one_line_and_leaves_nothing(tmp_path, run, arguments, status, says):
    (tmp_path / "text.wav").write_text("hello\n")
    done = run(*(argument.format(speech=SPEECH) for argument in arguments))
    assert done.returncode == status, done.stderr
    assert done.stdout == b""
    assert done.stderr.startswith(b"vivavoce: ")
    assert done.stderr.count(b"\n") == 1
    assert says in done.stderr.decode()
    assert files_of(tmp_path) == ["text.wav"]


@pytest.mark.parametrize(("model", "says"), [("none.vvm", "none.vvm"), ("nobody-v1", "no model of this name")])
def test_a_missing_model_is_one_line(tmp_path, run, model, says):
    done = run(SPEECH, "out.wav", model=model)
    assert done.returncode == 1
    assert says in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert not files_of(tmp_path)


@pytest.mark.parametrize("count", [1, 3], ids=["one file", "threads"])
def test_an_interruption_is_one_line_and_leaves_nothing(tmp_path, command, random_model, speech_16k, count):
    """SIGINT as soon as something is being written: half an hour takes long enough to be caught."""
    (tmp_path / "in").mkdir()
    for number in range(count):
        soundfile.write(tmp_path / "in" / f"{number}.wav", np.tile(speech_16k, 300), 16_000)
    (tmp_path / "out").mkdir()
    names = [tmp_path / each / ("0.wav" if count == 1 else "") for each in ("in", "out")]
    process = command.vivavoce("denoise", *names, "--model", random_model, "--jobs", 2)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").iterdir()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 1
    assert process.stderr.read() == "vivavoce: interrupted\n"
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_the_bar_is_for_terminals_and_results_pass_it(tmp_path, random_model):
    ours, theirs = os.openpty()
    arguments = ["denoise", SPEECH, tmp_path / "out.wav", "--model", random_model, "--json"]
    environment = os.environ | {"TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "vivavoce", *map(str, arguments)], stdout=subprocess.PIPE, stderr=theirs, env=environment
    )
    output = process.stdout.read()
    assert process.wait(60) == 0
    os.close(theirs)
    os.set_blocking(ours, False)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert json.loads(output)["duration_s"] == 6.0
    assert "%" in shown
    assert "duration_s" not in shown
