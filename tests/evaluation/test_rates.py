import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.evaluation.rates import MAX_PASSES, equal_rate


def counted(encoder):
    """The encoder, and the targets that it was asked for."""
    asked = []

    def measure(target_bps):
        asked.append(target_bps)
        return encoder(target_bps)

    return measure, asked


@pytest.mark.parametrize(
    ("encoder", "passes"),
    [
        pytest.param(lambda target: target, 1, id="exact"),
        pytest.param(lambda target: 0.9 * target, 2, id="a tenth too low"),
        pytest.param(lambda target: 1.3 * target + 2000, 4, id="headers on top"),
        pytest.param(lambda target: 60 * target**0.6, 6, id="curved"),
        pytest.param(lambda target: target * (0.8 if target < 33_000 else 0.95), 6, id="redundancy sets in"),
    ],
)
def test_the_target_is_moved_until_the_rate_is_right(encoder, passes):
    measure, asked = counted(encoder)
    rate = equal_rate(32_000, measure)
    assert rate.reached
    assert rate.measured_bps == encoder(rate.target_bps) == pytest.approx(32_000, rel=0.01)
    assert len(asked) <= passes


@given(gain=st.floats(0.3, 3.0), offset=st.floats(0, 8000), column=st.sampled_from([24_000, 32_000, 48_000]))
@settings(deadline=None)
def test_any_straight_encoder_is_brought_to_its_column(gain, offset, column):
    rate = equal_rate(column, lambda target: gain * target + offset)
    assert rate.measured_bps == pytest.approx(column, rel=0.01)
    assert rate.reached


def test_a_rate_that_the_encoder_jumps_over_is_missed_by_the_least():
    measure, asked = counted(lambda target: 20_000 if target < 30_000 else 36_000)
    rate = equal_rate(32_000, measure)
    assert (rate.measured_bps, rate.reached) == (36_000, False)
    assert len(asked) <= MAX_PASSES


def test_an_encoder_at_its_limit_is_said_not_to_reach_the_column():
    rate = equal_rate(48_000, lambda target: min(target, 40_000))
    assert (rate.measured_bps, rate.reached) == (40_000, False)


def test_a_target_out_of_range_ends_the_search():
    def encoder(target_bps):
        if target_bps > 40_000:
            raise ValueError("too fast")
        return target_bps / 2

    rate = equal_rate(32_000, encoder)
    assert (rate.target_bps, rate.reached) == (32_000, False)


def test_a_first_target_out_of_range_is_an_error():
    def encoder(target_bps):
        raise ValueError(f"{target_bps} b/s leave nothing for Opus")

    with pytest.raises(ValueError, match="6000 b/s leave nothing"):
        equal_rate(6000, encoder)


def test_a_good_first_guess_saves_passes():
    measure, asked = counted(lambda target: 0.9 * target)
    equal_rate(32_000, measure, start_bps=32_000 / 0.9)
    assert len(asked) == 1


def test_no_column_is_zero():
    with pytest.raises(ValueError, match="above 0"):
        equal_rate(0, lambda target: target)
