#include "fargan.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "elementary.h"
#include "sane.h"
#include "simd.h"
#include "state_layout.h"

namespace vivavoce {
namespace {

constexpr float kLevelOffset = 1.5f;  // the gain over the root mean square of the excitation, as a logarithm
constexpr float kMaxLogGain = 1.f;

// Of the pitch postfilter, by PESQ and PLCMOS on split val.
constexpr float kRepeated = .5f, kVoicedFrom = .2f, kVoicedTo = .5f;

}  // namespace

bool FarganNetwork::Bind(const ModelImage& image) {
  enum Tensor : uint32_t {
    kGain = kFrameTensors, kInput, kInputGlu, kGates, kFirstGru,
    kSkip = kFirstGru + 3 * kGrus, kSkipGlu, kOutput, kPostfilter, kCount = kPostfilter + SpectralPostfilter::kTensors
  };
  const ImageHeader& header = image.header();
  const uint32_t* const d = header.dimensions;
  if (header.kind != ModelKind::kFargan || header.tensors != kCount || header.sample_rate != 100 * kSpeechHop) {
    return false;
  }
  for (int i = 0; i < kImageDimensions; ++i) {
    if (!IsWidth(d[i])) return false;
  }
  StateLayout all;
  if (!BindFrames(image, d[0], d[1], d[2], &all)) return false;
  int* const widths[] = {&input_, &grus_[0], &grus_[1], &grus_[2], &skip_};
  for (int i = 0; i < kImageDimensions - 3; ++i) *widths[i] = static_cast<int>(d[3 + i]);
  constexpr int kAround = 2 * kSubframe;
  if (!image.Get(kGain, 1, condition_, &gain_layer_) || !image.Get(kInput, input_, 2 * input_columns(), &input_layer_) ||
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
      !image.Get(kOutput, kSubframe, skip_, &output_) || !postfilter_.Bind(image, kPostfilter, 2 * input_, &all)) {
    return false;
  }
  Arrange(&all);
  return true;
}

void FarganNetwork::Arrange(StateLayout* all) {
  constexpr int kAround = 2 * kSubframe + 16;  // Quantise writes whole vectors
  layout_.input = all->Place(2 * input_columns() + 16, 1);
  int widest = std::max({input_, skip_, 2 * kSubframe});
  int before = input_, joined = input_ + kAround;
  for (int i = 0; i < kGrus; ++i) {
    layout_.states[i] = all->Place(grus_[i], sizeof(float));
    layout_.quantised[i] = all->Place(grus_[i], 1);
    layout_.gru_inputs[i] = all->Place(before + kAround, 1);
    before = grus_[i];
    joined += grus_[i];
    widest = std::max(widest, 3 * grus_[i]);
  }
  layout_.joined = all->Place(joined, 1);
  layout_.hidden = all->Place(widest, 1);
  layout_.sums = all->Place(2 * widest, sizeof(int32_t));
  layout_.outputs = all->Place(widest, sizeof(float));
  bytes_ = all->bytes();
}

void FarganNetwork::Make(Int8Path path, void* state, const Subframe& subframe, const float* known, float* excitation,
                         float* samples) const {
  Excite(path, state, subframe, excitation);
  if (known != nullptr) {
    Whiten(subframe, MemoryOf(state), known, excitation);
    return;
  }
  float heard[kSubframe];
  Postfilter(MemoryOf(state), subframe, excitation, heard);
  Filter(subframe, MemoryOf(state), heard, samples);
}

/// What is heard of an excitation: its harmonics stand out more. What it becomes does not depend on it.
void FarganNetwork::Postfilter(const Memory& memory, const Subframe& subframe, const float* excitation, float* heard) {
  const float share = Limited((subframe.voicing - kVoicedFrom) / (kVoicedTo - kVoicedFrom), 0.f, 1.f);
  float prediction[kPrediction], unused[kSubframe];
  Predict(memory, subframe.period, 1.f, prediction, unused);
  const float strength = kRepeated * share;
  for (int i = 0; i < kSubframe; ++i) {
    heard[i] = (excitation[i] + strength * prediction[kMargin + i]) / (1.f + strength);
  }
}

/// What the sub-frame would be if it repeated itself, and what was before it, both relative to the gain.
void FarganNetwork::Predict(const Memory& memory, int period, float scale, float* prediction, float* previous) {
  const float* const end = memory.excitation + kMemory;
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

/// The gain, and what it makes of the prediction and of the sub-frame before: the input of the first layer.
void FarganNetwork::Prepare(void* state, const Subframe& subframe, Input* in) const {
  float gains[kStripRows];
  gain_layer_.Apply(subframe.condition, gains);
  const float log_gain = Log(Splat<F32x4>(subframe.level + kMinLevel))[0] + kLevelOffset + gains[0];
  in->gain = Exp(Splat<F32x4>(std::min(log_gain, kMaxLogGain)))[0];
  float previous[kPadded] = {};
  std::fill_n(in->prediction, kPadded, 0.f);
  Predict(MemoryOf(state), subframe.period, 1.f / (kMinLevel + in->gain), in->prediction, previous);
  Quantise(previous, in->previous, kPadded);

  int8_t quantised[kPadded];
  int8_t* const input = At<int8_t>(state, layout_.input);
  int8_t* const now = input + input_columns();
  std::memmove(input, now, static_cast<size_t>(input_columns()));
  Quantise(subframe.condition, now, condition_);
  Quantise(in->prediction, quantised, kPadded);
  std::memcpy(now + condition_, quantised, kPrediction);
  std::memcpy(now + condition_ + kPrediction, in->previous, kSubframe);
}

/// The prediction behind a gate, and the sub-frame before, side by side.
void FarganNetwork::Around(const Input& in, float gate, int8_t* at) {
  float gated[kPadded] = {};
  int8_t quantised[kPadded];
  for (int i = 0; i < kSubframe; ++i) gated[i] = gate * in.prediction[kMargin + i];
  Quantise(gated, quantised, kPadded);
  std::memcpy(at, quantised, kSubframe);
  std::memcpy(at + kSubframe, in.previous, kSubframe);
}

void FarganNetwork::Excite(Int8Path path, void* state, const Subframe& subframe, float* excitation) const {
  int32_t* const sums = At<int32_t>(state, layout_.sums);
  float* const outputs = At<float>(state, layout_.outputs);
  int8_t* const joined = At<int8_t>(state, layout_.joined);
  Input in;
  Prepare(state, subframe, &in);

  input_layer_.Apply(path, At<int8_t>(state, layout_.input), sums, outputs);
  Tanh(outputs, outputs, static_cast<size_t>(input_));
  int8_t* const first = At<int8_t>(state, layout_.gru_inputs[0]);
  Gated(path, input_glu_, state, input_, first);
  gates_.Apply(path, first, sums, outputs);
  Sigmoid(outputs, outputs, kStripRows);
  float gates[kPredictionGates];
  std::copy_n(outputs, kPredictionGates, gates);

  int before = input_;
  int8_t* place = joined;
  for (int i = 0; i < kGrus; ++i) {
    int8_t* const gru_input = At<int8_t>(state, layout_.gru_inputs[i]);
    Around(in, gates[i], gru_input + before);
    float* const hidden = At<float>(state, layout_.states[i]);
    gru_layers_[i].Step(path, gru_input, hidden, At<int8_t>(state, layout_.quantised[i]), sums, outputs);
    std::copy_n(hidden, grus_[i], outputs);
    Gated(path, glus_[i], state, grus_[i], place);
    if (i + 1 < kGrus) std::memcpy(At<int8_t>(state, layout_.gru_inputs[i + 1]), place, static_cast<size_t>(grus_[i]));
    place += grus_[i];
    before = grus_[i];
  }
  std::memcpy(place, first, static_cast<size_t>(input_));
  Around(in, gates[kGrus], place + input_);
  skip_layer_.Apply(path, joined, sums, outputs);
  Tanh(outputs, outputs, static_cast<size_t>(skip_));
  Gated(path, skip_glu_, state, skip_, joined);  // which is no longer needed
  output_.Apply(path, joined, sums, outputs);
  Tanh(outputs, outputs, kPadded);
  for (int i = 0; i < kSubframe; ++i) {
    excitation[i] = in.gain * (outputs[i] + gates[kGrus + 1] * in.prediction[kMargin + i]);
  }
}

}  // namespace vivavoce
