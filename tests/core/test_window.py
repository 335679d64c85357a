"""Windows of the core against those of the NumPy reference."""

import numpy as np
import pytest

from vivavoce import _core, signal

SIZES = [2, 4, 6, 20, 320, 512, 960, 1920, 4096]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["vorbis_window", "hann_window"])
def test_the_core_has_the_window_of_the_reference(name, size):
    window = getattr(_core, name)(size)
    assert window.dtype == np.float32
    assert window.shape == (size,)
    np.testing.assert_allclose(window, getattr(signal, name)(size), rtol=0, atol=6e-8)  # half a unit in the last place


@pytest.mark.parametrize("size", [-2, 0, 1, 3, 2**40])
def test_bad_vorbis_sizes_are_named(size):
    with pytest.raises(ValueError, match=f"even and from 2 .*, got {size}$"):
        _core.vorbis_window(size)


@pytest.mark.parametrize("size", [-1, 0, 2**40])
def test_bad_hann_sizes_are_named(size):
    with pytest.raises(ValueError, match=f"from 1 .*, got {size}$"):
        _core.hann_window(size)
