#include "predictor.h"

#include <algorithm>

#include "elementary.h"
#include "state_layout.h"

namespace vivavoce {

bool PredictorNetwork::Bind(const ModelImage& image) {
  enum Tensor : uint32_t { kDense, kFirstGru, kOutput = kFirstGru + 2 * kGrus, kCount };
  const ImageHeader& header = image.header();
  const uint32_t* const d = header.dimensions;
  if (header.kind != ModelKind::kPredictor || header.tensors != kCount || header.sample_rate != 100 * kSpeechHop) {
    return false;
  }
  if (!IsWidth(d[0]) || !IsWidth(d[1]) || std::any_of(d + 2, d + kImageDimensions, [](uint32_t n) { return n != 0; })) {
    return false;
  }
  dense_ = static_cast<int>(d[0]);
  gru_ = static_cast<int>(d[1]);
  if (!image.Get(kDense, dense_, kInputs, &dense_layer_) || !image.Get(kOutput, kSpeechFeatures, gru_, &output_)) {
    return false;
  }
  for (int i = 0; i < kGrus; ++i) {
    const uint32_t tensor = kFirstGru + 2 * static_cast<uint32_t>(i);
    if (!image.Get(tensor, 3 * gru_, i == 0 ? dense_ : gru_, &grus_[i].input) ||
        !image.Get(tensor + 1, 3 * gru_, gru_, &grus_[i].recurrent)) {
      return false;
    }
  }
  StateLayout all;
  for (int i = 0; i < kGrus; ++i) {
    layout_.states[i] = all.Place(gru_, sizeof(float));
    layout_.quantised[i] = all.Place(gru_, 1);
  }
  layout_.dense = all.Place(dense_, 1);
  layout_.sums = all.Place(6 * gru_, sizeof(int32_t));
  layout_.outputs = all.Place(std::max(3 * gru_, dense_), sizeof(float));
  layout_.bytes = all.bytes();
  return true;
}

void PredictorNetwork::Step(Int8Path path, void* state, const float* inputs, float* features) const {
  int32_t* const sums = At<int32_t>(state, layout_.sums);
  float* const outputs = At<float>(state, layout_.outputs);
  int8_t* input = At<int8_t>(state, layout_.dense);
  dense_layer_.Apply(inputs, outputs);
  Tanh(outputs, outputs, static_cast<size_t>(dense_));
  Quantise(outputs, input, dense_);
  for (int i = 0; i < kGrus; ++i) {
    int8_t* const quantised = At<int8_t>(state, layout_.quantised[i]);
    grus_[i].Step(path, input, At<float>(state, layout_.states[i]), quantised, sums, outputs);
    input = quantised;
  }
  float rows[(kSpeechFeatures + kStripRows - 1) / kStripRows * kStripRows];
  output_.Apply(At<float>(state, layout_.states[kGrus - 1]), rows);
  std::copy_n(rows, kSpeechFeatures, features);
}

}  // namespace vivavoce
