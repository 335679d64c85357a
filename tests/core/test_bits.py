"""The installed core gives the bits that the native tests demand of every compiler and processor."""

import re
from pathlib import Path

import numpy as np
import pytest

from vivavoce import _core

NATIVE_TEST = Path(__file__).parents[2] / "core/tests/test_bits.cc"
HASHES = {name: int(value, 16) for name, value in re.findall(r'"(\w+)", .*, (0x[0-9a-f]+)u\)', NATIVE_TEST.read_text())}


def fnv1a(arrays):
    hash_ = 0xCBF29CE484222325
    for array in arrays:
        for byte in array.astype(array.dtype.newbyteorder("<")).tobytes():
            hash_ = (hash_ ^ byte) * 0x100000001B3 % 2**64
    return hash_


def noise(count):
    """Noise() of noise.h."""
    values, seed = np.empty(count, np.uint32), 1
    for i in range(count):
        seed = values[i] = (1664525 * seed + 1013904223) % 2**32
    return ((values.view(np.int32) >> 8) / np.float32(2**23)).astype(np.float32)


def transforms():
    samples = noise(4096)
    for size in range(2, 4097, 2):
        try:
            fft = _core.RealFft(size)
        except ValueError:
            continue
        spectrum = fft.forward(samples[:size])
        yield spectrum
        yield fft.inverse(spectrum)


def sweep(function, *, positive):
    values = np.arange(0x00800000, 0x7F800001, 4099, dtype=np.uint32).view(np.float32)
    yield function(values if positive else np.stack([values, -values], axis=1).ravel())


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        pytest.param("transforms", transforms, id="transforms"),
        pytest.param("exp", lambda: sweep(_core.exp, positive=False), id="exp"),
        pytest.param("log", lambda: sweep(_core.log, positive=True), id="log"),
        pytest.param("tanh", lambda: sweep(_core.tanh, positive=False), id="tanh"),
    ],
)
def test_the_bits_are_those_of_every_other_build(name, arrays):
    assert fnv1a(arrays()) == HASHES[name]
