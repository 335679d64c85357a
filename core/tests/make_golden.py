"""Write golden.h: what the NumPy reference says that the core must compute.

    PYTHONPATH=src python core/tests/make_golden.py

The native tests then need no Python. tests/core/test_golden.py fails when golden.h is not what this script makes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vivavoce.signal import hann_window, vorbis_window

GOLDEN = Path(__file__).with_name("golden.h")

# Every radix alone, in pairs, and with the lanes of the first pass in use (64, 80) or not (2 ... 50).
TRANSFORM_SIZES = (2, 4, 6, 8, 10, 18, 30, 50, 64, 80)
WINDOW_SIZES = (2, 6, 16, 20)

HEADER = """\
// Golden vectors of the NumPy reference. Made by make_golden.py: do not edit.
#pragma once

#include <vector>

namespace vivavoce::testing {

/// The spectrum of Noise(size): size/2 + 1 pairs (real, imaginary).
struct GoldenTransform {
  int size;
  std::vector<float> spectrum;
};

struct GoldenWindow {
  int size;
  std::vector<float> vorbis;
  std::vector<float> hann;
};
"""


def noise(count: int, seed: int = 1) -> np.ndarray:
    """The same numbers as Noise() in noise.h, shape (count,), float64."""
    values = []
    for _ in range(count):
        seed = (1664525 * seed + 1013904223) % 2**32
        signed = seed - 2**32 if seed >= 2**31 else seed
        values.append((signed >> 8) / 2**23)
    return np.array(values)


def braced(values: np.ndarray, indent: str = "     ") -> str:
    """The numbers as a C++ initialiser, as many to a line as fit into 120 columns."""
    lines = [indent]
    for value in values:
        number = f"{np.float32(value):.9g}"
        number += "f, " if "." in number or "e" in number else ".f, "
        if len(lines[-1]) + len(number) > 116:
            lines.append(indent)
        lines[-1] += number
    return "{\n" + "\n".join(line.rstrip() for line in lines).removesuffix(",") + "}"


def golden_text() -> str:
    """What golden.h must hold."""
    parts = [HEADER, "\ninline const std::vector<GoldenTransform> kGoldenTransforms = {\n"]
    for size in TRANSFORM_SIZES:
        spectrum = np.fft.rfft(noise(size))
        parts.append(f"    {{{size}, {braced(np.stack([spectrum.real, spectrum.imag], axis=1).ravel())}}},\n")
    parts.append("};\n\ninline const std::vector<GoldenWindow> kGoldenWindows = {\n")
    for size in WINDOW_SIZES:
        parts.append(f"    {{{size}, {braced(vorbis_window(size))},\n     {braced(hann_window(size))}}},\n")
    parts.append("};\n\n}  // namespace vivavoce::testing\n")
    return "".join(parts)


if __name__ == "__main__":
    GOLDEN.write_text(golden_text())
