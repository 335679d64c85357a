"""The golden vectors of the native tests are those that the NumPy reference makes today."""

import importlib.util
import re
from pathlib import Path

import numpy as np

CORE_TESTS = Path(__file__).parents[2] / "core/tests"


def load_script():
    spec = importlib.util.spec_from_file_location("make_golden", CORE_TESTS / "make_golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(text):
    return np.array([float(number) for number in re.findall(r"-?\d+(?:\.\d*)?(?:e-?\d+)?(?=f[,}])", text)])


def test_the_committed_vectors_are_those_of_the_script():
    """Compared as numbers: another NumPy may round the last digit of a transform otherwise."""
    script = load_script()
    committed, made = numbers(script.GOLDEN.read_text()), numbers(script.golden_text())
    assert committed.shape == made.shape
    assert len(committed) > 300
    np.testing.assert_allclose(committed, made, rtol=1e-6, atol=1e-6)
