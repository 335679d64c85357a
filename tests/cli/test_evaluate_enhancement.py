import json
import sys

import numpy as np
import pytest
import soundfile

from vivavoce import cli
from vivavoce.evaluation.noisy import NoisyClip


@pytest.fixture
def folders(tmp_path, speech_16k):
    """Two clips of two seconds, noisy and as two systems left them."""
    random = np.random.default_rng(0)
    for number in range(2):
        clean = speech_16k[number * 32_000 :][:32_000]
        noise = 0.02 * random.standard_normal(len(clean))
        for name, share in {"clean": 0, "noisy": 1, "half": 0.5, "tenth": 0.1}.items():
            (tmp_path / name).mkdir(exist_ok=True)
            soundfile.write(tmp_path / name / f"{number}.wav", clean + share * noise, 16_000)
    return tmp_path


@pytest.fixture
def vivavoce(monkeypatch, capsys):
    """Run the command in this process: status, stdout, stderr."""
    monkeypatch.delenv("VIVAVOCE_DATA", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["vivavoce", "evaluate", "enhancement", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def quick(folders):
    return ("--clean", folders / "clean", "--noisy", folders / "noisy", "--metrics", "estoi,si_sdr", "--jobs", 1)


def test_other_systems_are_scored_side_by_side(vivavoce, folders):
    others = ("--processed", folders / "half", "--processed", folders / "tenth", "--no-ours")
    status, out, err = vivavoce(*quick(folders), *others, "--json")
    assert (status, err) == (0, "")
    rows = {row["system"]: row for row in map(json.loads, out.splitlines())}
    assert list(rows) == ["noisy", "half", "tenth", "clean"]
    assert rows["tenth"]["differences"]["half"]["si_sdr"]["mean"] == pytest.approx(13.98, abs=0.1)
    assert list(rows["half"]["differences"]) == ["noisy"]
    status, out, _ = vivavoce(*quick(folders), *others)
    assert status == 0
    assert "│ tenth − half" in out


def test_scores_are_kept_and_taken_up_again(vivavoce, folders):
    arguments = (*quick(folders), "--no-ours", "--output-dir", folders / "out", "--markdown")
    first, again = vivavoce(*arguments), vivavoce(*arguments)
    assert first == again
    assert first[0] == 0
    assert len((folders / "out" / "scores.jsonl").read_text().splitlines()) == 4


def test_our_denoiser_is_run(vivavoce, folders, monkeypatch):
    monkeypatch.setattr("vivavoce.enhancement.denoiser.denoise", lambda samples, sample_rate, model: samples)
    arguments = (*quick(folders), "--output-dir", folders / "out", "--processed", folders / "half", "--json")
    status, out, _ = vivavoce(*arguments)
    assert status == 0
    assert [json.loads(line)["system"] for line in out.splitlines()] == ["noisy", "half", "vivavoce", "clean"]
    assert (folders / "out" / "vivavoce" / "0.wav").exists()


def test_a_set_is_written_to_be_heard_and_scored(vivavoce, folders, monkeypatch):
    clean, noisy = (soundfile.read(folders / name / "0.wav", dtype="float32")[0] for name in ("clean", "noisy"))
    clips = [NoisyClip("000-rain-05dB", clean, noisy, 16_000, 5, "rain", "someone")]
    monkeypatch.setattr("vivavoce.evaluation.noisy.build_noisy_set", lambda *arguments: clips)
    written = folders / "set"
    arguments = ("--write-set", "wide-band", "--split", "val", "--data", folders, "--output-dir", written)
    assert vivavoce(*arguments) == (0, "", "")
    assert json.loads((written / "clips.jsonl").read_text()) == clips[0].as_json()
    assert (written / "noisy" / "000-rain-05dB.wav").read_bytes() == (folders / "noisy" / "0.wav").read_bytes()
    assert vivavoce(*arguments)[:2] == (1, "")
    status, out, _ = vivavoce(*quick(written), "--no-ours", "--json")
    assert status == 0
    assert [json.loads(line)["system"] for line in out.splitlines()] == ["noisy", "clean"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param([], 2, "--clean DIR and --noisy DIR are needed", id="nothing"),
        pytest.param(["--json", "--markdown"], 2, "--markdown and --json", id="two formats"),
        pytest.param(["QUICK", "--metrics", "beauty"], 2, "p808, got beauty", id="metric"),
        pytest.param(["QUICK", "--processed", "half", "--processed", "./half"], 2, "are called 'half'", id="twice"),
        pytest.param(["QUICK", "--processed", "missing"], 1, "missing: is no folder", id="no folder"),
        pytest.param(["QUICK", "--processed", "other"], 1, "1 has no match in other", id="no match"),
        pytest.param(["QUICK", "--output-dir", "half"], 1, "half: holds something else", id="other folder"),
        pytest.param(["--write-set", "narrow"], 2, "full-band, wide-band, got 'narrow'", id="set"),
        pytest.param(["--write-set", "full-band"], 2, "--write-set needs --output-dir", id="no output"),
        pytest.param(
            ["--write-set", "full-band", "--data", ".", "--output-dir", "set"], 1, "is missing; --data", id="no data"
        ),
    ],
)
def test_what_is_wrong_is_one_line(vivavoce, folders, monkeypatch, arguments, status, message):
    monkeypatch.chdir(folders)
    (folders / "other").mkdir()
    soundfile.write(folders / "other" / "0.wav", np.zeros(10), 16_000)
    given = [part for word in arguments for part in ((*quick(folders), "--no-ours") if word == "QUICK" else (word,))]
    got, out, err = vivavoce(*given)
    assert (got, out) == (status, "")
    assert message in err
    assert len(err.splitlines()) == 1
