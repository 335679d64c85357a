#include "rdovae.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "elementary.h"
#include "range_coder.h"
#include "sane.h"
#include "simd.h"

namespace vivavoce {
namespace {

constexpr int kDilations[VaeStack::kLayers] = {1, 2, 2, 2, 2};
constexpr float kSoftZero = 0.1f;  // how gradually a dead zone begins and ends
constexpr float kRounder = 12582912.f;  // 1.5 * 2^23: a float that it is added to is rounded to a whole number
constexpr float kLargest = 64.f;  // no feature of sound is larger
constexpr float kUnit = 1.f / 65536;  // of scales and dead zones in the image
constexpr uint32_t kMaxGru = 128, kDredModels = 32;
constexpr int kMaxOutputs = 1024;  // rows of any layer, and six times the widest GRU

/// Tanh of a layer's outputs, rounded.
void Squash(float* outputs, int8_t* out, int count) {
  Tanh(outputs, outputs, static_cast<size_t>(count));
  Quantise(outputs, out, count);
}

}  // namespace

bool VaeStack::Bind(const ModelImage& image, uint32_t* index, StateLayout* layout) {
  heard_ = layout->Place(width(), 1);
  sums_ = layout->Place(kMaxOutputs, sizeof(int32_t));
  outputs_ = layout->Place(kMaxOutputs, sizeof(float));
  int columns = inputs_;
  for (int i = 0; i < kLayers; ++i) {
    Layer& layer = layers_[i];
    if (!image.Get((*index)++, 3 * gru_, columns, &layer.gru.input) ||
        !image.Get((*index)++, 3 * gru_, gru_, &layer.gru.recurrent) ||
        (gated_ && !image.Get((*index)++, gru_, gru_, &layer.gate)) ||
        !image.Get((*index)++, convolution_, columns + gru_, &layer.dense) ||
        !image.Get((*index)++, convolution_, 2 * convolution_, &layer.convolution)) {
      return false;
    }
    columns += gru_ + convolution_;
    layer.dilation = kDilations[i];
    layer.state = layout->Place(gru_, sizeof(float));
    layer.quantised = layout->Place(gru_, 1);
    layer.past = layout->Place((layer.dilation + 1) * convolution_, 1);
  }
  return true;
}

void VaeStack::Begin(void* state, const float* states) const {
  for (const Layer& layer : layers_) {
    std::copy_n(states, gru_, At<float>(state, layer.state));
    Quantise(states, At<int8_t>(state, layer.quantised), gru_);
    states += gru_;
  }
}

void VaeStack::Step(Int8Path path, void* state) const {
  int8_t* const all = heard(state);
  int32_t* const sums = At<int32_t>(state, sums_);
  float* const outputs = At<float>(state, outputs_);
  int columns = inputs_;
  for (const Layer& layer : layers_) {
    float* const hidden = At<float>(state, layer.state);
    int8_t* const quantised = At<int8_t>(state, layer.quantised);
    layer.gru.Step(path, all, hidden, quantised, sums, outputs);
    if (gated_) {
      layer.gate.Apply(path, quantised, sums, outputs);
      Sigmoid(outputs, outputs, gru_);
      for (int i = 0; i < gru_; ++i) outputs[i] *= hidden[i];
      Quantise(outputs, all + columns, gru_);
    } else {
      std::copy_n(quantised, gru_, all + columns);
    }
    columns += gru_;
    layer.dense.Apply(path, all, sums, outputs);
    // The oldest of what is kept meets the newest.
    int8_t* const past = At<int8_t>(state, layer.past);
    std::memmove(past, past + convolution_, static_cast<size_t>(layer.dilation * convolution_));
    int8_t* const now = past + layer.dilation * convolution_;
    Squash(outputs, now, convolution_);
    int8_t pair[2 * kMaxOutputs];
    std::copy_n(past, convolution_, pair);
    std::copy_n(now, convolution_, pair + convolution_);
    layer.convolution.Apply(path, pair, sums, outputs);
    Squash(outputs, all + columns, convolution_);
    columns += convolution_;
  }
}

bool RdoVae::Numbers::Bind(const ModelImage& image, uint32_t index, uint32_t count) {
  constexpr int kParts = 4;
  const int32_t* numbers;
  if (count == 0 || count > kDredMaxDimensions) return false;
  if (!image.Get(index, kParts * kDredLevels, static_cast<int>(count), &numbers)) return false;
  const uint32_t all = kDredLevels * count;
  const int32_t *const scales = numbers, *const zones = scales + all, *const zeros = zones + all, *const mores = zeros + all;
  scale.reset(new (std::nothrow) float[all]);
  dead_zone.reset(new (std::nothrow) float[all]);
  zero.reset(new (std::nothrow) uint16_t[all]);
  more.reset(new (std::nothrow) uint16_t[all]);
  if (scale == nullptr || dead_zone == nullptr || zero == nullptr || more == nullptr) return false;
  const int32_t certain = static_cast<int32_t>(kCertain);
  for (uint32_t i = 0; i < all; ++i) {
    if (scales[i] < 1 || zones[i] < 0 || zeros[i] < 1 || zeros[i] > certain || mores[i] < 1 || mores[i] >= certain) {
      return false;
    }
    scale[i] = kUnit * static_cast<float>(scales[i]);
    dead_zone[i] = kUnit * static_cast<float>(zones[i]);
    zero[i] = static_cast<uint16_t>(zeros[i]);
    more[i] = static_cast<uint16_t>(mores[i]);
  }
  dimensions = static_cast<int>(count);
  return true;
}

bool RdoVae::Bind(const ModelImage& image) {
  const ImageHeader& header = image.header();
  const uint32_t* const d = header.dimensions;  // widths of the GRUs, sizes of both vectors, identifier
  if (header.kind != ModelKind::kRdoVae || header.sample_rate != 100 * kSpeechHop) return false;
  if (!IsWidth(d[0]) || !IsWidth(d[1]) || d[0] > kMaxGru || d[1] > kMaxGru || d[1] % (2 * kStripRows) != 0) return false;
  if (d[4] >= kDredModels || std::any_of(d + 5, d + kImageDimensions, [](uint32_t n) { return n != 0; })) return false;
  const int encoder = static_cast<int>(d[0]), decoder = static_cast<int>(d[1]);
  const int first = 3 * decoder / 2, hidden = 2 * decoder;
  encoder_ = VaeStack(2 * encoder, encoder, 2 * encoder, false);
  decoder_ = VaeStack(first, decoder, decoder / 2, true);
  encoder_layout_ = decoder_layout_ = StateLayout();
  uint32_t next = 0;
  if (!latent_.Bind(image, next++, d[2]) || !state_.Bind(image, next++, d[3]) ||
      !image.Get(next++, 2 * encoder, kVaeStepInputs, &encoder_first_) ||
      !encoder_.Bind(image, &next, &encoder_layout_) ||
      !image.Get(next++, latent(), encoder_.width(), &latent_layer_) ||
      !image.Get(next++, latent(), kVaeChunkFeatures, &encoder_direct_) ||
      !image.Get(next++, hidden, encoder_.width(), &encoder_hidden_) ||
      !image.Get(next++, this->state(), hidden, &state_layer_) ||
      !image.Get(next++, first, latent() + 1, &decoder_first_) ||
      !decoder_.Bind(image, &next, &decoder_layout_) ||
      !image.Get(next++, kVaeChunkFeatures, decoder_.width(), &output_) ||
      !image.Get(next++, kVaeChunkFeatures, latent(), &decoder_direct_) ||
      !image.Get(next++, hidden, this->state(), &decoder_hidden_) ||
      !image.Get(next++, VaeStack::kLayers * decoder, hidden, &states_layer_) || next != header.tensors) {
    encoder_layout_ = decoder_layout_ = StateLayout();
    return false;
  }
  chunk_ = encoder_layout_.Place(kVaeChunkFeatures, sizeof(float));
  model_ = static_cast<int>(d[4]);
  hidden_ = hidden;
  return true;
}

void RdoVae::Encode(Int8Path path, void* state, const float* features, float* latent, float* vector) const {
  float outputs[kMaxOutputs], direct[kMaxOutputs];
  int32_t sums[kMaxOutputs];
  int8_t hidden[kMaxOutputs];
  float* const chunk = At<float>(state, chunk_);
  std::copy_n(chunk + kVaeStepInputs, kVaeStepInputs, chunk);
  for (int i = 0; i < kVaeStepInputs; ++i) chunk[kVaeStepInputs + i] = Limited(features[i], -kLargest, kLargest);
  encoder_first_.Apply(features, outputs);
  Squash(outputs, encoder_.heard(state), encoder_first_.rows);
  encoder_.Step(path, state);
  latent_layer_.Apply(path, encoder_.heard(state), sums, outputs);
  encoder_direct_.Apply(chunk, direct);
  for (int i = 0; i < this->latent(); ++i) latent[i] = outputs[i] + direct[i];
  encoder_hidden_.Apply(path, encoder_.heard(state), sums, outputs);
  Squash(outputs, hidden, hidden_);
  state_layer_.Apply(path, hidden, sums, outputs);
  std::copy_n(outputs, this->state(), vector);
}

void RdoVae::BeginDecoding(Int8Path path, void* state, const int8_t* numbers, int level) const {
  float values[kDredMaxDimensions], outputs[kMaxOutputs];
  int32_t sums[kMaxOutputs];
  int8_t hidden[kMaxOutputs];
  std::memset(state, 0, decoder_bytes());
  Restore(state_, numbers, level, values);
  decoder_hidden_.Apply(values, outputs);
  Squash(outputs, hidden, hidden_);
  states_layer_.Apply(path, hidden, sums, outputs);
  Tanh(outputs, outputs, static_cast<size_t>(states_layer_.weights.rows));
  decoder_.Begin(state, outputs);
}

void RdoVae::Decode(Int8Path path, void* state, const int8_t* numbers, int level, float* features) const {
  float values[kDredMaxDimensions + 1], outputs[kMaxOutputs], direct[kMaxOutputs];
  int32_t sums[kMaxOutputs];
  Restore(latent_, numbers, level, values);
  values[latent()] = 2.f / (kDredLevels - 1) * static_cast<float>(level) - 1.f;
  decoder_first_.Apply(values, outputs);
  Squash(outputs, decoder_.heard(state), decoder_first_.rows);
  decoder_.Step(path, state);
  output_.Apply(path, decoder_.heard(state), sums, outputs);
  decoder_direct_.Apply(values, direct);
  for (int i = 0; i < kVaeChunkFeatures; ++i) features[i] = outputs[i] + direct[i];
}

void RdoVae::Round(const Numbers& numbers, const float* values, int level, int8_t* rounded) {
  const float* const scale = numbers.scale.get() + level * numbers.dimensions;
  const float* const zone = numbers.dead_zone.get() + level * numbers.dimensions;
  const uint16_t* const zero = numbers.zero.get() + level * numbers.dimensions;
  float steps[kDredMaxDimensions], bent[kDredMaxDimensions];
  for (int i = 0; i < numbers.dimensions; ++i) {
    steps[i] = scale[i] * values[i];
    bent[i] = steps[i] / (zone[i] + kSoftZero);
  }
  Tanh(bent, bent, static_cast<size_t>(numbers.dimensions));
  for (int i = 0; i < numbers.dimensions; ++i) {
    const float limit = zero[i] == kCertain ? 0.f : static_cast<float>(kDredMaxMagnitude);
    const float limited = std::max(-limit, std::min(limit, steps[i] - zone[i] * bent[i]));
    rounded[i] = static_cast<int8_t>((limited + kRounder) - kRounder);
  }
}

void RdoVae::Restore(const Numbers& numbers, const int8_t* rounded, int level, float* values) {
  const float* const scale = numbers.scale.get() + level * numbers.dimensions;
  for (int i = 0; i < numbers.dimensions; ++i) values[i] = static_cast<float>(rounded[i]) / scale[i];
}

}  // namespace vivavoce
