#include "nnet.h"

#include "elementary.h"
#include "simd.h"

namespace vivavoce {
namespace {

typedef int8_t I8x16 __attribute__((vector_size(16)));
typedef int16_t I16x8 __attribute__((vector_size(16)));

inline F32x4 LoadAsFloat(const int32_t* from) {
  I32x4 value;
  std::memcpy(&value, from, sizeof value);
  return ToFloat(value);
}

/// Rows `row` to row + 3 of a quantised layer, from its sums.
inline F32x4 Rows(const QuantisedDense& layer, const int32_t* sums, int row) {
  return LoadAsFloat(sums + row) * Load<F32x4>(layer.scale + row) + Load<F32x4>(layer.bias + row);
}

/// Four numbers of Quantise, as the low bytes of integers.
inline I32x4 Quantise(F32x4 x) {
  // 1.5 * 2^23: a float that it is added to is rounded to an integer, which then stands in the low bits.
  constexpr float kRounder = 12582912.f;
  const F32x4 one = Splat<F32x4>(1.f);
  F32x4 limited = Select(x > one, one, x);
  limited = Select(limited < -one, -one, limited);
  limited = Select(limited == limited, limited, Splat<F32x4>(0.f));
  return Bits(127.f * limited + kRounder) - Bits(Splat<F32x4>(kRounder));
}

}  // namespace

void Quantise(const float* x, int8_t* out, int count) {
  for (int i = 0; i < count; i += 16) {
    const I16x8 a = (I16x8)Quantise(Load<F32x4>(x + i)), b = (I16x8)Quantise(Load<F32x4>(x + i + 4));
    const I16x8 c = (I16x8)Quantise(Load<F32x4>(x + i + 8)), d = (I16x8)Quantise(Load<F32x4>(x + i + 12));
    const I8x16 ab = (I8x16)__builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
    const I8x16 cd = (I8x16)__builtin_shufflevector(c, d, 0, 2, 4, 6, 8, 10, 12, 14);
    const I8x16 all = __builtin_shufflevector(ab, cd, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    std::memcpy(out + i, &all, sizeof all);
  }
}

void Sigmoid(const float* x, float* out, int count) {
  for (int i = 0; i < count; i += kLanes) Store(out + i, 0.5f + 0.5f * Tanh(0.5f * Load<F32x4>(x + i)));
}

void FloatDense::Apply(const float* x, float* y) const {
  constexpr int kVectors = kStripRows / kLanes;
  for (int row = 0; row < rows; row += kStripRows) {
    F32x4 sum[kVectors];
    for (int k = 0; k < kVectors; ++k) sum[k] = Load<F32x4>(bias + row + k * kLanes);
    for (int column = 0; column < columns; ++column) {
      const float* w = weights + row * columns + column * kStripRows;
      for (int k = 0; k < kVectors; ++k) sum[k] = sum[k] + Load<F32x4>(w + k * kLanes) * x[column];
    }
    for (int k = 0; k < kVectors; ++k) Store(y + row + k * kLanes, sum[k]);
  }
}

void QuantisedDense::Apply(Int8Path path, const int8_t* x, int32_t* sums, float* y) const {
  Multiply(path, weights, x, sums);
  for (int row = 0; row < weights.rows; row += kLanes) Store(y + row, Rows(*this, sums, row));
}

void Gru::Step(Int8Path path, const int8_t* x, float* state, int8_t* quantised, int32_t* sums, float* gates) const {
  const int count = width();
  int32_t* const recurrent_sums = sums + 3 * count;
  Multiply(path, input.weights, x, sums);
  Multiply(path, recurrent.weights, quantised, recurrent_sums);
  // The sigmoids of reset and update, 0.5 + 0.5 tanh(x / 2), in steps: Tanh is fastest over arrays.
  for (int i = 0; i < 2 * count; i += kLanes) {
    Store(gates + i, 0.5f * (Rows(input, sums, i) + Rows(recurrent, recurrent_sums, i)));
  }
  Tanh(gates, gates, static_cast<size_t>(2 * count));
  float* const update = gates + count;
  float* const candidate = update + count;
  for (int i = 0; i < count; i += kLanes) {
    const F32x4 r = 0.5f + 0.5f * Load<F32x4>(gates + i);
    const int row = 2 * count + i;
    Store(candidate + i, Rows(input, sums, row) + r * Rows(recurrent, recurrent_sums, row));
  }
  Tanh(candidate, candidate, static_cast<size_t>(count));
  for (int i = 0; i < count; i += kLanes) {
    const F32x4 z = 0.5f + 0.5f * Load<F32x4>(update + i);
    Store(state + i, (1.f - z) * Load<F32x4>(candidate + i) + z * Load<F32x4>(state + i));
  }
  Quantise(state, quantised, count);
}

}  // namespace vivavoce
