#include "denoiser.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "elementary.h"
#include "postfilter.h"
#include "simd.h"

namespace vivavoce {
namespace {

constexpr int kSampleRate = 48000;
static_assert(kBands == kPercepNetBands && PercepNetAnalysis::kFeatures == kPercepNetFeatures,
              "analysis and network speak of the same");

}  // namespace

bool Denoiser::Supports(int sample_rate, int lookahead) {
  return sample_rate == kSampleRate && lookahead >= 0 && lookahead <= kMaxLookahead;
}

Denoiser::Denoiser(const PercepNetNetwork& network, Int8Path path, int lookahead)
    : network_(&network), path_(path), analysis_(lookahead), memory_(new (std::nothrow) char[state_bytes()]) {
  if (memory_ != nullptr) Reset();
}

void Denoiser::Reset() { std::memset(memory_.get(), 0, state_bytes()); }

bool Denoiser::CopyState(const Denoiser& other) {
  if (network_ != other.network_) return false;
  if (this == &other) return true;
  settings_ = other.settings_;
  std::memcpy(memory_.get(), other.memory_.get(), state_bytes());
  return true;
}

void Denoiser::set_attenuation_limit(float limit_db) {
  constexpr float kNepersPerDb = 0.115129255f;  // ln 10 / 20
  settings_.wet_share = 1.f - Exp(Splat<F32x4>(-kNepersPerDb * limit_db))[0];
}

float Denoiser::Process(const float* in, float* out) {
  State& s = state();
  analysis_.Advance(in, &s.analysis);
  network_->Step(path_, memory_.get() + kNetworkOffset, s.analysis.features, s.gains, s.strengths, &s.voice);
  if (analysis_.frame(s.analysis) >= 0) {
    Synthesise();
  } else {
    // The network has been told of the silence before the first frame.
    s.voice = 0.f;
  }
  Blend(out);
  return s.voice;
}

/// The hop in which the newest frame overlaps with the one before.
void Denoiser::Synthesise() {
  State& s = state();
  const float* const energies = analysis_.energies(s.analysis);
  float scales[kPaddedBands];
  float gains[kPaddedBands];
  Mix(analysis_.bands(), analysis_.noisy(s.analysis), energies, s.analysis.comb, s.strengths, s.mixed, scales);
  LimitDecay(s.gains, s.previous_gains);
  EnvelopePostfilter(s.gains, energies, gains);
  for (int i = 0; i < kPaddedBands; ++i) scales[i] *= gains[i];
  Scale(analysis_.bands(), scales, s.mixed);
  analysis_.fft().Inverse(s.mixed, s.frame);
  const float* const window = analysis_.window();
  for (int i = 0; i < kHop; i += kLanes) {
    Store(s.wet + i, Load<F32x4>(s.tail + i) + Load<F32x4>(window + i) * Load<F32x4>(s.frame + i));
    Store(s.tail + i, Load<F32x4>(window + kHop + i) * Load<F32x4>(s.frame + kHop + i));
  }
}

/// Wet and dry in proportion. A change of the proportion takes one hop.
void Denoiser::Blend(float* out) {
  State& s = state();
  const float* const dry = analysis_.samples(s.analysis.history);
  const float target = settings_.enabled ? settings_.wet_share : 0.f;
  const float from = s.analysis.hops == 1 ? target : s.wet_share;
  s.wet_share = target;
  if (from == target && (target == 0.f || target == 1.f)) {
    std::copy_n(target == 0.f ? dry : s.wet, kHop, out);
    return;
  }
  const float step = (target - from) / kHop;
  for (int i = 0; i < kHop; ++i) {
    const float share = from + step * static_cast<float>(i + 1);
    out[i] = dry[i] + share * (s.wet[i] - dry[i]);
  }
}

}  // namespace vivavoce
