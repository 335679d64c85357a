// The predictor of lost features: what is known of a frame in, what its features may be out.
// src/vivavoce/concealment/model.py is its definition.
#pragma once

#include <cstddef>
#include <cstdint>

#include "burg.h"
#include "cepstrum.h"
#include "model_image.h"
#include "nnet.h"

namespace vivavoce {

/// The layers of one model: read-only once bound. What a stream remembers is a block of memory apart from it, without
/// pointers: all zeros is the beginning, and a copy of its bytes is a copy of the stream.
class PredictorNetwork {
 public:
  /// Burg cepstra, features, and how they are known: kReceived, kLost (then the others are 0) or kTold (no Burg). And the
  /// features behind a gap, from kForeseen on, with 1 over the frames until they are reached; 0 where nothing is known.
  static constexpr int kKnown = kBurgFeatures + kSpeechFeatures;
  static constexpr int kForeseen = kKnown + 1;
  static constexpr int kInputs = kForeseen + kSpeechFeatures + 1;
  static constexpr float kReceived = 1.f, kLost = 0.f, kTold = -1.f;

  /// Finds the layers in `image`, which has to live as long. False: the image is of another model, or malformed.
  bool Bind(const ModelImage& image);

  /// Bytes of a state, which must be aligned as float is; a multiple of 64. 0 where nothing is bound.
  size_t state_bytes() const { return layout_.bytes; }

  /// One frame: kInputs to kSpeechFeatures.
  void Step(Int8Path path, void* state, const float* inputs, float* features) const;

 private:
  static constexpr int kGrus = 2;

  /// Offsets into a state, in bytes.
  struct Layout {
    size_t states[kGrus];     // float
    size_t quantised[kGrus];  // int8, the same
    size_t dense;             // int8, scratch
    size_t sums;              // int32, scratch
    size_t outputs;           // float, scratch
    size_t bytes;
  };

  int dense_ = 0, gru_ = 0;
  Layout layout_ = {};
  FloatDense dense_layer_ = {}, output_ = {};
  Gru grus_[kGrus] = {};
};

}  // namespace vivavoce
