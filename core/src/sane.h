// What nothing downstream of a signal's input is disturbed by.
#pragma once

#include <algorithm>
#include <limits>

#include "simd.h"

namespace vivavoce {

inline constexpr float kLargestSample = 4.f;  // 12 dB above full scale

/// Limited to +-kLargestSample; what is not finite becomes 0.
inline F32x4 Sane(F32x4 x) {
  const F32x4 magnitude = FromBits(Bits(x) & 0x7fffffff);
  const F32x4 limited = Select(x > kLargestSample, Splat<F32x4>(kLargestSample), x);
  return Select(magnitude < std::numeric_limits<float>::infinity(),
                Select(x < -kLargestSample, Splat<F32x4>(-kLargestSample), limited), Splat<F32x4>(0.f));
}

/// From `low` to `high`; NaN becomes `low`.
inline float Limited(float x, float low, float high) { return std::min(std::max(low, x), high); }

}  // namespace vivavoce
