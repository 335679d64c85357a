#include "concealer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "sane.h"
#include "simd.h"

namespace vivavoce {
namespace {

/// What is added to c0 in the frames of a gap, and from there on in each. One unit is 2.4 dB.
constexpr float kAttenuation[] = {0.f, 0.f, -.2f, -.2f, -.4f, -.4f, -.8f, -.8f, -1.6f, -1.6f};
constexpr float kDecay = -2.f;
constexpr int kAttenuations = sizeof kAttenuation / sizeof *kAttenuation;
constexpr float kMaxRise = 2.f;  // of energy over what preceded the gap: 3 dB
constexpr int kRamp = 40;        // samples in which a limit is taken back
constexpr float kQuiet = 1e-12f;

float Energy(const float* x, int count) {
  F32x4 sum = Splat<F32x4>(0.f);
  for (int i = 0; i < count; i += kLanes) sum += Load<F32x4>(x + i) * Load<F32x4>(x + i);
  return Sum(sum);
}

float Attenuation(int frame) {
  if (frame < kAttenuations) return kAttenuation[frame];
  return kAttenuation[kAttenuations - 1] + kDecay * static_cast<float>(frame - kAttenuations + 1);
}

}  // namespace

Concealer::Concealer(const PredictorNetwork& predictor, Int8Path predictor_path, const FarganNetwork& vocoder,
                     Int8Path vocoder_path)
    : predictor_(&predictor),
      vocoder_(&vocoder),
      predictor_path_(predictor_path),
      vocoder_path_(vocoder_path),
      memory_(new (std::nothrow) char[bytes()]) {
  if (memory_ != nullptr) Reset();
}

void Concealer::Reset() { std::memset(memory_.get(), 0, bytes()); }

bool Concealer::CopyState(const Concealer& other) {
  if (predictor_ != other.predictor_ || vocoder_ != other.vocoder_) return false;
  if (this != &other) std::memcpy(memory_.get(), other.memory_.get(), bytes());
  return true;
}

void Concealer::Receive(const float* in, int count, float* out) {
  State& s = state();
  for (int i = 0; i < count; ++i) out[i] = Sane(Splat<F32x4>(in[i]))[0];
  const int fade = s.in_gap ? std::min(count, kFade) : 0;
  if (fade > 0) {
    float made[kFade];
    Continue(made, fade);
    double product = 0., made_energy = kQuiet, out_energy = kQuiet;
    for (int i = 0; i < fade; ++i) {
      product += double{made[i]} * out[i];
      made_energy += double{made[i]} * made[i];
      out_energy += double{out[i]} * out[i];
    }
    // Signals that have nothing in common lose 3 dB in the middle of a linear fade: as much is given back.
    const float likeness = static_cast<float>(std::clamp(product / std::sqrt(made_energy * out_energy), 0., 1.));
    for (int i = 0; i < fade; ++i) {
      const float share = (static_cast<float>(i) + 0.5f) / static_cast<float>(fade);
      const float rest = 1.f - share;
      const float power = share * share + rest * rest + 2.f * share * rest * likeness;
      out[i] = (share * out[i] + rest * made[i]) / std::sqrt(power);
    }
  }
  s.in_gap = false;
  Remember(out, count, false);
}

void Concealer::Conceal(float* out, int count) {
  State& s = state();
  if (!s.in_gap) Begin();
  Continue(out, count);
  Remember(out, count, true);
}

/// The next samples of a gap.
void Concealer::Continue(float* out, int count) {
  State& s = state();
  while (count > 0) {
    if (s.left == 0) MakeFrame();
    const int now = std::min(count, s.left);
    out = std::copy_n(s.frame + kSpeechHop - s.left, now, out);
    s.left -= now;
    count -= now;
  }
}

void Concealer::Remember(const float* samples, int count, bool made) {
  State& s = state();
  const int newest = std::min(count, kHistory), kept = kHistory - newest;
  std::memmove(s.history, s.history + newest, static_cast<size_t>(kept) * sizeof(float));
  std::memmove(s.made, s.made + newest, static_cast<size_t>(kept));
  std::copy_n(samples + count - newest, newest, s.history + kept);
  std::memset(s.made + kept, made, static_cast<size_t>(newest));
}

/// Lets predictor and vocoder hear what was before the gap.
void Concealer::Begin() {
  State& s = state();
  s.in_gap = true;
  s.frames = s.left = 0;
  s.loudest = 0.f;
  s.limit = 1.f;
  std::memset(&s.analysis, 0, sizeof s.analysis);
  std::memset(predictor_state(), 0, predictor_->state_bytes());
  constexpr int kFirst = kHops - kHeard;
  float features[kHops][kSpeechFeatures];
  for (int hop = 0; hop < kHops; ++hop) {
    const float* const samples = s.history + hop * kSpeechHop;
    analysis_.Advance(samples, &s.analysis, features[hop]);
    if (hop < kFirst) continue;
    s.loudest = std::max(s.loudest, Energy(samples, kSpeechHop));
    float inputs[PredictorNetwork::kInputs] = {}, unused[kSpeechFeatures];
    const uint8_t* const made = s.made + hop * kSpeechHop;
    if (std::count(made, made + kSpeechHop, 1) <= kSpeechHop / 2) {
      BurgFeatures(analysis_, samples + kSpeechHop, inputs);
      std::copy_n(features[hop], kSpeechFeatures, inputs + kBurgFeatures);
      inputs[PredictorNetwork::kInputs - 1] = PredictorNetwork::kReceived;
    }
    predictor_->Step(predictor_path_, predictor_state(), inputs, unused);
  }
  constexpr int kFollowed = 2;
  const float* const followed = s.history + kHistory - kFollowed * kSpeechHop;
  vocoder_->Begin(vocoder_state(), followed - FarganNetwork::kMemory - 1);
  for (int hop = kHops - 4; hop < kHops - 1; ++hop) vocoder_->Feed(vocoder_state(), features[hop]);
  vocoder_->Follow(vocoder_path_, vocoder_state(), features[kHops - 1], followed);
  float next[kSpeechFeatures];
  Predict(next);
  vocoder_->Follow(vocoder_path_, vocoder_state(), next, followed + kSpeechHop);
}

/// Features at the end of the next frame.
void Concealer::Predict(float* features) {
  State& s = state();
  const float nothing[PredictorNetwork::kInputs] = {};
  predictor_->Step(predictor_path_, predictor_state(), nothing, features);
  features[0] += Attenuation(s.frames++);
}

void Concealer::MakeFrame() {
  State& s = state();
  float features[kSpeechFeatures];
  Predict(features);
  vocoder_->Synthesise(vocoder_path_, vocoder_state(), features, s.frame);
  LimitFrame();
  s.left = kSpeechHop;
}

/// No frame is more than 3 dB louder than the loudest before the gap.
void Concealer::LimitFrame() {
  State& s = state();
  const float energy = Energy(s.frame, kSpeechHop);
  const float allowed = kMaxRise * s.loudest;
  const float limit = energy > allowed ? std::sqrt(allowed / energy) : 1.f;
  const float from = std::min(s.limit, limit);  // it falls at once, and rises slowly
  for (int i = 0; i < kSpeechHop && from < 1.f; ++i) {
    const float share = std::min(static_cast<float>(i + 1) / kRamp, 1.f);
    s.frame[i] *= from + share * (limit - from);
  }
  s.limit = limit;
}

}  // namespace vivavoce
