#include "comb.h"

#include <algorithm>
#include <numeric>

#include "pitch.h"
#include "simd.h"

namespace vivavoce {
namespace {

/// 1/2 + 1/2 cos(pi k / 6) for k = -5 ... 5.
constexpr float kHann[2 * kCombTaps + 1] = {0.0669872981f, 0.25f, 0.5f, 0.75f, 0.933012702f, 1.f,
                                            0.933012702f,  0.75f, 0.5f, 0.25f, 0.0669872981f};

}  // namespace

CombTaps::CombTaps(int period, int lookahead)
    : count(kCombTaps + 1 + std::min(kCombTaps, lookahead * kHop / period)), weights() {
  const float sum = std::accumulate(kHann, kHann + count, 0.f);
  for (int k = 0; k < count; ++k) weights[k] = kHann[k] / sum;
}

float CombTaps::NoiseGain() const {
  float gain = 0.f;
  for (const float weight : weights) gain += weight * weight;
  return gain;
}

void Comb(const float* frame, int period, const CombTaps& taps, float* out) {
  constexpr int kVectors = 4;
  static_assert(kWindow % (kVectors * kLanes) == 0, "no samples are left over");
  for (int n = 0; n < kWindow; n += kVectors * kLanes) {
    F32x4 sum[kVectors] = {};
    const float* from = frame + n - kCombTaps * period;
    for (int k = 0; k < taps.count; ++k, from += period) {
      const F32x4 weight = Splat<F32x4>(taps.weights[k]);
      for (int i = 0; i < kVectors; ++i) sum[i] += weight * Load<F32x4>(from + i * kLanes);
    }
    for (int i = 0; i < kVectors; ++i) Store(out + n + i * kLanes, sum[i]);
  }
}

}  // namespace vivavoce
