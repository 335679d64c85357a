#include "postfilter.h"

#include <algorithm>
#include <cmath>

#include "simd.h"

namespace vivavoce {
namespace {

constexpr float kBeta = 0.02f;
constexpr float kMaxDecay = 0.501187234f;  // 10^(-3 * 10 ms / 100 ms): amplitude, a frame
constexpr float kMaxRematch = 2.f;         // a comb-filtered band that cancels the noisy one is raised by 6 dB at most
constexpr float kTiny = 1e-20f;

/// sin(pi/2 x) for x in [0, 1], within 1e-7: the series up to x^11.
inline F32x4 SineOfQuarters(F32x4 x) {
  static constexpr float kSeries[] = {1.57079633f,     -0.645964098f,   0.0796926262f,
                                      -0.00468175414f, 1.60441185e-4f, -3.59884324e-6f};
  const F32x4 square = x * x;
  F32x4 sum = Splat<F32x4>(kSeries[5]);
  for (int i = 4; i >= 0; --i) sum = sum * square + kSeries[i];
  return sum * x;
}

}  // namespace

void Mix(const ErbBands& bands, const float* noisy, const float* noisy_energies, const float* comb,
         const float* strengths, float* mixed, float* scales) {
  float bins[kPaddedBins];
  bands.Interpolate(strengths, bins);
  for (int i = 0; i < kSpectrumFloats; i += 2 * kLanes) {
    const F32x4 strength = Load<F32x4>(bins + i / 2);
    F32x4 low, high;
    Interleave(strength, strength, &low, &high);
    const F32x4 noisy_low = Load<F32x4>(noisy + i);
    const F32x4 noisy_high = Load<F32x4>(noisy + i + kLanes);
    Store(mixed + i, noisy_low + low * (Load<F32x4>(comb + i) - noisy_low));
    Store(mixed + i + kLanes, noisy_high + high * (Load<F32x4>(comb + i + kLanes) - noisy_high));
  }
  BinEnergies(mixed, bins);
  bands.Sum(bins, scales);
  for (int i = 0; i < kPaddedBands; ++i) {
    scales[i] = std::min(std::sqrt(noisy_energies[i] / std::max(scales[i], kTiny)), kMaxRematch);
  }
}

void Scale(const ErbBands& bands, const float* scales, float* spectrum) {
  float bins[kPaddedBins];
  bands.Interpolate(scales, bins);
  for (int i = 0; i < kSpectrumFloats; i += 2 * kLanes) {
    const F32x4 scale = Load<F32x4>(bins + i / 2);
    F32x4 low, high;
    Interleave(scale, scale, &low, &high);
    Store(spectrum + i, low * Load<F32x4>(spectrum + i));
    Store(spectrum + i + kLanes, high * Load<F32x4>(spectrum + i + kLanes));
  }
}

void EnvelopePostfilter(const float* gains, const float* energies, float* out) {
  F32x4 before_sum = Splat<F32x4>(0.f);
  F32x4 after_sum = Splat<F32x4>(0.f);
  for (int i = 0; i < kPaddedBands; i += kLanes) {
    const F32x4 gain = Load<F32x4>(gains + i);
    const F32x4 energy = Load<F32x4>(energies + i);
    const F32x4 warped = gain * SineOfQuarters(gain);
    before_sum += gain * gain * energy;
    after_sum += warped * warped * energy;
    Store(out + i, warped);
  }
  const float before = Sum(before_sum);
  const float after = Sum(after_sum);
  const float ratio = after > kTiny ? before / after : 1.f;
  // sqrt((1 + beta) r / (1 + beta r^2)), divided through by r for ratios of any size
  const float boost = std::sqrt((1.f + kBeta) / (1.f / ratio + kBeta * ratio));
  for (int i = 0; i < kPaddedBands; ++i) out[i] *= boost;
}

void LimitDecay(float* gains, float* previous) {
  for (int i = 0; i < kPaddedBands; ++i) previous[i] = gains[i] = std::max(gains[i], kMaxDecay * previous[i]);
}

}  // namespace vivavoce
