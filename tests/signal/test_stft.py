import numpy as np
import pytest

from vivavoce.signal import hann_window, vorbis_window

SIZES = [2, 6, 20, 320, 960, 1920]


@pytest.mark.parametrize("size", SIZES)
def test_vorbis_copies_half_a_window_apart_are_power_complementary(size):
    window = vorbis_window(size).astype(np.float64)
    np.testing.assert_allclose(window[: size // 2] ** 2 + window[size // 2 :] ** 2, 1, rtol=0, atol=2e-7)


@pytest.mark.parametrize("size", SIZES)
def test_vorbis_is_symmetric(size):
    np.testing.assert_allclose(vorbis_window(size), vorbis_window(size)[::-1], rtol=0, atol=6e-8)


def test_vorbis_of_four_samples_by_hand():
    """sin^2(pi/8) = (2 - sqrt 2) / 4."""
    low = np.sin(np.pi / 2 * (2 - np.sqrt(2)) / 4)
    high = np.sin(np.pi / 2 * (2 + np.sqrt(2)) / 4)
    np.testing.assert_allclose(vorbis_window(4), [low, high, high, low], rtol=1e-7)


@pytest.mark.parametrize("size", SIZES)
def test_hann_copies_half_a_window_apart_sum_to_one(size):
    window = hann_window(size).astype(np.float64)
    np.testing.assert_allclose(window[: size // 2] + window[size // 2 :], 1, rtol=0, atol=2e-7)


def test_hann_of_four_samples_by_hand():
    np.testing.assert_allclose(hann_window(4), [0, 0.5, 1, 0.5], atol=1e-7)


@pytest.mark.parametrize("window", [vorbis_window, hann_window])
def test_windows_are_float32_between_0_and_1(window):
    values = window(960)
    assert values.dtype == np.float32
    assert values.shape == (960,)
    assert 0 <= values.min() <= values.max() <= 1


@pytest.mark.parametrize(
    ("window", "size"),
    [
        pytest.param(vorbis_window, 0, id="vorbis, nothing"),
        pytest.param(vorbis_window, -2, id="vorbis, negative"),
        pytest.param(vorbis_window, 321, id="vorbis, odd"),
        pytest.param(hann_window, 0, id="hann, nothing"),
    ],
)
def test_bad_sizes_are_named(window, size):
    with pytest.raises(ValueError, match=f"got {size}$"):
        window(size)
