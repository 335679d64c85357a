import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vivavoce.errors import MissingExtraError
from vivavoce.evaluation.metrics import (
    ENHANCEMENT_METRICS,
    METRICS,
    Metric,
    dnsmos,
    estoi,
    metrics_named,
    pesq_wb,
    plcmos,
    score_clip,
    si_sdr,
    stoi,
)

SPEECH = soundfile.read(Path(__file__).parent.parent / "data" / "speech-16k.flac", dtype="float32")[0][:48_000]
SILENCE = np.zeros_like(SPEECH)
ALL_METRICS = METRICS | ENHANCEMENT_METRICS


def with_gaps(samples, share):
    """The samples with some of their 20-ms slots silenced."""
    slots = samples.reshape(-1, 320).copy()
    slots[np.random.default_rng(0).random(len(slots)) < share] = 0
    return slots.ravel()


def test_identical_speech_scores_the_maximum():
    assert pesq_wb(SPEECH, SPEECH) == pytest.approx(4.644, abs=0.001)
    assert estoi(SPEECH, SPEECH) == pytest.approx(1.0, abs=1e-6)
    assert stoi(SPEECH, SPEECH) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", list(METRICS))
def test_more_gaps_score_less(name):
    few, many = (METRICS[name].score(SPEECH, with_gaps(SPEECH, share)) for share in (0.05, 0.4))
    assert many < few


@pytest.mark.parametrize("name", list(ENHANCEMENT_METRICS))
def test_more_noise_scores_less(name):
    noise = np.random.default_rng(0).standard_normal(len(SPEECH)).astype(np.float32)
    little, much = (ENHANCEMENT_METRICS[name].score(SPEECH, SPEECH + level * noise) for level in (0.001, 0.1))
    assert much < little


@pytest.mark.parametrize("name", list(ALL_METRICS))
def test_a_clip_has_one_score_and_the_callers_random_numbers_stay(name):
    degraded = with_gaps(SPEECH, 0.2)
    np.random.seed(5)  # noqa: NPY002 - the generator that the metrics draw from
    expected = np.random.random(3).tolist()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    first = ALL_METRICS[name].score(SPEECH, degraded)
    assert np.random.random(3).tolist() == expected  # noqa: NPY002
    assert ALL_METRICS[name].score(SPEECH, degraded) == first


def test_plcmos_needs_no_reference():
    assert plcmos(SILENCE, SPEECH) == plcmos(SPEECH, SPEECH) > 3


def test_dnsmos_knows_clean_speech_and_takes_what_is_too_loud():
    scores = dnsmos(SPEECH)
    assert list(scores) == ["sig", "bak", "ovrl", "p808"]
    assert min(scores.values()) > 2.5
    assert dnsmos(SPEECH / np.abs(SPEECH).max() * 1.5)["ovrl"] > 1


@pytest.mark.parametrize("gain", [1.0, 0.1, 30.0])
def test_si_sdr_is_the_energy_ratio_whatever_the_gain(gain):
    reference, rest = np.array([3.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)
    assert si_sdr(reference, gain * (reference + rest)) == pytest.approx(10 * np.log10(9))


@pytest.mark.parametrize(
    ("degraded", "message"),
    [
        pytest.param(2 * SPEECH, "the degraded clip is the reference", id="only a gain"),
        pytest.param(SILENCE, "is silent", id="nothing"),
    ],
)
def test_si_sdr_has_no_value_where_it_is_infinite(degraded, message):
    with pytest.raises(ValueError, match=message):
        si_sdr(SPEECH, degraded)
    with pytest.raises(ValueError, match="nothing of the reference"):
        si_sdr(np.array([1.0, 0.0]), np.array([0.0, 1.0]))


def test_only_si_sdr_takes_any_rate():
    assert score_clip(metrics_named(["si_sdr"], ENHANCEMENT_METRICS), SPEECH, SPEECH + 0.01, 48_000).failures == {}
    with pytest.raises(ValueError, match="pesq need clips at 16000 Hz, got 48000 Hz"):
        score_clip(metrics_named(["pesq"]), SPEECH, SPEECH, 48_000)


@pytest.mark.parametrize(
    ("reference", "degraded", "failures"),
    [
        pytest.param(
            SILENCE, SPEECH, {"pesq": "No utterances detected", "estoi": "the reference is silent"}, id="no reference"
        ),
        pytest.param(SPEECH, SILENCE, {"pesq": "the degraded clip is silent"}, id="nothing arrives"),
        pytest.param(
            SPEECH[:3000], SPEECH[:3000], dict.fromkeys(("pesq", "estoi", "plcmos"), "shorter than 0.5 s"), id="short"
        ),
    ],
)
def test_a_metric_that_has_no_value_gives_nan_and_a_reason(reference, degraded, failures):
    scores = score_clip(metrics_named(["pesq", "estoi", "plcmos"]), reference, degraded)
    assert scores.failures == failures
    assert {name for name, value in scores.values.items() if np.isnan(value)} == set(failures)


def test_a_result_that_is_not_finite_is_a_failure():
    broken = Metric("broken", "Broken", 1, "pesq", lambda reference, degraded: float("inf"))
    assert score_clip([broken], SPEECH, SPEECH).failures == {"broken": "the result is not finite"}


@pytest.mark.parametrize(
    ("degraded", "message"),
    [
        pytest.param(SPEECH[:-1], r"must both have shape \(samples,\)", id="another length"),
        pytest.param(np.full_like(SPEECH, np.nan), "not finite", id="not a number"),
    ],
)
def test_what_is_no_pair_of_clips_is_refused(degraded, message):
    with pytest.raises(ValueError, match=message):
        score_clip(metrics_named(["pesq"]), SPEECH, degraded)


def test_unknown_metrics_are_named():
    with pytest.raises(ValueError, match="some of plcmos, pesq, estoi, got beauty"):
        metrics_named(["pesq", "beauty"])
    with pytest.raises(ValueError, match="got none"):
        metrics_named([])


@pytest.mark.parametrize(
    ("name", "module"),
    [
        pytest.param("pesq", "pesq", id="PESQ"),
        pytest.param("estoi", "pystoi", id="ESTOI"),
        pytest.param("plcmos", "speechmos", id="PLCMOS"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "speechmos.plcmos", None)
    with pytest.raises(MissingExtraError, match=rf"{module} is not installed.*vivavoce\[evaluate\]"):
        metrics_named([name])


def test_pesq_takes_minutes_of_speech(speech_16k):
    """The package overruns its stack on many utterances at once; in a process of its own that would be an abort."""
    long = np.tile(speech_16k, 34)
    assert pesq_wb(long, long) == pytest.approx(4.64, abs=0.01)
