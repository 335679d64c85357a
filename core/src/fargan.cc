#include "fargan.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "elementary.h"
#include "simd.h"
#include "state_layout.h"

namespace vivavoce {
namespace {

constexpr float kLevelOffset = 1.5f;  // the gain over the root mean square of the excitation, as a logarithm
constexpr float kMaxLogGain = 1.f;
constexpr float kMaxSample = 4.f;  // pre-emphasised
constexpr float kMinLevel = 1e-5f;
constexpr float kGlide = 1.25f;  // periods further apart are two pitches
constexpr float kMaxCepstrum = 100.f;
constexpr float kLn2 = 0.693147181f;

float Limited(float x, float low, float high) { return std::min(std::max(low, x), high); }  // NaN becomes `low`

/// Whole samples that a pitch feature tells.
int Period(float feature) {
  const float octaves = Limited(feature, -1.5f, 1.5f) + 1.5f;
  const float period = WideBandSearch::kMaxPeriod * Exp(Splat<F32x4>(-kLn2 * octaves))[0];
  return std::clamp(static_cast<int>(0.5f + period), WideBandSearch::kMinPeriod, WideBandSearch::kMaxPeriod);
}

/// Of a sub-frame, between the periods at both ends of its frame.
int SubframePeriod(int before, int after, int index) {
  constexpr int kWhole = 2 * FarganNetwork::kSubframes;
  const int step = 2 * index + 1;
  const bool glides = static_cast<float>(std::max(before, after)) <= kGlide * static_cast<float>(std::min(before, after));
  if (!glides) return step < kWhole / 2 ? before : after;
  return (before * (kWhole - step) + after * step + kWhole / 2) / kWhole;
}

}  // namespace

bool FarganNetwork::Bind(const ModelImage& image) {
  enum Tensor : uint32_t {
    kFeaturesLayer, kPeriodsLayer, kConvolution, kCondition, kGain, kInput, kInputGlu, kGates, kFirstGru,
    kSkip = kFirstGru + 3 * kGrus, kSkipGlu, kOutput, kCount
  };
  const ImageHeader& header = image.header();
  const uint32_t* const d = header.dimensions;
  if (header.kind != ModelKind::kFargan || header.tensors != kCount || header.sample_rate != 100 * kSpeechHop) {
    return false;
  }
  for (int i = 0; i < kImageDimensions; ++i) {
    if (!IsWidth(d[i])) return false;
  }
  if (!lpc_.ok()) return false;
  int* const widths[] = {&dense_, &convolution_, &condition_, &input_, &grus_[0], &grus_[1], &grus_[2], &skip_};
  for (int i = 0; i < kImageDimensions; ++i) *widths[i] = static_cast<int>(d[i]);
  constexpr int kAround = 2 * kSubframe;
  if (!image.Get(kFeaturesLayer, dense_, kSpeechFeatures, &features_layer_) ||
      !image.Get(kPeriodsLayer, dense_, kPeriods, &periods_layer_) ||
      !image.Get(kConvolution, convolution_, kTaps * dense_, &convolution_layer_) ||
      !image.Get(kCondition, kSubframes * condition_, convolution_, &condition_layer_) ||
      !image.Get(kGain, 1, condition_, &gain_layer_) || !image.Get(kInput, input_, 2 * input_columns(), &input_layer_) ||
      !image.Get(kInputGlu, input_, input_, &input_glu_) || !image.Get(kGates, kPredictionGates, input_, &gates_)) {
    return false;
  }
  int before = input_, joined = input_ + kAround;
  for (int i = 0; i < kGrus; ++i) {
    const uint32_t tensor = kFirstGru + 3 * static_cast<uint32_t>(i);
    const int width = grus_[i];
    if (!image.Get(tensor, 3 * width, before + kAround, &gru_layers_[i].input) ||
        !image.Get(tensor + 1, 3 * width, width, &gru_layers_[i].recurrent) ||
        !image.Get(tensor + 2, width, width, &glus_[i])) {
      return false;
    }
    before = width;
    joined += width;
  }
  if (!image.Get(kSkip, skip_, joined, &skip_layer_) || !image.Get(kSkipGlu, skip_, skip_, &skip_glu_) ||
      !image.Get(kOutput, kSubframe, skip_, &output_)) {
    return false;
  }
  Arrange();
  return true;
}

void FarganNetwork::Arrange() {
  StateLayout all;
  all.Place(1, sizeof(Memory));
  constexpr int kAround = 2 * kSubframe + 16;  // Quantise writes whole vectors
  layout_.dense_history = all.Place(kTaps * dense_, 1);
  layout_.input = all.Place(2 * input_columns() + 16, 1);
  int widest = std::max({dense_, convolution_, kSubframes * condition_, input_, skip_, 2 * kSubframe});
  int before = input_, joined = input_ + kAround;
  for (int i = 0; i < kGrus; ++i) {
    layout_.states[i] = all.Place(grus_[i], sizeof(float));
    layout_.quantised[i] = all.Place(grus_[i], 1);
    layout_.gru_inputs[i] = all.Place(before + kAround, 1);
    before = grus_[i];
    joined += grus_[i];
    widest = std::max(widest, 3 * grus_[i]);
  }
  layout_.joined = all.Place(joined, 1);
  layout_.hidden = all.Place(widest, 1);
  layout_.conditions = all.Place(kSubframes * condition_, sizeof(float));
  layout_.sums = all.Place(2 * widest, sizeof(int32_t));
  layout_.outputs = all.Place(widest, sizeof(float));
  layout_.bytes = all.bytes();
}

void FarganNetwork::Begin(void* state, const float* before) const {
  std::memset(state, 0, layout_.bytes);
  Memory* const memory = At<Memory>(state, 0);
  for (int i = 0; i < kLpcOrder; ++i) memory->samples[i] = before[i + 1] - kPreemphasis * before[i];
  memory->last_sample = before[kLpcOrder];
  memory->period = memory->before_period = WideBandSearch::kMaxPeriod;
}

void FarganNetwork::Feed(void* state, const float* features) const {
  Memory* const memory = At<Memory>(state, 0);
  memory->before_period = memory->period;
  std::copy_n(memory->cepstrum, kBarkBands, memory->before_cepstrum);
  memory->period = Period(features[kBarkBands]);
  for (int i = 0; i < kBarkBands; ++i) {
    memory->cepstrum[i] = Limited(features[i], -kMaxCepstrum, kMaxCepstrum);
  }
  float* const outputs = At<float>(state, layout_.outputs);
  features_layer_.Apply(features, outputs);
  const int column = memory->period - WideBandSearch::kMinPeriod;
  for (int row = 0; row < dense_; row += kStripRows) {
    const float* const weights = periods_layer_.weights + row * kPeriods + column * kStripRows;
    for (int i = 0; i < kStripRows; ++i) outputs[row + i] += weights[i];
  }
  Tanh(outputs, outputs, static_cast<size_t>(dense_));
  int8_t* const history = At<int8_t>(state, layout_.dense_history);
  const size_t kept = static_cast<size_t>((kTaps - 1) * dense_);
  std::memmove(history, history + dense_, kept);
  Quantise(outputs, history + kept, dense_);
}

void FarganNetwork::Hear(void* state, const float* features, const float* samples) const {
  Feed(state, features);
  Memory* const memory = At<Memory>(state, 0);
  for (int index = 0; index < kSubframes; ++index) {
    float prediction[kLpcOrder];
    PredictSubframe(*memory, index, prediction);
    Remember(prediction, samples + index * kSubframe, memory);
  }
}

void FarganNetwork::Follow(Int8Path path, void* state, const float* features, const float* samples) const {
  Feed(state, features);
  Condition(path, state);
  Memory* const memory = At<Memory>(state, 0);
  for (int index = 0; index < kSubframes; ++index) {
    float prediction[kLpcOrder], unused[kSubframe];
    Excite(path, state, index, PredictSubframe(*memory, index, prediction), unused);
    Remember(prediction, samples + index * kSubframe, memory);
  }
}

void FarganNetwork::Synthesise(Int8Path path, void* state, const float* features, float* samples) const {
  Feed(state, features);
  Condition(path, state);
  Memory* const memory = At<Memory>(state, 0);
  for (int index = 0; index < kSubframes; ++index) {
    float prediction[kLpcOrder], excitation[kSubframe];
    Excite(path, state, index, PredictSubframe(*memory, index, prediction), excitation);
    float made[kLpcOrder + kSubframe];
    std::copy_n(memory->samples, kLpcOrder, made);
    for (int i = 0; i < kSubframe; ++i) {
      float sample = excitation[i];
      for (int k = 0; k < kLpcOrder; ++k) sample += prediction[k] * made[kLpcOrder + i - 1 - k];
      made[kLpcOrder + i] = Limited(sample, -kMaxSample, kMaxSample);
      memory->last_sample = Limited(made[kLpcOrder + i] + kPreemphasis * memory->last_sample, -1.f, 1.f);
      samples[index * kSubframe + i] = memory->last_sample;
    }
    std::copy_n(made + kSubframe, kLpcOrder, memory->samples);
    Push(excitation, memory);
  }
}

/// Excitation that the newest sub-frame added to the memory.
void FarganNetwork::Push(const float* excitation, Memory* memory) {
  constexpr int kKept = kMemory - kSubframe;
  std::memmove(memory->past + kMargin, memory->past + kMargin + kSubframe, kKept * sizeof(float));
  std::copy_n(excitation, kSubframe, memory->past + kMargin + kKept);
}

/// The stream goes on as if it had made this sub-frame.
void FarganNetwork::Remember(const float* prediction, const float* samples, Memory* memory) {
  float sharp[kLpcOrder + kSubframe], excitation[kSubframe];
  std::copy_n(memory->samples, kLpcOrder, sharp);
  for (int i = 0; i < kSubframe; ++i) {
    sharp[kLpcOrder + i] = excitation[i] = samples[i] - kPreemphasis * memory->last_sample;
    memory->last_sample = samples[i];
    for (int k = 0; k < kLpcOrder; ++k) excitation[i] -= prediction[k] * sharp[kLpcOrder + i - 1 - k];
  }
  std::copy_n(sharp + kSubframe, kLpcOrder, memory->samples);
  Push(excitation, memory);
}

/// Linear prediction from the cepstrum between both ends of the frame; returns the level of the excitation.
float FarganNetwork::PredictSubframe(const Memory& memory, int index, float* prediction) const {
  const float part = static_cast<float>(2 * index + 1) / (2 * kSubframes);
  float cepstrum[kBarkBands];
  for (int i = 0; i < kBarkBands; ++i) {
    cepstrum[i] = memory.before_cepstrum[i] + part * (memory.cepstrum[i] - memory.before_cepstrum[i]);
  }
  return lpc_.Predict(cepstrum, prediction);
}

/// What all sub-frames of the newest frame are told.
void FarganNetwork::Condition(Int8Path path, void* state) const {
  int32_t* const sums = At<int32_t>(state, layout_.sums);
  float* const outputs = At<float>(state, layout_.outputs);
  float* const conditions = At<float>(state, layout_.conditions);
  int8_t* const hidden = At<int8_t>(state, layout_.hidden);
  convolution_layer_.Apply(path, At<int8_t>(state, layout_.dense_history), sums, outputs);
  Tanh(outputs, outputs, static_cast<size_t>(convolution_));
  Quantise(outputs, hidden, convolution_);
  condition_layer_.Apply(path, hidden, sums, conditions);
  Tanh(conditions, conditions, static_cast<size_t>(kSubframes * condition_));
}

/// What the sub-frame would be if it repeated itself, and what was before it, both relative to the gain.
void FarganNetwork::Predict(const Memory& memory, int period, float scale, float* prediction, float* previous) const {
  const float* const end = memory.past + kMargin + kMemory;
  for (int i = 0; i < kPrediction; ++i) {
    const int offset = i - kMargin;
    const int at = offset < period ? offset - period : offset - 2 * period;
    prediction[i] = Limited(scale * end[at], -1.f, 1.f);
  }
  for (int i = 0; i < kSubframe; ++i) previous[i] = Limited(scale * end[i - kSubframe], -1.f, 1.f);
}

/// out = Quantise(x * sigmoid(W x)), where x are the first `width` outputs.
void FarganNetwork::Gated(Int8Path path, const QuantisedDense& layer, void* state, int width, int8_t* out) const {
  float* const x = At<float>(state, layout_.outputs);
  int8_t* const hidden = At<int8_t>(state, layout_.hidden);
  int32_t* const sums = At<int32_t>(state, layout_.sums);
  Quantise(x, hidden, width);
  float* const gates = reinterpret_cast<float*>(sums);  // an element of a sum is read before it is written
  layer.Apply(path, hidden, sums, gates);
  Sigmoid(gates, gates, width);
  for (int i = 0; i < width; i += kLanes) Store(x + i, Load<F32x4>(x + i) * Load<F32x4>(gates + i));
  Quantise(x, out, width);
}

void FarganNetwork::Excite(Int8Path path, void* state, int index, float level, float* excitation) const {
  constexpr int kPadded = 48;  // of a sub-frame or a prediction: whole vectors of Quantise
  const Memory& memory = *At<Memory>(state, 0);
  int32_t* const sums = At<int32_t>(state, layout_.sums);
  float* const outputs = At<float>(state, layout_.outputs);
  int8_t* const joined = At<int8_t>(state, layout_.joined);
  const float* const condition = At<float>(state, layout_.conditions) + index * condition_;

  float gains[kStripRows];
  gain_layer_.Apply(condition, gains);
  const float log_gain = Log(Splat<F32x4>(level + kMinLevel))[0] + kLevelOffset + gains[0];
  const float gain = Exp(Splat<F32x4>(std::min(log_gain, kMaxLogGain)))[0];
  float prediction[kPadded] = {}, previous[kPadded] = {};
  const int period = SubframePeriod(memory.before_period, memory.period, index);
  Predict(memory, period, 1.f / (kMinLevel + gain), prediction, previous);

  int8_t quantised[kPadded], quantised_previous[kPadded];
  int8_t* const input = At<int8_t>(state, layout_.input);
  int8_t* const now = input + input_columns();
  std::memmove(input, now, static_cast<size_t>(input_columns()));
  Quantise(condition, now, condition_);
  Quantise(prediction, quantised, kPadded);
  Quantise(previous, quantised_previous, kPadded);
  std::memcpy(now + condition_, quantised, kPrediction);
  std::memcpy(now + condition_ + kPrediction, quantised_previous, kSubframe);

  input_layer_.Apply(path, input, sums, outputs);
  Tanh(outputs, outputs, static_cast<size_t>(input_));
  int8_t* const first = At<int8_t>(state, layout_.gru_inputs[0]);
  Gated(path, input_glu_, state, input_, first);
  gates_.Apply(path, first, sums, outputs);
  Sigmoid(outputs, outputs, kStripRows);
  float gates[kPredictionGates];
  std::copy_n(outputs, kPredictionGates, gates);
  const auto around = [&](int8_t* at, int gate) {
    float gated[kPadded] = {};
    for (int i = 0; i < kSubframe; ++i) gated[i] = gates[gate] * prediction[kMargin + i];
    Quantise(gated, quantised, kPadded);
    std::memcpy(at, quantised, kSubframe);
    std::memcpy(at + kSubframe, quantised_previous, kSubframe);
  };

  int before = input_;
  int8_t* place = joined;
  for (int i = 0; i < kGrus; ++i) {
    int8_t* const gru_input = At<int8_t>(state, layout_.gru_inputs[i]);
    around(gru_input + before, i);
    float* const hidden = At<float>(state, layout_.states[i]);
    gru_layers_[i].Step(path, gru_input, hidden, At<int8_t>(state, layout_.quantised[i]), sums, outputs);
    std::copy_n(hidden, grus_[i], outputs);
    Gated(path, glus_[i], state, grus_[i], place);
    if (i + 1 < kGrus) std::memcpy(At<int8_t>(state, layout_.gru_inputs[i + 1]), place, static_cast<size_t>(grus_[i]));
    place += grus_[i];
    before = grus_[i];
  }
  std::memcpy(place, first, static_cast<size_t>(input_));
  around(place + input_, kGrus);
  skip_layer_.Apply(path, joined, sums, outputs);
  Tanh(outputs, outputs, static_cast<size_t>(skip_));
  Gated(path, skip_glu_, state, skip_, joined);  // which is no longer needed
  output_.Apply(path, joined, sums, outputs);
  Tanh(outputs, outputs, kPadded);
  for (int i = 0; i < kSubframe; ++i) {
    excitation[i] = gain * (outputs[i] + gates[kGrus + 1] * prediction[kMargin + i]);
  }
}

}  // namespace vivavoce
