import io

import av
import numpy as np
import pytest

from vivavoce.evaluation.spectrogram import (
    GAP_ROWS,
    LEVELS,
    LOST_ROWS,
    MAX_COLUMNS,
    ROWS,
    STRIP_ROWS,
    colour_map,
    encode_png,
    levels_of,
    lightness,
    marked,
    power_spectrogram,
    shares_per_column,
)

PAPER, INK, BLUE, RED = (255, 255, 255), (0, 0, 0), (0, 0, 200), (200, 0, 0)


def decoded(png):
    """What a decoder that is not ours makes of it, shape (height, width, 3)."""
    with av.open(io.BytesIO(png)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.mark.parametrize("sample_rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("frequency", [300, 1000, 3500])
def test_a_tone_lies_in_the_row_of_its_frequency(sample_rate, frequency):
    tone = 0.5 * np.sin(2 * np.pi * frequency * np.arange(sample_rate) / sample_rate)
    rows = power_spectrogram(tone.astype(np.float32), sample_rate)[:, 50:-50].argmax(axis=0)
    expected = ROWS - 1 - frequency / (sample_rate / 2) * ROWS
    assert np.abs(rows - expected).max() <= 1


@pytest.mark.parametrize("columns", [None, 400, 30], ids=["5 ms each", "shorter than a window", "longer than a window"])
def test_a_click_lies_in_the_column_of_its_time(columns):
    samples = np.zeros(16_000, dtype=np.float32)
    samples[12_000] = 0.9
    power = power_spectrogram(samples, 16_000, columns).sum(axis=0)
    centre = (power * (np.arange(power.size) + 0.5)).sum() / power.sum() / power.size
    assert centre == pytest.approx(0.75, abs=0.01 + 0.5 / power.size)


def test_nothing_short_is_unseen_in_a_long_call():
    samples = np.zeros(16_000 * 600, dtype=np.float32)
    samples[5_000_000:5_000_080] = 0.5
    power = power_spectrogram(samples, 16_000)
    assert power.shape == (ROWS, MAX_COLUMNS)
    assert set(np.flatnonzero(power.sum(axis=0))) == {5_000_000 * MAX_COLUMNS // samples.size}


@pytest.mark.parametrize("count", [1, 7, 319, 321])
def test_the_shortest_sounds_have_a_picture(count):
    power = power_spectrogram(np.full(count, 0.1, dtype=np.float32), 16_000)
    assert power.shape[1] >= 1
    assert np.isfinite(power).all()


def test_no_samples_have_none():
    with pytest.raises(ValueError, match=r"\(0,\)"):
        power_spectrogram(np.zeros(0, dtype=np.float32), 16_000)


def test_levels_span_eighty_decibels():
    power = np.array([10.0, 1.0, 1e-4, 1e-8, 1e-9, 0.0], dtype=np.float32)
    assert levels_of(power, 1.0).tolist() == [LEVELS - 1, LEVELS - 1, 120, 0, 0, 0]


def test_silence_is_black():
    assert not levels_of(np.zeros((3, 3), dtype=np.float32), 0.0).any()


def test_equal_steps_of_level_are_equal_steps_of_lightness():
    steps = np.diff(lightness(colour_map()))
    assert steps.mean() == pytest.approx(lightness(colour_map())[[0, -1]] @ [-1, 1] / (LEVELS - 1))
    # A colour has eight bits a channel, so that a step of 0.4 is met to within a rounding of each.
    assert np.abs(np.cumsum(steps - steps.mean())).max() < 1.5


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (257, 5)])
def test_another_decoder_reads_our_png(shape):
    random = np.random.default_rng(1)
    palette = random.integers(0, 256, (256, 3), dtype=np.uint8)
    pixels = random.integers(0, 256, shape, dtype=np.uint8)
    assert (decoded(encode_png(pixels, palette)) == palette[pixels]).all()


def test_shares_of_a_column_are_those_of_its_slots():
    values = np.array([0, 1, 1, 1, 2, 2])
    assert shares_per_column(values, 3, 2, 6).T.tolist() == [[1 / 3, 2 / 3, 0], [0, 1 / 3, 2 / 3]]


def test_a_column_narrower_than_a_slot_shows_that_slot():
    assert shares_per_column(np.array([0, 1]), 2, 6, 2)[1].tolist() == [0, 0, 0, 1, 1, 1]


def test_slots_beyond_the_last_are_nothing():
    assert shares_per_column(np.array([0]), 1, 4, 2)[0].tolist() == [1, 1, 0, 0]


def test_the_picture_marks_losses_above_and_sources_below():
    levels = np.zeros((ROWS, 8), dtype=np.uint8)
    lost, sources = np.array([False, True, False, True]), np.array([0, 1, 0, 0])
    picture = decoded(marked(levels, [PAPER, INK, BLUE, RED], lost, sources, 4))
    assert picture.shape == (LOST_ROWS + ROWS + STRIP_ROWS + 2 * GAP_ROWS, 8, 3)
    paper, ink, blue, red = (list(colour) for colour in (PAPER, INK, BLUE, RED))
    for row in (0, LOST_ROWS - 1):
        assert picture[row].tolist() == [paper, paper, ink, ink, paper, paper, ink, ink]
    for row in (-STRIP_ROWS, -1):
        assert picture[row].tolist() == [blue, blue, red, red, blue, blue, blue, blue]
    assert (picture[LOST_ROWS + GAP_ROWS : LOST_ROWS + GAP_ROWS + ROWS] == colour_map()[0]).all()


def test_a_crowded_column_is_stacked_in_proportion():
    sources = np.tile([0, 0, 1], 100)
    picture = decoded(marked(np.zeros((ROWS, 2), np.uint8), [PAPER, INK, BLUE, RED], np.zeros(300, bool), sources, 300))
    strip = picture[-STRIP_ROWS:, 0].tolist()
    assert strip == [list(RED)] * (STRIP_ROWS // 3) + [list(BLUE)] * (2 * STRIP_ROWS // 3)
