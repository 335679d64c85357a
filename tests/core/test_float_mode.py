"""Subnormals are flushed inside a call of the core and nowhere else: the modes of the caller's thread come back."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vivavoce import _core

# MXCSR keeps the exceptions that have happened in its low six bits: every calculation of Python may set them.
CONTROL_BITS = ~0x3F

pytestmark = pytest.mark.skipif(_core.real_time_float_mode() == 0, reason="the modes of this processor are not known")

SUBNORMAL = np.full(320, 1e-40, np.float32)


def python_keeps_subnormals():
    return sys.float_info.min / 2 > 0 and np.float32(1e-38) * np.float32(0.5) > 0


@pytest.fixture
def restored_mode():
    before = _core.float_mode()
    yield before
    _core.set_float_mode(before)


CALLS = {
    "forward": lambda: _core.RealFft(320).forward(SUBNORMAL),
    "inverse": lambda: _core.RealFft(320).inverse(np.full(161, 1e-40, np.complex64)),
    "vorbis_window": lambda: _core.vorbis_window(320),
    "hann_window": lambda: _core.hann_window(320),
    "exp": lambda: _core.exp(SUBNORMAL),
    "log": lambda: _core.log(SUBNORMAL),
    "tanh": lambda: _core.tanh(SUBNORMAL),
}


@pytest.mark.parametrize("flush", [False, True], ids=["caller keeps subnormals", "caller flushes subnormals"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_restores_the_modes(call, flush, restored_mode):
    if flush:
        _core.set_float_mode(_core.real_time_float_mode())
        assert not python_keeps_subnormals()
    before = _core.float_mode() & CONTROL_BITS
    call()
    assert _core.float_mode() & CONTROL_BITS == before
    assert python_keeps_subnormals() != flush


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_the_modes_of_the_caller_do_not_change_the_bits(call, restored_mode):
    expected = call().tobytes()
    _core.set_float_mode(_core.real_time_float_mode())
    assert call().tobytes() == expected


def test_subnormals_are_flushed_inside():
    assert SUBNORMAL[0] > 0
    assert not _core.RealFft(320).forward(SUBNORMAL).any()


def test_a_refused_call_restores_the_modes():
    before = _core.float_mode() & CONTROL_BITS
    with pytest.raises(ValueError, match="size"):
        _core.RealFft(7)
    with pytest.raises(ValueError, match="size"):
        _core.hann_window(0)
    assert _core.float_mode() & CONTROL_BITS == before


def test_threads_keep_their_own_modes():
    def transform_and_look(_):
        for _ in range(100):
            _core.RealFft(960).forward(np.zeros(960, np.float32))
        return _core.float_mode() & CONTROL_BITS, python_keeps_subnormals()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(transform_and_look, range(32))) == {(_core.float_mode() & CONTROL_BITS, True)}
