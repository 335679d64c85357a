"""exp, log and tanh of the core against NumPy in double precision, with the errors that elementary.h states."""

import numpy as np
import pytest

from vivavoce import _core

SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal


def floats(first, last, step=251):
    """Every `step`-th float from `first` to `last`, both positive, across all exponents."""
    bits = np.array([first, last], np.float32).view(np.uint32)
    return np.append(np.arange(bits[0], bits[1], step, dtype=np.uint32).view(np.float32), np.float32(last))


def ulps(got, want):
    """Error in units of the last place that float32 has at the true value."""
    unit = np.ldexp(1.0, np.floor(np.log2(np.abs(want))).astype(int) - 23)
    return np.abs(got - want) / unit


@pytest.mark.parametrize("sign", [1, -1])
def test_exp_is_within_1_1_ulp(sign):
    x = sign * floats(1e-30, 88.72 if sign > 0 else 87.33)
    assert ulps(_core.exp(x), np.exp(x.astype(np.float64))).max() < 1.1


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(1e-45, SMALLEST_NORMAL, id="subnormal"),
        pytest.param(SMALLEST_NORMAL, 0.5, id="normal, below a half"),
        pytest.param(0.5, 2.0, id="around one"),
        pytest.param(2.0, 3.4e38, id="above two"),
    ],
)
def test_log_is_within_1_1_ulp(first, last):
    x = floats(first, last)
    x = x[x != 1]
    assert ulps(_core.log(x), np.log(x.astype(np.float64))).max() < 1.1


def test_tanh_is_within_its_error_and_odd_and_bounded():
    x = floats(SMALLEST_NORMAL, 3.4e38)
    got = _core.tanh(x)
    assert np.abs(got / np.tanh(x.astype(np.float64)) - 1).max() < 4e-7
    assert got.max() == 1
    assert (got[x >= np.float32(9.02)] == 1).all()
    assert (_core.tanh(-x) == -got).all()


@pytest.mark.parametrize(
    ("name", "x", "want"),
    [
        ("exp", 0.0, 1.0),
        ("exp", -0.0, 1.0),
        ("exp", 1e-45, 1.0),
        ("exp", -1e-45, 1.0),
        ("exp", 88.72284, np.inf),
        ("exp", np.inf, np.inf),
        ("exp", -87.33655, 0.0),
        ("exp", -3e38, 0.0),
        ("exp", -np.inf, 0.0),
        ("exp", np.nan, np.nan),
        ("log", 1.0, 0.0),
        ("log", 0.0, -np.inf),
        ("log", -0.0, -np.inf),
        ("log", np.inf, np.inf),
        ("log", -1.0, np.nan),
        ("log", -1e-45, np.nan),
        ("log", -np.inf, np.nan),
        ("log", np.nan, np.nan),
        ("tanh", 0.0, 0.0),
        ("tanh", -0.0, -0.0),
        ("tanh", 3e38, 1.0),
        ("tanh", -3e38, -1.0),
        ("tanh", np.inf, 1.0),
        ("tanh", -np.inf, -1.0),
        ("tanh", np.nan, np.nan),
    ],
)
def test_special_values(name, x, want):
    got = getattr(_core, name)(np.array([x], np.float32))
    np.testing.assert_array_equal(got, np.float32([want]))
    assert np.isnan(want) or np.signbit(got[0]) == np.signbit(want)


@pytest.mark.parametrize("count", range(10))
@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
def test_any_length_gives_what_its_elements_give(name, count):
    function = getattr(_core, name)
    x = np.random.default_rng(count).uniform(0.1, 5, count).astype(np.float32)
    together = function(x)
    assert together.shape == (count,)
    assert together.tolist() == [function(x[i : i + 1])[0] for i in range(count)]


@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
def test_bad_arguments_are_named(name):
    function = getattr(_core, name)
    with pytest.raises(TypeError, match="x must be float32, got float64"):
        function(np.zeros(3))
    with pytest.raises(ValueError, match=r"one dimension, got float32 of shape \(2, 2\)"):
        function(np.zeros((2, 2), np.float32))
