import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

SPEECH = Path(__file__).parents[1] / "data" / "speech-16k.flac"
TRACE = Path(__file__).parents[1] / "data" / "loss-modelled-20pct.txt"
NOISE = Path(__file__).parents[1] / "data" / "noise-16k.flac"


def run(*arguments, stdin=None, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "vivavoce", *map(str, arguments)], input=stdin, capture_output=True, cwd=cwd, timeout=120
    )


def test_json_is_one_line_with_everything(tmp_path):
    done = run(
        "call", SPEECH, tmp_path / "out.wav", "--loss", TRACE, "--protect", "lbrr+red:2", "--bitrate", 48_000, "--json"
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.decode().splitlines()
    result = json.loads(line)
    assert result["duration_s"] == 6.0
    assert result["packets"] == 301
    lost = [number == "1" for number in TRACE.read_text().split()][:301]
    assert result["lost"] == sum(lost)
    assert sum(result["slots"].values()) == 300
    assert set(result["slots"]) == {"primary", "red", "lbrr", "plc"}
    assert result["slots"]["primary"] == 300 - sum(lost[:300])
    assert 40_000 < result["bitrate_bps"] < 50_000
    assert result["expected_loss_pct"] == pytest.approx(23.1, abs=0.1)
    assert result["protection"]["red"] > 0.95
    assert result["protection"]["lbrr"] > 0.5
    assert result["playout_delay_ms"] == 100
    assert set(result["cpu_seconds_per_second"]) == {"encode", "network", "receive", "playout"}
    assert result["codec"].startswith("libopus")
    assert "delay_changes" not in result
    assert done.stderr == b""


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_the_output_is_a_wav_as_long_as_the_input(tmp_path, rate):
    done = run("call", SPEECH, tmp_path / "out.wav", "--sample-rate", rate)
    assert done.returncode == 0, done.stderr
    info = soundfile.info(tmp_path / "out.wav")
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (rate, 1, "PCM_16", 6 * rate)
    assert b"packets" in done.stdout


def test_pipes_and_any_format(tmp_path):
    speech, rate = soundfile.read(SPEECH, dtype="float32")
    soundfile.write(tmp_path / "in.ogg", np.stack([speech, speech], axis=1), rate)
    done = run("call", "-", "-", "--loss", "10%", stdin=(tmp_path / "in.ogg").read_bytes())
    assert done.returncode == 0, done.stderr
    assert done.stdout[:4] == b"RIFF"
    assert b"packets" in done.stderr


def test_an_adaptive_delay_lists_its_changes(tmp_path):
    done = run("call", SPEECH, tmp_path / "out.wav", "--jitter", 40, "--playout-delay", "adaptive", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["delay_changes"]) > 1


def test_a_protection_that_never_occurred_is_a_warning(tmp_path):
    done = run("call", SPEECH, tmp_path / "out.wav", "--protect", "lbrr", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["protection"] == {"lbrr": 0.0}
    assert b"warning: no packet carried lbrr" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_the_report_stands_beside_the_sound(tmp_path):
    done = run(
        "call", SPEECH, tmp_path / "out.wav", "--loss", TRACE, "--protect", "red:1", "--report", tmp_path / "report"
    )
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"index.html", "original.wav", "unprotected.wav", "protected.wav", "protected.png"} <= names
    page = (tmp_path / "report" / "index.html").read_text()
    assert "PESQ" in page


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_the_whole_path_noise_denoiser_and_network(tmp_path, random_model, rate):
    noisy = ["--noise", NOISE, "--snr", 5, "--denoise", "--model", random_model]
    done = run("call", SPEECH, tmp_path / "out.wav", "--sample-rate", rate, *noisy, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["noise"], result["snr_db"]) == (str(NOISE), 5)
    assert result["models"] == ["percepnet-test-v1", "plc-base-v1", "fargan-base-v1"]
    assert result["denoise_delay_ms"] == 30
    assert result["playout_delay_ms"] == 100
    assert set(result["cpu_seconds_per_second"]) == {"denoise", "encode", "network", "receive", "playout"}
    assert soundfile.info(tmp_path / "out.wav").frames == 6 * rate


def test_noise_alone_is_heard_and_reported(tmp_path):
    done = run("call", SPEECH, tmp_path / "out.wav", "--noise", NOISE, "--snr", 0, "--report", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert b"noise-16k.flac, 0 dB SNR" in done.stdout
    assert {"original.wav", "noisy.wav", "noisy.png", "protected.wav"} <= {
        path.name for path in (tmp_path / "report").iterdir()
    }
    original, noisy, heard = (
        soundfile.read(tmp_path / "report" / f"{name}.wav")[0] for name in ("original", "noisy", "protected")
    )
    assert np.corrcoef(noisy, heard)[0, 1] > 0.85
    assert np.corrcoef(original, heard)[0, 1] < 0.75


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        pytest.param(["{speech}"], 2, "OUTPUT", id="no output"),
        pytest.param(["{speech}", "{out}", "--nonsense"], 2, "--nonsense", id="unknown option"),
        pytest.param(["{speech}", "{out}", "--bitrate", "fast"], 2, "--bitrate", id="rate in words"),
        pytest.param(["{speech}", "{out}", "--bitrate", "5000"], 2, "5000", id="rate too low"),
        pytest.param(["{speech}", "{out}", "--loss", "200%"], 2, "200%", id="loss above one"),
        pytest.param(["{speech}", "{out}", "--loss", "nothing.txt"], 2, "nothing.txt", id="no such trace"),
        pytest.param(["{speech}", "{out}", "--loss", "{text}"], 1, "line 2", id="trace with words in it"),
        pytest.param(["{speech}", "{out}", "--protect", "prayer"], 2, "prayer", id="protection"),
        pytest.param(["{speech}", "{out}", "--conceal", "magic"], 2, "magic", id="concealer"),
        pytest.param(["{speech}", "{out}", "--vocoder", "voder"], 2, "voder", id="vocoder"),
        pytest.param(["{speech}", "{out}", "--conceal", "opus", "--vocoder", "fargan"], 2, "opus", id="no vocoder"),
        pytest.param(["{speech}", "{out}", "--playout-delay", "soon"], 2, "soon", id="delay in words"),
        pytest.param(["{speech}", "{out}", "--playout-delay=-5"], 2, "-5", id="delay below zero"),
        pytest.param(["{speech}", "{out}", "--sample-rate", "44100"], 2, "44100", id="rate"),
        pytest.param(["{speech}", "{out}", "--expect-loss", "120"], 2, "120", id="expected loss"),
        pytest.param(["{speech}", "-", "--json"], 2, "stdout", id="two results on one stream"),
        pytest.param(["{speech}", "{out}", "--snr", "5"], 2, "--noise and --snr", id="SNR without noise"),
        pytest.param(["{speech}", "{out}", "--noise", "{speech}"], 2, "--noise and --snr", id="noise without SNR"),
        pytest.param(["{speech}", "{out}", "--model", "x"], 2, "--denoise", id="model without denoiser"),
        pytest.param(["{speech}", "{out}", "--denoise", "--model", "nobody-v1"], 1, "nobody-v1", id="no such model"),
        pytest.param(["{speech}", "{out}", "--noise", "{text}", "--snr", "5"], 1, "no sound file", id="noise is text"),
        pytest.param(["{speech}", "{out}", "--report", "."], 1, "--force", id="report into a full folder"),
        pytest.param(["none.wav", "{out}"], 1, "none.wav", id="no such input"),
        pytest.param(["{text}", "{out}"], 1, "no sound file", id="input is text"),
        pytest.param(["{speech}", "{text}"], 1, "--force", id="output exists"),
        pytest.param(["{speech}", "nowhere/out.wav"], 1, "nowhere", id="no such folder"),
        pytest.param(["{speech}", "/dev/full", "--force"], 1, "No space left", id="disk full"),
        pytest.param(["-", "{out}"], 1, "empty", id="empty pipe"),
    ],
)
def test_what_goes_wrong_is_one_line_and_leaves_nothing(tmp_path, arguments, status, says):
    text = tmp_path / "text.txt"
    text.write_text("0\nhello\n")
    places = {"speech": SPEECH, "out": tmp_path / "out.wav", "text": text}
    done = run("call", *(argument.format(**places) for argument in arguments), stdin=b"", cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert done.stdout == b""
    assert done.stderr.startswith(b"vivavoce: ")
    assert done.stderr.count(b"\n") == 1
    assert says in done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]
    assert text.read_text() == "0\nhello\n"


def test_interruption_leaves_nothing(tmp_path):
    """SIGTERM while the call runs: an hour of input takes long enough to be caught."""
    long = np.tile(soundfile.read(SPEECH, dtype="float32")[0], 200)
    soundfile.write(tmp_path / "long.wav", long, 16_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "vivavoce", "call", tmp_path / "long.wav", tmp_path / "out.wav"], stderr=subprocess.PIPE
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2.5)
    process.terminate()
    assert process.wait(30) == 1
    assert process.stderr.read() == b"vivavoce: interrupted\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.wav"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--protect", "red:2", "--playout-delay", 25], b"red recovered nothing", id="RED comes too late"),
        pytest.param(["--playout-delay", 5], b"no packet came in time", id="everything comes too late"),
    ],
)
def test_a_playout_delay_that_is_too_short_is_a_warning(tmp_path, options, says):
    done = run("call", SPEECH, tmp_path / "out.wav", "--loss", TRACE, *options)
    assert done.returncode == 0
    assert says in done.stderr


def test_descriptions_of_the_past_say_what_they_are_like(tmp_path):
    options = ["--protect", "dred:400", "--bitrate", 40_000, "--playout-delay", 500]
    done = run("call", SPEECH, tmp_path / "out.wav", "--loss", TRACE, *options, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["slots"]["dred"] > 10
    said = result["redundancy"]["dred"]
    assert 40 < said["covered_ms"] <= 400
    assert 0 <= said["first_level"] <= 15
    assert 20 < said["bytes"] < 400
    assert result["models"][-1] == "rdovae-base-v1"


def test_who_asks_for_more_than_the_playout_delay_leaves_is_told(tmp_path):
    done = run("call", SPEECH, tmp_path / "out.wav", "--loss", TRACE, "--protect", "dred:500")
    assert b"dred:500 says no more than the last 100 ms" in done.stderr


def test_bursts_can_be_told(tmp_path):
    options = ["--protect", "dred", "--expect-loss", 20, "--playout-delay", 1000, "--json", "--force"]
    every = []
    for burst in ("auto", 10):
        done = run("call", SPEECH, tmp_path / "out.wav", *options, "--expect-burst", burst)
        every.append(json.loads(done.stdout)["redundancy"]["dred"]["every"])
    assert every[0] > every[1] > 1
    assert run("call", SPEECH, tmp_path / "out.wav", *options, "--expect-burst", 0).returncode == 2


def test_further_calls_stand_on_the_page(tmp_path):
    folder = tmp_path / "report"
    options = ["--protect", "lbrr+dred", "--compare", "lossless", "--compare", "red:1", "--report", folder]
    done = run("call", SPEECH, tmp_path / "out.wav", "--loss", TRACE, "--bitrate", 48_000, *options)
    assert done.returncode == 0, done.stderr
    names = ("original", "unprotected", "lossless", "red-1", "protected")
    assert {path.name for path in folder.iterdir()} == {"index.html"} | {
        f"{n}.{kind}" for n in names for kind in ("wav", "png")
    }
    sounds = {name: soundfile.read(folder / f"{name}.wav", dtype="float32")[0] for name in names}
    distances = {name: float(np.abs(sounds[name] - sounds["original"]).mean()) for name in names}
    assert distances["lossless"] < min(distances["unprotected"], distances["red-1"], distances["protected"])
    page = (folder / "index.html").read_text()
    assert "Opus with red:1" in page
    assert run("call", SPEECH, tmp_path / "out.wav", "--compare", "lbrr", "--force").returncode == 2
    assert run("call", SPEECH, tmp_path / "out.wav", "--compare", "luck", "--report", folder, "--force").returncode == 2


def test_what_was_chosen_is_told_and_why(tmp_path):
    done = run("call", SPEECH, tmp_path / "out.wav", "--protect", "auto", "--json")
    assert json.loads(done.stdout)["redundancy"] == {"using": "none", "opus_bps": 32_000, "because": "no loss expected"}
    assert not done.stderr
    done = run("call", SPEECH, tmp_path / "out.wav", "--loss", TRACE, "--protect", "auto", "--force")
    assert b"% loss expected" in done.stdout


def test_descriptions_that_nobody_can_make_speech_of_are_a_warning(tmp_path):
    options = ["--protect", "dred", "--conceal", "opus", "--playout-delay", 500]
    done = run("call", SPEECH, tmp_path / "out.wav", "--loss", TRACE, *options)
    assert b"dred recovered nothing: only neural concealment" in done.stderr
