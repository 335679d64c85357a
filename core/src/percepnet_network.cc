#include "percepnet_network.h"

#include <algorithm>
#include <cstring>

#include "elementary.h"
#include "state_layout.h"

namespace vivavoce {
namespace {

constexpr int kTaps1 = 5;
constexpr int kTaps2 = 3;

/// Forgets the oldest of `taps` frames; the last is then to be written.
int8_t* Advance(int8_t* history, int taps, int width) {
  const size_t kept = static_cast<size_t>((taps - 1) * width);
  std::memmove(history, history + width, kept);
  return history + kept;
}

}  // namespace

bool PercepNetNetwork::Bind(const ModelImage& image) {
  constexpr uint32_t kGruTensors = 2 * (kGrus + 1);  // input and recurrent of each
  enum Tensor : uint32_t { kDense, kConv1, kConv2, kFirstGru, kGains = kFirstGru + kGruTensors, kStrengths, kCount };
  const ImageHeader& header = image.header();
  const uint32_t* const d = header.dimensions;
  if (header.kind != ModelKind::kPercepNet || header.tensors != kCount) return false;
  if (d[0] != kPercepNetFeatures || d[1] != kPercepNetBands || d[6] != 0 || d[7] != 0) return false;
  for (int i = 0; i < 4; ++i) {
    if (!IsWidth(d[2 + i])) return false;
    sizes_[i] = static_cast<int>(d[2 + i]);
  }
  const auto [dense, conv, gru, strengths] = sizes_;
  if (!image.Get(kDense, dense, kPercepNetFeatures, &dense_) ||
      !image.Get(kConv1, conv, kTaps1 * dense, &conv1_) || !image.Get(kConv2, conv, kTaps2 * conv, &conv2_)) {
    return false;
  }
  const auto get_gru = [&image](int index, int inputs, int width, Gru* layer) {
    const uint32_t tensor = kFirstGru + 2 * static_cast<uint32_t>(index);
    return image.Get(tensor, 3 * width, inputs, &layer->input) &&
           image.Get(tensor + 1, 3 * width, width, &layer->recurrent);
  };
  for (int i = 0; i < kGrus; ++i) {
    if (!get_gru(i, i == 0 ? conv : gru, gru, &grus_[i])) return false;
  }
  if (!get_gru(kGrus, gru + conv, strengths, &strengths_gru_)) return false;
  if (!image.Get(kGains, kPercepNetBands + 1, conv + kGrus * gru, &gains_) ||
      !image.Get(kStrengths, kPercepNetBands, strengths, &strengths_)) {
    return false;
  }
  Arrange();
  return true;
}

void PercepNetNetwork::Arrange() {
  const auto [dense, conv, gru, strengths] = sizes_;
  StateLayout all;
  for (size_t& state : layout_.states) state = all.Place(gru, sizeof(float));
  layout_.strengths_state = all.Place(strengths, sizeof(float));
  layout_.dense_history = all.Place(kTaps1 * dense, 1);
  layout_.conv_history = all.Place(kTaps2 * conv, 1);
  layout_.joined = all.Place(conv + kGrus * gru, 1);
  layout_.strengths_input = all.Place(gru + conv, 1);
  layout_.strengths_joined = all.Place(strengths, 1);
  const int head_rows = std::max(gains_.weights.rows, strengths_.weights.rows);
  layout_.sums = all.Place(std::max({conv, 6 * gru, 6 * strengths, head_rows}), sizeof(int32_t));
  layout_.outputs = all.Place(std::max({dense, conv, 3 * gru, 3 * strengths, head_rows}), sizeof(float));
  layout_.bytes = all.bytes();
}

void PercepNetNetwork::Step(Int8Path path, void* state, const float* features, float* gains, float* strengths,
                            float* voice) const {
  const auto [dense, conv, gru, strengths_width] = sizes_;
  int32_t* const sums = At<int32_t>(state, layout_.sums);
  float* const outputs = At<float>(state, layout_.outputs);
  int8_t* const dense_history = At<int8_t>(state, layout_.dense_history);
  int8_t* const conv_history = At<int8_t>(state, layout_.conv_history);
  int8_t* const joined = At<int8_t>(state, layout_.joined);

  dense_.Apply(features, outputs);
  Tanh(outputs, outputs, static_cast<size_t>(dense));
  Quantise(outputs, Advance(dense_history, kTaps1, dense), dense);
  conv1_.Apply(path, dense_history, sums, outputs);
  Tanh(outputs, outputs, static_cast<size_t>(conv));
  Quantise(outputs, Advance(conv_history, kTaps2, conv), conv);
  conv2_.Apply(path, conv_history, sums, outputs);
  Tanh(outputs, outputs, static_cast<size_t>(conv));
  Quantise(outputs, joined, conv);

  int8_t* input = joined;
  int8_t* output = joined + conv;
  for (int i = 0; i < kGrus; ++i) {
    grus_[i].Step(path, input, At<float>(state, layout_.states[i]), output, sums,
                  outputs);
    input = output;
    output += gru;
  }
  gains_.Apply(path, joined, sums, outputs);
  Sigmoid(outputs, outputs, gains_.weights.rows);
  std::copy_n(outputs, kPercepNetBands, gains);
  *voice = outputs[kPercepNetBands];

  int8_t* const strengths_input = At<int8_t>(state, layout_.strengths_input);
  int8_t* const strengths_joined = At<int8_t>(state, layout_.strengths_joined);
  constexpr int kThirdGru = 2;
  std::memcpy(strengths_input, joined + conv + kThirdGru * gru, static_cast<size_t>(gru));
  std::memcpy(strengths_input + gru, joined, static_cast<size_t>(conv));
  strengths_gru_.Step(path, strengths_input, At<float>(state, layout_.strengths_state), strengths_joined, sums,
                      outputs);
  strengths_.Apply(path, strengths_joined, sums, outputs);
  Sigmoid(outputs, outputs, strengths_.weights.rows);
  std::copy_n(outputs, kPercepNetBands, strengths);
}

}  // namespace vivavoce
