import json
import sys
from pathlib import Path

import pytest
import soundfile

from vivavoce import cli
from vivavoce.evaluation.clips import Clip

SPEECH = soundfile.read(Path(__file__).parent.parent / "data" / "speech-16k.flac", dtype="float32")[0]


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(2):
        soundfile.write(folder / f"{number}.wav", SPEECH[number * 16_000 : (number + 1) * 16_000], 16_000)
    return folder


@pytest.fixture
def vivavoce(monkeypatch, capsys):
    """Run the command in this process: status, stdout, stderr."""
    monkeypatch.delenv("VIVAVOCE_DATA", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["vivavoce", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


QUICK = ("--metrics", "estoi", "--jobs", "1", "--loss", "10%")


def test_a_table_is_printed_and_drawn(vivavoce, clips, tmp_path):
    plot = tmp_path / "plot.png"
    status, out, err = vivavoce("call", clips, *QUICK, "--protect", "none", "--protect", "red:1", "--plot", plot)
    assert (status, err) == (0, "")
    assert "│ 10%  │ red:1" in out
    assert "2 clips a row" in out
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_markdown_and_json_say_the_same(vivavoce, clips, tmp_path):
    arguments = ("call", clips, *QUICK, "--out", tmp_path / "out.parquet")
    _, markdown, _ = vivavoce(*arguments, "--markdown")
    status, lines, _ = vivavoce(*arguments, "--json")
    (row,) = map(json.loads, lines.splitlines())
    assert status == 0
    assert row["rate_reached"]
    assert row["measured_bitrate_bps"]["mean"] == pytest.approx(32_000, rel=0.03)
    assert f"{row['scores']['estoi']['mean']:.3f} ±" in markdown


def test_a_rate_that_cannot_be_reached_is_marked_and_said(vivavoce, clips):
    status, out, err = vivavoce("call", clips, *QUICK, "--bitrate", "512000", "--markdown")
    assert status == 0
    assert "* not within 3 % of the rate of its column: none at 512 kb/s." in out
    assert "warning: none at 512000 b/s with 10%: sends" in err


def test_a_protection_that_never_occurs_is_a_warning(vivavoce, clips):
    _, _, err = vivavoce("call", clips, *QUICK, "--protect", "none", "--protect", "lbrr", "--expect-loss", "0")
    assert "no packet carried lbrr" in err


def test_the_clips_are_listed_with_their_hashes(vivavoce, clips):
    status, out, _ = vivavoce("clips", clips, "--json")
    assert status == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"id": str(number), "duration_s": 1.0, "sha256": Clip("", SPEECH[number * 16_000 :][:16_000]).sha256}
        for number in range(2)
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param(["CLIPS", "--loss", "rain"], 2, "'rain' is neither an existing file nor a loss model", id="loss"),
        pytest.param(["CLIPS", "--protect", "luck"], 2, "'luck'", id="protection"),
        pytest.param(["CLIPS", "--metrics", "beauty"], 2, "got beauty", id="metric"),
        pytest.param(["CLIPS", "--baseline", "lbrr"], 2, "no configuration is called 'lbrr'", id="baseline"),
        pytest.param(["CLIPS", "--json", "--markdown"], 2, "--markdown and --json", id="two formats"),
        pytest.param(["CLIPS", "--out", "out.csv"], 2, "--out must end with .jsonl or .parquet", id="out"),
        pytest.param(["CLIPS", "--jobs", "0"], 2, "--jobs", id="jobs"),
        pytest.param(["CLIPS", "--corpus", "c"], 2, "either clips or a --corpus", id="two sources"),
        pytest.param([], 2, "either clips or a --corpus", id="no source"),
        pytest.param(["--corpus", "c"], 2, "--data DIR, or VIVAVOCE_DATA", id="no data"),
        pytest.param(["--corpus", "c", "--data", "."], 1, "c.tar: is missing", id="no corpus"),
        pytest.param(["CLIPS", "--loss", "TRACE"], 1, "trace.txt, line 2: expected 0 or 1, got 'x'", id="trace"),
        pytest.param(["CLIPS", "--out", "OTHER"], 1, "other.jsonl, line 1: is no result", id="other results"),
        pytest.param(["CLIPS", "--plot", "OTHER"], 1, "other.jsonl: exists already", id="plot exists"),
        pytest.param(["missing.wav"], 1, "missing.wav", id="no such file"),
        pytest.param(["TRACE"], 1, "trace.txt", id="no sound"),
    ],
)
def test_what_is_wrong_is_one_line(vivavoce, clips, tmp_path, monkeypatch, arguments, status, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trace.txt").write_text("0\nx\n")
    (tmp_path / "other.jsonl").write_text("[]\n")
    named = {"CLIPS": clips, "TRACE": tmp_path / "trace.txt", "OTHER": tmp_path / "other.jsonl"}
    got, out, err = vivavoce("call", *(named.get(argument, argument) for argument in arguments))
    assert (got, out) == (status, "")
    assert message in err
    assert len(err.splitlines()) == 1
