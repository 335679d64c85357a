import json
import sys

import numpy as np
import pytest
import soundfile
import soxr

from vivavoce import cli
from vivavoce.evaluation.enhancement import Clip, SystemScores
from vivavoce.evaluation.metrics import si_sdr
from vivavoce.evaluation.noisy import NoisyClip
from vivavoce.evaluation.oracle import climb_clips, mix_pair, oracle_rungs, summarise_ladder

RUNGS = ["bins", "bands", "comb", "comb-clean-pitch", "postfilter"]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def pair(speech_16k):
    """Two seconds of speech at 48 kHz, clean and in white noise at about 5 dB."""
    clean = soxr.resample(speech_16k[:32_000], 16_000, 48_000)
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    return clean, clean + noise * 0.4 * clean.std()


@pytest.fixture(scope="module")
def rungs(pair):
    return oracle_rungs(*pair)


def test_every_rung_has_the_shape_of_the_speech(pair, rungs):
    assert list(rungs) == RUNGS
    for samples in rungs.values():
        assert samples.shape == pair[0].shape
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()


def test_the_ladder_rises(pair, rungs):
    scores = {name: si_sdr(pair[0], samples) for name, samples in rungs.items()}
    assert si_sdr(*pair) + 3 < scores["bands"] < scores["comb"] < scores["comb-clean-pitch"] + 0.1
    assert scores["bands"] < scores["bins"]


def test_the_ladder_rises_in_pesq(peer, pair, rungs):
    pesq = peer.module("pesq")

    def score(samples):
        wide = [soxr.resample(each, 48_000, 16_000) for each in (pair[0], samples)]
        return pesq.pesq(16_000, *wide, "wb")

    scores = {name: score(samples) for name, samples in rungs.items()}
    assert score(pair[1]) + 0.3 < scores["bands"] < scores["comb"] < scores["comb-clean-pitch"] + 0.1
    assert scores["bands"] < scores["bins"]


def test_the_ladder_is_the_same_each_time(pair, rungs):
    again = oracle_rungs(*pair)
    assert all((again[name] == rungs[name]).all() for name in RUNGS)


def test_clean_speech_stays_as_it_is(pair):
    rungs = oracle_rungs(pair[0], pair[0])
    for name in ("bins", "bands", "comb", "comb-clean-pitch"):
        assert np.abs(rungs[name] - pair[0]).max() < 1e-5


@pytest.mark.parametrize(
    "noisy", [pytest.param(np.zeros(2_000), id="silence"), pytest.param(np.ones(2_000), id="no speech in it")]
)
def test_silence_climbs_without_a_nan(noisy):
    assert all(np.isfinite(samples).all() for samples in oracle_rungs(np.zeros(2_000), noisy).values())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"clean \(10,\) and noisy \(11,\) must both have shape"):
        oracle_rungs(np.zeros(10), np.zeros(11))


def test_clips_of_two_lengths_are_refused(tmp_path):
    for name, count in (("clean", 100), ("noisy", 101)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(count), 16_000)
    clip = Clip("a", tmp_path / "clean.wav", {"noisy": tmp_path / "noisy.wav", "clean": tmp_path / "clean.wav"})
    with pytest.raises(ValueError, match=r"clean.wav has 100 samples, and .*noisy.wav 101"):
        climb_clips([clip], tmp_path)


def test_a_pair_is_mixed_at_each_snr(tmp_path, speech_16k):
    soundfile.write(tmp_path / "voice.wav", speech_16k[:32_000], 16_000)
    soundfile.write(tmp_path / "hiss.wav", 0.1 * np.random.default_rng(0).standard_normal(9_000), 24_000)
    ids = mix_pair(tmp_path / "voice.wav", tmp_path / "hiss.wav", [0, 2.5], tmp_path)
    assert ids == {"voice-hiss-0dB": 0, "voice-hiss-2.5dB": 2.5}
    loudness = []
    for key in ids:
        clean, noisy = (soundfile.read(tmp_path / name / f"{key}.wav")[0] for name in ("clean", "noisy"))
        loudness.append(np.std(noisy - clean) / np.std(clean))
    assert 20 * np.log10(loudness[0] / loudness[1]) == pytest.approx(2.5, abs=0.1)


def test_each_rung_is_compared_with_the_one_below():
    def scores(system, value):
        records = [{"clip": f"{n}", "scores": {"pesq": value + n}, "failures": {}} for n in range(3)]
        return SystemScores(system, 0.0, records)

    systems = [scores(name, n) for n, name in enumerate(["noisy", *RUNGS, "vivavoce", "clean"])]
    rows = {row.system: row.differences for row in summarise_ladder(systems, ["pesq"])}
    below = {name: [(each, step["pesq"].mean) for each, step in steps.items()] for name, steps in rows.items()}
    assert below == {
        "noisy": [],
        "bins": [("noisy", 1)],
        "bands": [("bins", 1)],
        "comb": [("bands", 1)],
        "comb-clean-pitch": [("comb", 1)],
        "postfilter": [("comb", 2)],
        "vivavoce": [("postfilter", 1)],
        "clean": [],
    }
    assert summarise_ladder(systems, ["pesq"], {"0"})[0].scores["pesq"].mean == 0


@pytest.fixture
def vivavoce(monkeypatch, capsys):
    """Run the command in this process: status, stdout, stderr."""
    monkeypatch.delenv("VIVAVOCE_DATA", raising=False)

    def run(*arguments):
        command = ["vivavoce", "evaluate", "enhancement", "--oracle", "--jobs", "1", "--metrics", "si_sdr"]
        monkeypatch.setattr(sys, "argv", [*command, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def files(tmp_path, speech_16k):
    soundfile.write(tmp_path / "voice.wav", speech_16k[:16_000], 16_000)
    soundfile.write(tmp_path / "hiss.wav", 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    return ("--clean", tmp_path / "voice.wav", "--noise", tmp_path / "hiss.wav")


def test_the_command_scores_draws_and_writes_the_rungs(vivavoce, files, tmp_path, random_model):
    out = tmp_path / "out"
    networks = ("--model", random_model)
    status, printed, err = vivavoce(*files, "--snr", 5, "--snr", 0, *networks, "--output-dir", out, "--json")
    assert (status, err) == (0, "")
    rows = [json.loads(line) for line in printed.splitlines()]
    systems = ["noisy", *RUNGS, "random", "clean"]
    assert [(row["snr_db"], row["system"]) for row in rows] == [(snr, name) for snr in (0, 5) for name in systems]
    for clip in ("voice-hiss-0dB", "voice-hiss-5dB"):
        assert (out / "pictures" / f"{clip}.png").read_bytes()[:8] == PNG
        for name in systems:
            assert soundfile.info(out / name / f"{clip}.wav").frames == 16_000
    assert vivavoce(*files, "--snr", 5, "--snr", 0, *networks, "--output-dir", out, "--json") == (0, printed, "")


def test_without_a_model_the_ladder_ends_below_it(vivavoce, files, monkeypatch):
    monkeypatch.setattr("vivavoce.enhancement.denoiser.DEFAULT_MODEL", "percepnet-none-v0")
    status, printed, err = vivavoce(*files, "--markdown")
    assert status == 0
    assert "the ladder ends below the trained network" in err
    assert "| comb-clean-pitch − comb" in printed
    assert "SNR 5 dB" in printed


def test_a_set_is_climbed_in_one_table(vivavoce, monkeypatch, speech_16k):
    clean = speech_16k[:16_000]
    noise = np.random.default_rng(0).standard_normal((2, 16_000)).astype(np.float32) * 0.02
    clips = [NoisyClip(f"00{n}-hiss-05dB", clean, clean + noise[n], 16_000, 5, "hiss", "someone") for n in range(2)]
    monkeypatch.setattr("vivavoce.evaluation.noisy.build_noisy_set", lambda data, which, split, count: clips[:count])
    arguments = ("--set", "wide-band", "--split", "val", "--count", 2, "--data", ".", "--no-ours", "--json")
    status, printed, err = vivavoce(*arguments)
    assert (status, err) == (0, "")
    rows = [json.loads(line) for line in printed.splitlines()]
    assert [row["system"] for row in rows] == ["noisy", *RUNGS, "clean"]
    assert rows[0]["scores"]["si_sdr"]["count"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "--oracle needs --clean FILE --noise FILE, or", id="nothing"),
        pytest.param(["--clean", "a.wav"], "--oracle needs --clean FILE --noise FILE, or", id="clean alone"),
        pytest.param(["--set", "wide-band", "--clean", "a"], "--oracle needs", id="two sources"),
        pytest.param(["--set", "moon"], "must be one of full-band, wide-band", id="no such set"),
        pytest.param(["--set", "wide-band"], "--data DIR, or VIVAVOCE_DATA", id="no data"),
        pytest.param(["--clean", "a", "--noisy", "b", "--snr", "5"], "--snr goes with --noise", id="SNR of a set"),
        pytest.param(["--clean", "a", "--noisy", "b", "--count", "5"], "--count goes with --set", id="count"),
        pytest.param(["--clean", "a", "--noisy", "b", "--processed", "c"], "exclude each other", id="others"),
    ],
)
def test_wrong_usage_is_one_line(vivavoce, arguments, message):
    status, _, err = vivavoce(*arguments)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
