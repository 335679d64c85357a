// The vocoder LPCNet (ICASSP 2019): one sample after the other, each drawn from what two GRUs say of it. Its definition
// is src/vivavoce/vocoder/lpcnet.py. A yardstick: float32, and ten times as dear as FARGAN.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vocoder.h"

namespace vivavoce {

class LpcnetNetwork final : public Vocoder {
 public:
  /// Finds the layers in `image`, which has to live as long. False: the image is of another model, or malformed,
  /// or memory was short.
  bool Bind(const ModelImage& image);

 private:
  static constexpr int kBits = 8;
  static constexpr int kCodes = 1 << kBits;
  static constexpr int kInputs = 3;   // codes that a sample is told: signal, prediction, excitation
  static constexpr int kNeurons = 2;  // of a node of the tree

  static constexpr int kRepeated = 2 * kMargin + 1;  // samples about one period ago

  /// Offsets into a state, in bytes.
  struct Layout {
    size_t random;                     // uint32_t
    size_t first, second;              // float: the states of the GRUs
    size_t first_told, second_told;    // float, scratch: what a sub-frame adds to their inputs
    size_t inputs, recurrent;          // float, scratch
  };

  void Make(Int8Path path, void* state, const Subframe& subframe, const float* known, float* excitation,
            float* samples) const override;
  void Step(void* state, const int* codes, const float* repeated) const;
  int Draw(void* state, float sharpness) const;

  int first_ = 0, second_ = 0;  // widths
  Layout layout_ = {};
  FloatDense codes_[kInputs] = {};
  FloatDense repeated_ = {}, first_condition_ = {}, first_recurrent_ = {};
  FloatDense second_condition_ = {}, second_input_ = {}, second_recurrent_ = {};
  FloatDense tree_[kNeurons] = {};
  float values_[kCodes] = {};  // of an excitation, over its level
};

}  // namespace vivavoce
