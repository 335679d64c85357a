// Elementary functions of our own: exp, log and tanh in float for signals and networks, sine and cosine in double for
// tables.
//
// Those of the C library differ between systems and processors, and with them every bit that a recurrent network
// produces afterwards. These are polynomials: the same bits everywhere, one vector at a time. The errors below
// were measured against libm in double over a dense sweep of all floats (tests/core/test_elementary.py holds them).
#pragma once

#include <cstddef>

#include "simd.h"

namespace vivavoce {

/// e^x within 1.1 ulp. Results below the smallest normal number, 2^-126, are 0; above the largest, infinity; NaN stays.
F32x4 Exp(F32x4 x);

/// Natural logarithm within 1.1 ulp, for subnormal x too. log(0) is -infinity, that of negative numbers NaN.
F32x4 Log(F32x4 x);

/// Hyperbolic tangent within 4e-7, relative and therefore also absolute; odd, never beyond [-1, 1], and exactly +-1
/// from |x| = 9.02, where the true value rounds to it. NaN stays.
F32x4 Tanh(F32x4 x);

/// The functions above for `count` numbers. `out` may be `in`.
void Exp(const float* in, float* out, size_t count);
void Log(const float* in, float* out, size_t count);
void Tanh(const float* in, float* out, size_t count);

struct SinCos {
  double sin;
  double cos;
};

/// Sine and cosine of `turns` * 2 pi within 1e-15, for turns in [0, 1]; exact at quarters of a turn.
SinCos SinCosOfTurns(double turns);

}  // namespace vivavoce
