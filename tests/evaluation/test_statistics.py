import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.evaluation.statistics import mean_interval, paired_interval


@pytest.mark.parametrize(
    ("clips", "low", "high"),
    [pytest.param(70, 0.93, 0.97, id="70 clips"), pytest.param(12, 0.905, 0.96, id="12 clips")],
)
def test_the_interval_covers_the_mean_of_normal_data_as_often_as_it_says(clips, low, high):
    random = np.random.default_rng(1)
    intervals = [mean_interval(random.normal(3.0, 0.5, clips)) for _ in range(400)]
    covered = np.mean([interval.low <= 3.0 <= interval.high for interval in intervals])
    assert low <= covered <= high


def test_the_interval_is_that_of_the_normal_distribution_for_many_clips():
    values = np.random.default_rng(2).normal(0.0, 1.0, 400)
    interval = mean_interval(values)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.half_width == pytest.approx(1.96 * values.std(ddof=1) / 20, rel=0.03)


def test_more_confidence_is_a_longer_interval():
    values = np.random.default_rng(3).normal(size=30)
    assert mean_interval(values, 0.99).half_width > mean_interval(values, 0.9).half_width


def test_a_pair_of_clips_is_compared_clip_by_clip():
    baseline = np.random.default_rng(4).normal(2.0, 1.0, 50)
    interval = paired_interval(baseline + 0.25, baseline)
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.25, 0.25, 0.25))
    assert mean_interval(baseline).half_width > 0.2


def test_clips_without_a_figure_are_left_out():
    assert mean_interval([1.0, float("nan"), 3.0]) == mean_interval([1.0, 3.0])
    assert paired_interval([1.0, 5.0, 3.0], [float("nan"), 1.0, 1.0]).count == 2


@pytest.mark.parametrize(
    ("values", "mean", "count"),
    [pytest.param([], "nan", 0, id="none"), pytest.param([2.5], "2.5", 1, id="one")],
)
def test_too_few_clips_have_no_interval(values, mean, count):
    interval = mean_interval(values)
    assert (str(interval.mean), str(interval.low), str(interval.high), interval.count) == (mean, "nan", "nan", count)


@given(values=st.lists(st.floats(-5, 5), min_size=2, max_size=30))
@settings(max_examples=40, deadline=None)
def test_the_mean_lies_in_its_interval_and_repeats(values):
    interval = mean_interval(values)
    assert interval.low - 1e-9 <= interval.mean <= interval.high + 1e-9
    assert mean_interval(values) == interval


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: mean_interval([1.0, 2.0], 1.0), "confidence", id="certainty"),
        pytest.param(lambda: mean_interval([[1.0, 2.0]]), r"shape \(clips,\)", id="a table"),
        pytest.param(lambda: paired_interval([1.0], [1.0, 2.0]), "same clips", id="unequal pairs"),
    ],
)
def test_wrong_values_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
