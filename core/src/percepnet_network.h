// The network of PercepNet (arXiv 2008.04259, section 3): features of a frame in; gains, comb filter strengths and the
// probability of voice out. src/vivavoce/enhancement/model.py is its definition.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model_image.h"
#include "nnet.h"

namespace vivavoce {

inline constexpr int kPercepNetBands = 34;
/// Log energy and pitch coherence of each band, pitch period, pitch correlation.
inline constexpr int kPercepNetFeatures = 2 * kPercepNetBands + 2;

/// The layers of one model: read-only once bound. What a stream remembers is a block of memory apart from it, without
/// pointers: all zeros is the beginning, and a copy of its bytes is a copy of the stream.
class PercepNetNetwork {
 public:
  /// Finds the layers in `image`, which has to live as long. False: the image is of another model, or malformed.
  bool Bind(const ModelImage& image);

  /// Bytes of a state, which must be aligned as float is; a multiple of 64.
  size_t state_bytes() const { return layout_.bytes; }

  /// Widths of dense layer, convolutions, GRUs, GRU of the strengths.
  const int (&sizes() const)[4] { return sizes_; }

  /// One frame. `features` holds kPercepNetFeatures; `gains` and `strengths` get kPercepNetBands each, all in [0, 1]
  /// whatever the features are. The path is one that this processor has; all give the same bits.
  void Step(Int8Path path, void* state, const float* features, float* gains, float* strengths, float* voice) const;

 private:
  static constexpr int kGrus = 4;  // one after the other: three, and that of the gains

  /// Offsets into a state, in bytes. The vectors that a layer reads together lie side by side.
  struct Layout {
    size_t states[kGrus];     ///< float
    size_t strengths_state;   ///< float
    size_t dense_history;     ///< int8: dense layer, the last 5 frames, oldest first
    size_t conv_history;      ///< int8: first convolution, the last 3 frames
    size_t joined;            ///< int8: second convolution, then the state of each GRU
    size_t strengths_input;   ///< int8: third GRU, second convolution
    size_t strengths_joined;  ///< int8: state of the GRU of the strengths
    size_t sums;              ///< int32, scratch
    size_t outputs;           ///< float, scratch
    size_t bytes;
  };
  void Arrange();

  int sizes_[4] = {};
  Layout layout_ = {};
  FloatDense dense_ = {};
  QuantisedDense conv1_ = {}, conv2_ = {}, gains_ = {}, strengths_ = {};
  Gru grus_[kGrus] = {}, strengths_gru_ = {};
};

}  // namespace vivavoce
