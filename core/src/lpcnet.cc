#include "lpcnet.h"

#include <algorithm>
#include <cmath>

#include "elementary.h"
#include "sane.h"
#include "simd.h"

namespace vivavoce {
namespace {

constexpr int kZero = 128;  // the code of 0
constexpr float kPerSmall = 16.f;  // of the level; a sixteenth of it is where the scale of codes becomes logarithmic
constexpr float kLargestExcitation = 5.54907608f;  // log(1 + 16 * 16), the limits of the codes
constexpr float kLargestSignal = 9.70412661f;      // log(1 + 16 * 1024)
constexpr float kLogitScale = 4.f;

// Voiced speech is drawn nearer to what is likely (ICASSP 2019, section 3.6).
constexpr float kVoicedSharpness = 1.5f, kSharpFrom = .5f;

/// Four numbers over the level on the scale of codes, which ends at -1 and 1; `largest` has the logarithms of the limits.
F32x4 Companded(F32x4 x, F32x4 largest) {
  const F32x4 zero = Splat<F32x4>(0.f), one = Splat<F32x4>(1.f);
  const F32x4 size = Select(x < zero, -x, x);
  F32x4 share = Log(1.f + kPerSmall * size) / largest;
  share = Select(share < one, share, one);  // NaN becomes 1
  return Select(x < zero, -share, share);
}

int CodeOf(float companded) {
  const int steps = static_cast<int>(0.5f + static_cast<float>(kZero - 1) * std::abs(companded));
  return kZero + (companded < 0.f ? -steps : steps);
}

/// y += share * column `index` of a matrix.
void AddColumn(const FloatDense& matrix, int index, float share, float* y) {
  for (int row = 0; row < matrix.rows; row += kStripRows) {
    const float* const w = matrix.weights + row * matrix.columns + index * kStripRows;
    for (int i = 0; i < kStripRows; i += kLanes) {
      Store(y + row + i, Load<F32x4>(y + row + i) + share * Load<F32x4>(w + i));
    }
  }
}

/// A gated recurrent unit as PyTorch has it, from what its inputs and its state say; both are overwritten.
void Recur(float* inputs, const float* recurrent, int width, float* state) {
  for (int i = 0; i < 2 * width; i += kLanes) {
    Store(inputs + i, 0.5f * (Load<F32x4>(inputs + i) + Load<F32x4>(recurrent + i)));
  }
  Tanh(inputs, inputs, static_cast<size_t>(2 * width));
  float* const update = inputs + width;
  float* const candidate = update + width;
  for (int i = 0; i < width; i += kLanes) {
    const F32x4 reset = 0.5f + 0.5f * Load<F32x4>(inputs + i);
    Store(candidate + i, Load<F32x4>(candidate + i) + reset * Load<F32x4>(recurrent + 2 * width + i));
  }
  Tanh(candidate, candidate, static_cast<size_t>(width));
  for (int i = 0; i < width; i += kLanes) {
    const F32x4 keep = 0.5f + 0.5f * Load<F32x4>(update + i), next = Load<F32x4>(candidate + i);
    Store(state + i, next + keep * (Load<F32x4>(state + i) - next));
  }
}

/// In (0, 1), of 24 bits.
float Uniform(uint32_t* random) {
  *random = *random * 1664525u + 1013904223u;
  return (static_cast<float>(*random >> 8) + 0.5f) * 0x1p-24f;
}

}  // namespace

bool LpcnetNetwork::Bind(const ModelImage& image) {
  enum Tensor : uint32_t {
    kFirstCode = kFrameTensors,
    kRepeatedLayer = kFirstCode + kInputs,
    kFirstCondition,
    kFirstRecurrent,
    kSecondCondition,
    kSecondInput,
    kSecondRecurrent,
    kTree,
    kCount = kTree + kNeurons
  };
  const ImageHeader& header = image.header();
  const uint32_t* const d = header.dimensions;
  if (header.kind != ModelKind::kLpcnet || header.tensors != kCount || header.sample_rate != 100 * kSpeechHop) {
    return false;
  }
  StateLayout all;
  if (!IsWidth(d[3]) || !IsWidth(d[4]) || !BindFrames(image, d[0], d[1], d[2], &all)) return false;
  if (std::any_of(d + 5, d + kImageDimensions, [](uint32_t n) { return n != 0; })) return false;
  first_ = static_cast<int>(d[3]);
  second_ = static_cast<int>(d[4]);
  constexpr int kGates = 3;
  for (int i = 0; i < kInputs; ++i) {
    if (!image.Get(kFirstCode + static_cast<uint32_t>(i), kGates * first_, kCodes, &codes_[i])) return false;
  }
  for (int i = 0; i < kNeurons; ++i) {
    if (!image.Get(kTree + static_cast<uint32_t>(i), kCodes, second_ + 2, &tree_[i])) return false;
  }
  if (!image.Get(kRepeatedLayer, kGates * first_, kRepeated, &repeated_) ||
      !image.Get(kFirstCondition, kGates * first_, condition_, &first_condition_) ||
      !image.Get(kFirstRecurrent, kGates * first_, first_, &first_recurrent_) ||
      !image.Get(kSecondCondition, kGates * second_, condition_, &second_condition_) ||
      !image.Get(kSecondInput, kGates * second_, first_, &second_input_) ||
      !image.Get(kSecondRecurrent, kGates * second_, second_, &second_recurrent_)) {
    return false;
  }
  for (int code = 0; code < kCodes; ++code) {
    const int steps = std::clamp(code - kZero, 1 - kZero, kZero - 1);
    const float share = static_cast<float>(std::abs(steps)) / (kZero - 1);
    const float size = (Exp(Splat<F32x4>(share * kLargestExcitation))[0] - 1.f) / kPerSmall;
    values_[code] = steps < 0 ? -size : size;
  }
  const int widest = kGates * std::max(first_, second_);
  layout_.random = all.Place(1, sizeof(uint32_t));
  layout_.first = all.Place(first_, sizeof(float));
  layout_.second = all.Place(second_, sizeof(float));
  layout_.first_told = all.Place(kGates * first_, sizeof(float));
  layout_.second_told = all.Place(kGates * second_, sizeof(float));
  layout_.inputs = all.Place(widest, sizeof(float));
  layout_.recurrent = all.Place(widest, sizeof(float));
  bytes_ = all.bytes();
  return true;
}

void LpcnetNetwork::Make(Int8Path, void* state, const Subframe& subframe, const float* known, float* excitation,
                         float* samples) const {
  first_condition_.Apply(subframe.condition, At<float>(state, layout_.first_told));
  second_condition_.Apply(subframe.condition, At<float>(state, layout_.second_told));
  const Memory& memory = MemoryOf(state);
  const float level = kMinLevel + subframe.level;
  const float sharpness = 1.f + std::max(0.f, kVoicedSharpness * (0.5f + subframe.voicing) - kSharpFrom);
  const F32x4 largest = {kLargestSignal, kLargestSignal, kLargestExcitation, kLargestExcitation};
  float made[kLpcOrder + kSubframe], left[kMemory + kSubframe];
  std::copy_n(memory.samples, kLpcOrder, made);
  std::copy_n(memory.excitation, kMemory, left);
  for (int i = 0; i < kSubframe; ++i) {
    const float* const before = made + kLpcOrder + i - 1;
    const float* const repeated = left + kMemory + i - subframe.period - kMargin;
    float prediction = 0.f;
    for (int k = 0; k < kLpcOrder; ++k) prediction += subframe.prediction[k] * before[-k];
    const F32x4 now = Companded(F32x4{*before, prediction, left[kMemory + i - 1], repeated[kRepeated - 1]} / level, largest);
    const F32x4 again = Companded(Load<F32x4>(repeated) / level, Splat<F32x4>(kLargestExcitation));
    const int codes[kInputs] = {CodeOf(now[0]), CodeOf(now[1]), CodeOf(now[2])};
    const float told[kRepeated] = {again[0], again[1], again[2], again[3], now[3]};
    Step(state, codes, told);
    const float sample = known != nullptr ? known[i] : prediction + level * values_[Draw(state, sharpness)];
    made[kLpcOrder + i] = Limited(sample, -kMaxSample, kMaxSample);
    left[kMemory + i] = made[kLpcOrder + i] - prediction;
  }
  std::copy_n(left + kMemory, kSubframe, excitation);
  std::copy_n(made + kLpcOrder, kSubframe, samples);
}

/// Tells the GRUs of one sample.
void LpcnetNetwork::Step(void* state, const int* codes, const float* repeated) const {
  float* const inputs = At<float>(state, layout_.inputs);
  float* const recurrent = At<float>(state, layout_.recurrent);
  float* const first = At<float>(state, layout_.first);
  float* const second = At<float>(state, layout_.second);
  std::copy_n(At<float>(state, layout_.first_told), first_condition_.rows, inputs);
  for (int i = 0; i < kInputs; ++i) AddColumn(codes_[i], codes[i], 1.f, inputs);
  for (int i = 0; i < kRepeated; ++i) AddColumn(repeated_, i, repeated[i], inputs);
  first_recurrent_.Apply(first, recurrent);
  Recur(inputs, recurrent, first_, first);
  const float* const told = At<float>(state, layout_.second_told);
  second_input_.Apply(first, inputs);
  for (int i = 0; i < second_input_.rows; i += kLanes) {
    Store(inputs + i, Load<F32x4>(inputs + i) + Load<F32x4>(told + i));
  }
  second_recurrent_.Apply(second, recurrent);
  Recur(inputs, recurrent, second_, second);
}

/// Draws a code, bit by bit: a bit is set where its logit exceeds a number of the logistic distribution.
int LpcnetNetwork::Draw(void* state, float sharpness) const {
  uint32_t* const random = At<uint32_t>(state, layout_.random);
  const float* const told = At<float>(state, layout_.second);
  float noise[kBits];
  for (float& x : noise) {
    const float uniform = Uniform(random);
    x = uniform / (1.f - uniform);
  }
  Log(noise, noise, kBits);
  int node = 1;
  for (const float threshold : noise) {
    float inner[kNeurons], share[kNeurons];
    for (int neuron = 0; neuron < kNeurons; ++neuron) {
      const FloatDense& tree = tree_[neuron];
      const float* const w = tree.weights + node / kStripRows * kStripRows * tree.columns + node % kStripRows;
      float sum = w[second_ * kStripRows];
      for (int i = 0; i < second_; ++i) sum += w[i * kStripRows] * told[i];
      inner[neuron] = sum;
      share[neuron] = w[(second_ + 1) * kStripRows];
    }
    const F32x4 outer = Tanh(F32x4{inner[0], inner[1], 0.f, 0.f});
    const float logit = kLogitScale * (share[0] * outer[0] + share[1] * outer[1]);
    node = 2 * node + (sharpness * logit > threshold ? 1 : 0);
  }
  return node - kCodes;
}

}  // namespace vivavoce
