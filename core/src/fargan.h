// The vocoder FARGAN (arXiv 2405.21069): sub-frames of 2.5 ms from what they would be if they repeated themselves. Its
// definition is src/vivavoce/vocoder/fargan.py.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vocoder.h"

namespace vivavoce {

class FarganNetwork final : public Vocoder {
 public:
  /// Finds the layers in `image`, which has to live as long. False: the image is of another model, or malformed,
  /// or memory was short.
  bool Bind(const ModelImage& image);

 private:
  static constexpr int kGrus = 3;
  static constexpr int kPredictionGates = kGrus + 2;  // of the GRUs, of the last hidden layer, and of the result
  static constexpr int kPrediction = kSubframe + 2 * kMargin;

  static constexpr int kPadded = 48;  // of a sub-frame or a prediction: whole vectors of Quantise

  /// What a sub-frame begins with.
  struct Input {
    float gain;
    float prediction[kPadded];  // relative to it
    int8_t previous[kPadded];   // the sub-frame before, likewise
  };

  /// Offsets into a state, in bytes. The vectors that a layer reads together lie side by side.
  struct Layout {
    size_t input;          // int8: condition, prediction, sub-frame before; of the last sub-frame, then of this one
    size_t states[kGrus];  // float
    size_t quantised[kGrus];  // int8, the same
    size_t gru_inputs[kGrus];
    size_t joined;         // int8: what the last hidden layer reads
    size_t hidden;         // int8, scratch
    size_t sums;           // int32, scratch
    size_t outputs;        // float, scratch
  };

  void Make(Int8Path path, void* state, const Subframe& subframe, const float* known, float* excitation,
            float* samples) const override;
  void Arrange(StateLayout* all);
  void Prepare(void* state, const Subframe& subframe, Input* in) const;
  static void Around(const Input& in, float gate, int8_t* at);
  void Excite(Int8Path path, void* state, const Subframe& subframe, float* excitation) const;
  static void Postfilter(const Memory& memory, const Subframe& subframe, const float* excitation, float* heard);
  static void Predict(const Memory& memory, int period, float scale, float* prediction, float* previous);
  void Gated(Int8Path path, const QuantisedDense& layer, void* state, int width, int8_t* out) const;
  int input_columns() const { return condition_ + kPrediction + kSubframe; }

  int input_ = 0, skip_ = 0;
  int grus_[kGrus] = {};
  Layout layout_ = {};
  FloatDense gain_layer_ = {};
  QuantisedDense input_layer_ = {}, input_glu_ = {}, gates_ = {};
  QuantisedDense glus_[kGrus] = {}, skip_layer_ = {}, skip_glu_ = {}, output_ = {};
  Gru gru_layers_[kGrus] = {};
};

}  // namespace vivavoce
