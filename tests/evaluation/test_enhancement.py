import json

import numpy as np
import pytest
import soundfile

from vivavoce.errors import AudioFileError
from vivavoce.evaluation.enhancement import (
    delay_samples,
    denoise_clips,
    match_files,
    our_systems,
    score_pair,
    score_systems,
    shifted,
)
from vivavoce.evaluation.enhancement_tables import footnotes, markdown_table, summarise_systems
from vivavoce.evaluation.metrics import ENHANCEMENT_METRICS, metrics_named
from vivavoce.evaluation.results import ResultFile

RATE = 16_000
QUICK = ("estoi", "si_sdr")


def write(folder, name, samples, sample_rate=RATE):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, sample_rate, subtype="PCM_16")


@pytest.fixture
def folders(tmp_path, speech_16k):
    """Two clips: clean, with white noise, and by a system that halves the noise and is 5 ms late."""
    random = np.random.default_rng(0)
    for number in range(2):
        clean = speech_16k[number * 32_000 :][:32_000]
        noise = 0.02 * random.standard_normal(len(clean)).astype(np.float32)
        write(tmp_path / "clean", f"{number}.wav", clean)
        write(tmp_path / "noisy", f"{number}.wav", clean + noise)
        write(tmp_path / "half", f"{number}.wav", np.concatenate([np.zeros(80, np.float32), clean + noise / 2]))
    return tmp_path


@pytest.fixture
def clips(folders):
    return match_files(folders / "clean", folders / "noisy", {"half": folders / "half"})


def touch(folder, *names):
    for name in names:
        write(folder, name, np.zeros(10, np.float32))
    return folder


def test_files_are_matched_by_name_whatever_the_suffix(tmp_path):
    clean, noisy = touch(tmp_path / "c", "a.flac", "b/a.wav"), touch(tmp_path / "n", "a.wav", "b/a.wav")
    clips = match_files(clean, noisy)
    assert [(clip.id, clip.clean, clip.outputs["noisy"]) for clip in clips] == [
        ("a", clean / "a.flac", noisy / "a.wav"),
        ("b/a", clean / "b" / "a.wav", noisy / "b" / "a.wav"),
    ]


def test_files_are_matched_as_the_dns_challenge_names_them(tmp_path):
    clean = touch(tmp_path / "c", "clean_fileid_1.wav", "clean_fileid_12.wav")
    noisy = touch(tmp_path / "n", "x_snr5_fileid_12.wav", "y_snr0_fileid_1.wav")
    ours = touch(tmp_path / "s", "x_snr5_fileid_12.wav", "y_snr0_fileid_1.wav")
    clips = match_files(clean, noisy, {"s": ours})
    assert [(clip.clean.name, clip.outputs["s"].name) for clip in clips] == [
        ("clean_fileid_12.wav", "x_snr5_fileid_12.wav"),
        ("clean_fileid_1.wav", "y_snr0_fileid_1.wav"),
    ]


@pytest.mark.parametrize(
    ("clean", "noisy", "message"),
    [
        pytest.param(["a.wav"], ["a.wav", "b.wav"], r"n/b has no match in .*c$", id="no clean"),
        pytest.param(["a.wav", "b.wav"], ["a.wav"], r"c/b has no match in .*n$", id="no noisy"),
        pytest.param(["a.wav"], ["b.wav"], r"n/b has no match in .*; .*c/a has no match in", id="neither"),
        pytest.param(["fileid_1.wav"], ["x_fileid_1.wav", "y_fileid_1.wav"], "no match", id="twice the same id"),
        pytest.param(["a.wav"], [f"{n}.wav" for n in range(9)], "and 5 more", id="many"),
        pytest.param(["a.wav", "a.flac"], ["a.wav"], "have one name", id="one name"),
    ],
)
def test_what_does_not_match_is_said(tmp_path, clean, noisy, message):
    with pytest.raises(ValueError, match=message):
        match_files(touch(tmp_path / "c", *clean), touch(tmp_path / "n", *noisy))


def test_a_folder_that_is_none_is_named(tmp_path):
    noisy = touch(tmp_path / "n", "a.wav")
    with pytest.raises(AudioFileError, match="missing: is no folder"):
        match_files(tmp_path / "missing", noisy)
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioFileError, match="empty: holds no sound files"):
        match_files(tmp_path / "empty", noisy)
    with pytest.raises(ValueError, match="no system may be called 'clean'"):
        match_files(noisy, noisy, {"clean": noisy})


@pytest.mark.parametrize("delay", [0, 7, -7, 1600, -1600])
def test_a_delay_is_found_and_taken_off(delay):
    clean = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    late = np.concatenate([np.zeros(max(0, delay), np.float32), clean[max(0, -delay) :]])
    assert delay_samples(clean, late, 1600) == delay
    aligned = shifted(late, delay, len(clean))
    lost = max(0, -delay)
    assert np.array_equal(aligned[lost:], clean[lost:])
    assert not aligned[:lost].any()


def test_silence_has_no_delay():
    assert delay_samples(np.ones(100), np.zeros(50), 10) == 0


def test_a_short_output_is_padded():
    assert shifted(np.ones(3, np.float32), 1, 4).tolist() == [1, 1, 0, 0]


def test_systems_are_scored_without_their_delay(clips):
    noisy, half, clean = score_systems(clips, QUICK)
    assert [system.system for system in (noisy, half, clean)] == ["noisy", "half", "clean"]
    assert (noisy.delay_s, half.delay_s, clean.delay_s) == (0, 0.005, 0)
    for one, other in zip(noisy.records, half.records, strict=True):
        assert one["clip"] == other["clip"]
        assert other["scores"]["si_sdr"] - one["scores"]["si_sdr"] == pytest.approx(6.02, abs=0.05)
    assert clean.records[0]["scores"]["estoi"] == pytest.approx(1, abs=1e-6)
    assert clean.records[0]["failures"] == {"si_sdr": "the degraded clip is the reference"}


def test_what_is_known_is_not_scored_again(clips, tmp_path, monkeypatch):
    with ResultFile(tmp_path / "scores.jsonl") as results:
        first = score_systems(clips, QUICK, results)
    monkeypatch.setattr("vivavoce.evaluation.enhancement._score", lambda task: pytest.fail("scored again"))
    with ResultFile(tmp_path / "scores.jsonl") as results:
        again = score_systems(clips, QUICK, results)
    assert [system.delay_s for system in again] == [system.delay_s for system in first]


def test_si_sdr_is_scored_at_the_rate_of_the_files(speech_16k):
    """Above 8 kHz only SI-SDR hears the error."""
    clean = np.repeat(speech_16k[:32_000], 3)
    high = 0.05 * np.sin(2 * np.pi * 15_000 * np.arange(len(clean)) / 48_000)
    output = (clean + high).astype(np.float32)
    scores = score_pair(metrics_named(QUICK, ENHANCEMENT_METRICS), clean, output, 48_000)
    assert list(scores.values) == list(QUICK)
    expected = 10 * np.log10(np.mean(np.square(clean, dtype=float)) / np.mean(np.square(high)))
    assert scores.values["si_sdr"] == pytest.approx(expected, abs=0.05)
    assert scores.values["estoi"] > 0.99


def test_an_output_of_another_length_is_refused(folders, clips):
    write(folders / "half", "1.wav", np.zeros(8000, np.float32))
    with pytest.raises(ValueError, match=r"half/1\.wav has 0\.500 s, and .*clean/1\.wav 2\.000 s"):
        score_systems(clips, QUICK)


def test_the_table_has_scores_and_paired_differences(clips):
    rows = summarise_systems(score_systems(clips, QUICK), QUICK, ["noisy"])
    assert rows[1].differences["noisy"]["si_sdr"].mean == pytest.approx(6.02, abs=0.05)
    assert rows[0].differences == rows[2].differences == {}
    lines = markdown_table(rows, QUICK).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["noisy", "half", "clean", "half − noisy"]
    assert lines[3].split("|")[2].strip() == "5.0"
    assert footnotes(rows)[0].startswith("2 clips; ")
    assert json.loads(json.dumps(rows[2].as_json()))["scores"]["si_sdr"]["mean"] is None


def test_a_part_of_the_clips_is_summed_up(clips):
    (row, *_) = summarise_systems(score_systems(clips, QUICK), QUICK, ["noisy"], {"1"}, compared=())
    assert row.scores["estoi"].count == 1
    assert row.differences == {}


def test_an_unknown_baseline_is_refused(clips):
    with pytest.raises(ValueError, match="no system is called 'other'; there are: noisy, half, clean"):
        summarise_systems(score_systems(clips, QUICK), QUICK, ["other"])


def test_our_denoiser_is_a_system_like_the_others(clips, tmp_path, monkeypatch):
    called = []

    def denoise(samples, sample_rate, *, model):
        called.append((len(samples), sample_rate, model))
        return samples / 2

    monkeypatch.setattr("vivavoce.enhancement.denoiser.denoise", denoise)
    denoised = denoise_clips(clips, "ours", tmp_path / "ours", "some-model")
    assert called == [(32_000, RATE, "some-model")] * 2
    assert list(denoised[0].outputs) == ["noisy", "half", "ours", "clean"]
    noisy, _, ours, _ = score_systems(denoised, QUICK, aligned=["ours"])
    assert ours.delay_s == 0
    for one, other in zip(noisy.records, ours.records, strict=True):
        assert other["scores"]["si_sdr"] == pytest.approx(one["scores"]["si_sdr"], abs=0.01)
    with pytest.raises(ValueError, match="two systems are called 'half'"):
        denoise_clips(clips, "half", tmp_path / "again")


def test_our_systems_are_called_like_their_models():
    assert our_systems([]) == {"vivavoce": None}
    assert our_systems(["small-v1", "build/try.vvm"]) == {"small-v1": "small-v1", "try": "build/try.vvm"}
    with pytest.raises(ValueError, match=r"two models are called 'try': try and build/try\.vvm"):
        our_systems(["try", "build/try.vvm"])
