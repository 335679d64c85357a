// Layers of a recurrent network, one frame at a time: int8 weights and inputs, float32 everything else.
//
// Every number that a quantised layer reads lies in [-1, 1], as it comes out of a tanh, a sigmoid or a GRU; it becomes
// round(127 x). The product is exact (int8.h), so that each output is rounded three times, in float32, in one order:
// the same bits on every processor.
#pragma once

#include <cstdint>

#include "int8.h"

namespace vivavoce {

/// out[i] = 127 x[i], rounded half to even. `count` is a multiple of 16. Numbers beyond [-1, 1] are limited; NaN is 0.
void Quantise(const float* x, int8_t* out, int count);

/// 1 / (1 + e^-x) as (1 + tanh(x / 2)) / 2; `out` may be `x`. `count` is a multiple of kLanes.
void Sigmoid(const float* x, float* out, int count);

/// y = W x + b in float32.
struct FloatDense {
  int rows;              ///< a multiple of kStripRows
  int columns;
  const float* weights;  ///< strip after strip; in a strip, column after column
  const float* bias;

  void Apply(const float* x, float* y) const;
};

/// y = scale (W x) + b, a scale for each row, which takes both quantisations back.
struct QuantisedDense {
  Int8Matrix weights;
  const float* scale;
  const float* bias;

  /// `y` may lie where `sums` does: both have weights.rows elements.
  void Apply(Int8Path path, const int8_t* x, int32_t* sums, float* y) const;
};

/// A gated recurrent unit as PyTorch has it: rows are the reset gate, the update gate, the candidate.
struct Gru {
  QuantisedDense input;
  QuantisedDense recurrent;

  int width() const { return recurrent.weights.columns; }

  /// Replaces `state` by the next one, and `quantised` by Quantise of it. Scratch: `sums` has room for 6 * width(),
  /// `gates` for 3 * width().
  void Step(Int8Path path, const int8_t* x, float* state, int8_t* quantised, int32_t* sums, float* gates) const;
};

}  // namespace vivavoce
