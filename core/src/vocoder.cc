#include "vocoder.h"

#include <algorithm>
#include <cstring>

#include "elementary.h"
#include "sane.h"
#include "simd.h"

namespace vivavoce {
namespace {

constexpr float kMaxCepstrum = 100.f;
constexpr float kGlide = 1.25f;  // periods further apart are two pitches
constexpr float kLn2 = 0.693147181f;

/// Whole samples that a pitch feature tells.
int Period(float feature) {
  const float octaves = Limited(feature, -1.5f, 1.5f) + 1.5f;
  const float period = WideBandSearch::kMaxPeriod * Exp(Splat<F32x4>(-kLn2 * octaves))[0];
  return std::clamp(static_cast<int>(0.5f + period), WideBandSearch::kMinPeriod, WideBandSearch::kMaxPeriod);
}

/// Of a sub-frame, between the periods at both ends of its frame.
int SubframePeriod(int before, int after, int index) {
  constexpr int kWhole = 2 * Vocoder::kSubframes;
  const int step = 2 * index + 1;
  const bool glides = static_cast<float>(std::max(before, after)) <= kGlide * static_cast<float>(std::min(before, after));
  if (!glides) return step < kWhole / 2 ? before : after;
  return (before * (kWhole - step) + after * step + kWhole / 2) / kWhole;
}

/// Pre-emphasis, in pieces.
void Sharpen(const float* samples, int count, float limit, float* last, float* sharp) {
  for (int i = 0; i < count; ++i) {
    sharp[i] = Limited(samples[i] - kPreemphasis * *last, -limit, limit);
    *last = Limited(samples[i], -limit, limit);
  }
}

}  // namespace

bool Vocoder::BindFrames(const ModelImage& image, uint32_t dense, uint32_t convolution, uint32_t condition,
                         StateLayout* all) {
  enum Tensor : uint32_t { kFeaturesLayer, kPeriodsLayer, kConvolution, kCondition, kCount };
  static_assert(kCount == kFrameTensors, "as many are left to the vocoder");
  if (!lpc_.ok() || !IsWidth(dense) || !IsWidth(convolution) || !IsWidth(condition)) return false;
  dense_ = static_cast<int>(dense);
  convolution_ = static_cast<int>(convolution);
  condition_ = static_cast<int>(condition);
  if (!image.Get(kFeaturesLayer, dense_, kSpeechFeatures, &features_layer_) ||
      !image.Get(kPeriodsLayer, dense_, kPeriods, &periods_layer_) ||
      !image.Get(kConvolution, convolution_, kTaps * dense_, &convolution_layer_) ||
      !image.Get(kCondition, kSubframes * condition_, convolution_, &condition_layer_)) {
    return false;
  }
  const int widest = std::max({dense_, convolution_, kSubframes * condition_});
  all->Place(1, sizeof(Memory));
  frame_.history = all->Place(kTaps * dense_, 1);
  frame_.conditions = all->Place(kSubframes * condition_, sizeof(float));
  frame_.hidden = all->Place(widest, 1);
  frame_.sums = all->Place(widest, sizeof(int32_t));
  frame_.outputs = all->Place(widest, sizeof(float));
  return true;
}

void Vocoder::Begin(void* state, const float* before) const {
  std::memset(state, 0, bytes_);
  Memory* const memory = At<Memory>(state, 0);
  for (int i = 0; i < kLpcOrder; ++i) {
    memory->samples[i] = Limited(before[i + 1] - kPreemphasis * before[i], -kMaxSample, kMaxSample);
  }
  memory->last_sample = Limited(before[kLpcOrder], -kMaxSample, kMaxSample);
  memory->period = memory->before_period = WideBandSearch::kMaxPeriod;
}

void Vocoder::Feed(void* state, const float* features) const {
  Memory* const memory = At<Memory>(state, 0);
  memory->before_period = memory->period;
  std::copy_n(memory->cepstrum, kBarkBands, memory->before_cepstrum);
  memory->period = Period(features[kBarkBands]);
  memory->before_voicing = memory->voicing;
  memory->voicing = Limited(features[kBarkBands + 1], -.5f, .5f);
  for (int i = 0; i < kBarkBands; ++i) {
    memory->cepstrum[i] = Limited(features[i], -kMaxCepstrum, kMaxCepstrum);
  }
  float* const outputs = At<float>(state, frame_.outputs);
  features_layer_.Apply(features, outputs);
  const int column = memory->period - WideBandSearch::kMinPeriod;
  if (postfilter_.bound()) postfilter_.Feed(state, features, column);
  for (int row = 0; row < dense_; row += kStripRows) {
    const float* const weights = periods_layer_.weights + row * kPeriods + column * kStripRows;
    for (int i = 0; i < kStripRows; ++i) outputs[row + i] += weights[i];
  }
  Tanh(outputs, outputs, static_cast<size_t>(dense_));
  int8_t* const history = At<int8_t>(state, frame_.history);
  const size_t kept = static_cast<size_t>((kTaps - 1) * dense_);
  std::memmove(history, history + dense_, kept);
  Quantise(outputs, history + kept, dense_);
}

/// What all sub-frames of the newest frame are told.
void Vocoder::Condition(Int8Path path, void* state) const {
  int32_t* const sums = At<int32_t>(state, frame_.sums);
  float* const outputs = At<float>(state, frame_.outputs);
  float* const conditions = At<float>(state, frame_.conditions);
  int8_t* const hidden = At<int8_t>(state, frame_.hidden);
  convolution_layer_.Apply(path, At<int8_t>(state, frame_.history), sums, outputs);
  Tanh(outputs, outputs, static_cast<size_t>(convolution_));
  Quantise(outputs, hidden, convolution_);
  condition_layer_.Apply(path, hidden, sums, conditions);
  Tanh(conditions, conditions, static_cast<size_t>(kSubframes * condition_));
}

/// Calls `one` with each sub-frame and the places of its excitation and its pre-emphasised samples, and remembers what
/// it writes there.
template <class One>
void Vocoder::ForSubframes(void* state, One one) const {
  Memory* const memory = At<Memory>(state, 0);
  for (int index = 0; index < kSubframes; ++index) {
    Subframe subframe = {index, At<float>(state, frame_.conditions) + index * condition_, {}, 0.f, 0.f, 0};
    const float part = static_cast<float>(2 * index + 1) / (2 * kSubframes);
    float cepstrum[kBarkBands];
    for (int i = 0; i < kBarkBands; ++i) {
      cepstrum[i] = memory->before_cepstrum[i] + part * (memory->cepstrum[i] - memory->before_cepstrum[i]);
    }
    subframe.voicing = memory->before_voicing + part * (memory->voicing - memory->before_voicing);
    subframe.level = lpc_.Predict(cepstrum, subframe.prediction);
    subframe.period = SubframePeriod(memory->before_period, memory->period, index);
    float excitation[kSubframe], samples[kSubframe];
    one(subframe, memory, excitation, samples);
    constexpr int kKept = kMemory - kSubframe;
    std::memmove(memory->excitation, memory->excitation + kSubframe, kKept * sizeof(float));
    std::copy_n(excitation, kSubframe, memory->excitation + kKept);
    std::copy_n(samples + kSubframe - kLpcOrder, kLpcOrder, memory->samples);
  }
}

void Vocoder::Hear(void* state, const float* features, const float* samples) const {
  Feed(state, features);
  ForSubframes(state, [&](const Subframe& subframe, Memory* memory, float* excitation, float* sharp) {
    Sharpen(samples + subframe.index * kSubframe, kSubframe, kMaxSample, &memory->last_sample, sharp);
    Whiten(subframe, *memory, sharp, excitation);
  });
  if (postfilter_.bound()) postfilter_.Hear(state, samples);
}

void Vocoder::Follow(Int8Path path, void* state, const float* features, const float* samples) const {
  Feed(state, features);
  Condition(path, state);
  ForSubframes(state, [&](const Subframe& subframe, Memory* memory, float* excitation, float* sharp) {
    float unused[kSubframe];
    Sharpen(samples + subframe.index * kSubframe, kSubframe, kMaxSample, &memory->last_sample, sharp);
    Make(path, state, subframe, sharp, excitation, unused);
  });
  if (postfilter_.bound()) postfilter_.Hear(state, samples);
}

void Vocoder::Synthesise(Int8Path path, void* state, const float* features, float* samples) const {
  Feed(state, features);
  Condition(path, state);
  ForSubframes(state, [&](const Subframe& subframe, Memory* memory, float* excitation, float* sharp) {
    Make(path, state, subframe, nullptr, excitation, sharp);
    for (int i = 0; i < kSubframe; ++i) {
      memory->last_sample = Limited(sharp[i] + kPreemphasis * memory->last_sample, -1.f, 1.f);
      samples[subframe.index * kSubframe + i] = memory->last_sample;
    }
  });
  if (postfilter_.bound()) postfilter_.Process(path, state, samples);
}

void Vocoder::Filter(const Subframe& subframe, const Memory& memory, const float* excitation, float* samples) {
  float made[kLpcOrder + kSubframe];
  std::copy_n(memory.samples, kLpcOrder, made);
  for (int i = 0; i < kSubframe; ++i) {
    float sample = excitation[i];
    for (int k = 0; k < kLpcOrder; ++k) sample += subframe.prediction[k] * made[kLpcOrder + i - 1 - k];
    samples[i] = made[kLpcOrder + i] = Limited(sample, -kMaxSample, kMaxSample);
  }
}

void Vocoder::Whiten(const Subframe& subframe, const Memory& memory, const float* samples, float* excitation) {
  float known[kLpcOrder + kSubframe];
  std::copy_n(memory.samples, kLpcOrder, known);
  std::copy_n(samples, kSubframe, known + kLpcOrder);
  for (int i = 0; i < kSubframe; ++i) {
    excitation[i] = samples[i];
    for (int k = 0; k < kLpcOrder; ++k) excitation[i] -= subframe.prediction[k] * known[kLpcOrder + i - 1 - k];
  }
}

}  // namespace vivavoce
