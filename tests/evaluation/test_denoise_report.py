import json
import re

import numpy as np
import pytest
import soundfile

from vivavoce.enhancement.denoiser import FrameReport
from vivavoce.enhancement.files import denoise_file
from vivavoce.evaluation import denoise_report
from vivavoce.evaluation.denoise_report import (
    BAND_ROWS,
    GAIN_FLOOR_DB,
    PITCH_RATE,
    VOICE_ROWS,
    DenoiseTrace,
    draw_pitch,
    gains_picture,
    quality,
    voice_picture,
    write_denoise_report,
)
from vivavoce.evaluation.metrics import Metric
from vivavoce.evaluation.report import report_files
from vivavoce.evaluation.spectrogram import LEVELS


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def frame(gain=1.0, period=240.0, correlation=0.9, voice=1.0):
    return FrameReport(np.full(34, gain, np.float32), np.zeros(34, np.float32), period, correlation, voice)


@pytest.fixture
def denoised(tmp_path, random_model, speech_16k):
    """Two channels of 1.5 s, their trace, and the result."""
    soundfile.write(tmp_path / "in.wav", np.stack([speech_16k[:24_000], np.zeros(24_000)], axis=1), 16_000)
    trace = DenoiseTrace()
    done = denoise_file(tmp_path / "in.wav", tmp_path / "out.wav", random_model, watch=lambda reader, rate: trace)
    return trace, done


def test_the_report_is_a_page_two_sounds_and_five_pictures(tmp_path, denoised):
    scores = {"noisy": {"DNSMOS OVRL": 1.5}, "cleaned": {"DNSMOS OVRL": 2.5}}
    page = write_denoise_report(tmp_path / "report", *denoised, scores=scores, notes={"input": "in.wav"})
    files = report_files(["noisy", "cleaned"], ["gains", "pitch", "voice"])
    assert sorted(path.name for path in page.parent.iterdir()) == sorted(files)
    data = data_of(page.read_text())
    assert data["duration_s"] == 1.5
    assert [track["key"] for track in data["tracks"]] == ["noisy", "cleaned"]
    assert [picture["key"] for picture in data["pictures"]] == ["gains", "pitch", "voice"]
    assert len(data["frames"]["voice"]) == len(data["frames"]["pitch_hz"]) == 150
    rows = {row["name"]: row for group in data["table"] for row in group["rows"]}
    assert rows["DNSMOS OVRL"] == {"name": "DNSMOS OVRL", "values": ["1.50", "2.50"], "better": 1}
    assert dict(data["settings"])["channels"] == "2, shown as their mean"
    for name, place in (("noisy", "in.wav"), ("cleaned", "out.wav")):
        heard, rate = soundfile.read(page.parent / f"{name}.wav")
        assert rate == 16_000
        mixed = soundfile.read(tmp_path / place)[0].mean(axis=1)
        np.testing.assert_allclose(heard, mixed, atol=2**-15)


def test_quality_is_dnsmos_of_the_first_minute_of_both(denoised, monkeypatch):
    """DNSMOS itself, which takes long to import, has tests of its own."""
    metrics = [Metric("ovrl", "OVRL", 2, "speechmos", lambda reference, degraded: len(degraded) / 1000)]
    monkeypatch.setattr(denoise_report, "metrics_named", lambda names, known: metrics)
    monkeypatch.setattr(denoise_report, "SCORED_S", 1)
    assert quality(*denoised) == {"noisy": {"DNSMOS OVRL": 16}, "cleaned": {"DNSMOS OVRL": 16}}


def test_an_earlier_report_is_not_replaced_unasked(tmp_path, denoised):
    write_denoise_report(tmp_path / "report", *denoised)
    (tmp_path / "report" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="--force"):
        write_denoise_report(tmp_path / "report", *denoised)
    write_denoise_report(tmp_path / "report", *denoised, force=True)
    assert (tmp_path / "report" / "thesis.txt").read_text() == "mine"


def test_a_trace_takes_the_mean_of_gains_and_the_pitch_of_who_speaks():
    trace = DenoiseTrace()
    block = np.array([[1, 0], [0, 0]], np.float32)
    trace(block, block / 2, [frame(0.5, 480, 0.2, 0.1), frame(1, 240, 0.8, 0.9)])
    trace(block, block / 2, [])
    trace(block, block / 2, [frame(0, 0, 0, 0), frame(0, 0, 0, 0)])
    np.testing.assert_array_equal(trace.noisy, [0.5, 0] * 3)
    np.testing.assert_array_equal(trace.cleaned, [0.25, 0] * 3)
    np.testing.assert_allclose(trace.frames[:, :3], [[200, 0.8, 0.9], [0, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(trace.frames[:, 3:], np.repeat([[0.75], [0]], 34, axis=1))


def test_gains_are_drawn_in_decibels_with_treble_above():
    gains = np.zeros((4, 34), np.float32)
    gains[:, 0] = 1
    gains[2:, 33] = 10 ** (GAIN_FLOOR_DB / 40)  # half way down
    picture = gains_picture(gains, 4)
    assert picture.shape == (34 * BAND_ROWS, 4)
    assert (picture[-BAND_ROWS:] == LEVELS - 1).all()
    assert (picture[:BAND_ROWS, :2] == 0).all()
    assert picture[:BAND_ROWS, 2:] == pytest.approx((LEVELS - 1) / 2, abs=1)
    assert gains_picture(gains, 2)[0].tolist() == pytest.approx([0, (LEVELS - 1) / 2], abs=1)


def test_pitch_is_drawn_at_its_height_where_there_is_voice():
    levels = np.zeros((200, 5), np.uint8)
    frames = np.array([[250, 0.9, 1], [250, 0.2, 1], [250, 0.9, 0.2], [0, 0.9, 1], [999, 0.9, 1]], np.float32)
    draw_pitch(levels, frames)
    drawn = [np.flatnonzero(column) for column in levels.T]
    assert np.mean(drawn[0]) + 0.5 == pytest.approx(200 * (1 - 250 / (PITCH_RATE / 2)), abs=1)
    assert set(levels[drawn[0], 0]) == {LEVELS}
    assert set(levels[drawn[1], 1]) == {LEVELS + 1}
    assert len(drawn[2]) == len(drawn[3]) == 0
    assert drawn[4].tolist() == [0, 1, 2]  # cut at the edge


def test_voice_is_a_curve():
    picture = voice_picture(np.array([0, 0.5, 1, 1], np.float32), 4)
    assert (picture == LEVELS + 1).sum(axis=0).tolist() == [0, VOICE_ROWS // 2, VOICE_ROWS, VOICE_ROWS]
    assert picture[-1, 1] == LEVELS + 1
