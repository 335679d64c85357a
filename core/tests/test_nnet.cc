// Layers against their formulas, written once more and plainly.
#include "nnet.h"

#include <cmath>
#include <iterator>
#include <limits>
#include <vector>

#include "check.h"
#include "noise.h"

namespace {

using vivavoce::Int8Path;

void TestQuantiseRoundsHalfToEven() {
  std::vector<float> x = Noise(4096);
  // The halves that float32 can hit, and what is no number between -1 and 1.
  const float infinity = std::numeric_limits<float>::infinity();
  const float special[] = {0.f, -0.f, 1.f, -1.f, 0.5f, -0.5f, 1.5f, -1e30f, infinity, -infinity, 1e-40f, std::nanf("")};
  for (size_t i = 0; i < std::size(special); ++i) x[i] = special[i];
  std::vector<int8_t> got(x.size());
  vivavoce::Quantise(x.data(), got.data(), static_cast<int>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) {
    const float limited = std::isnan(x[i]) ? 0.f : std::fmax(-1.f, std::fmin(1.f, x[i]));
    VV_CHECK(got[i] == std::nearbyint(127.f * limited), "%g became %d", static_cast<double>(x[i]), got[i]);
  }
}

void TestSigmoid() {
  const std::vector<float> x = {-200.f, -9.f, -1.f, -0.1f, 0.f, 0.1f, 1.f, 9.f};
  std::vector<float> y(x.size());
  vivavoce::Sigmoid(x.data(), y.data(), static_cast<int>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = 1. / (1. + std::exp(-static_cast<double>(x[i])));
    const double got = y[i];
    VV_CHECK(std::fabs(got - want) < 2e-7 && got >= 0. && got <= 1., "%g instead of %g", got, want);
  }
}

void TestFloatDense() {
  constexpr int kRows = 32, kColumns = 7;
  const std::vector<float> weights = Noise(kRows * kColumns, 2), bias = Noise(kRows, 3), x = Noise(kColumns, 4);
  std::vector<float> y(kRows);
  vivavoce::FloatDense{kRows, kColumns, weights.data(), bias.data()}.Apply(x.data(), y.data());
  for (int row = 0; row < kRows; ++row) {
    float sum = bias[static_cast<size_t>(row)];
    for (int column = 0; column < kColumns; ++column) {
      sum += weights[static_cast<size_t>(row / 16 * 16 * kColumns + column * 16 + row % 16)] *
             x[static_cast<size_t>(column)];
    }
    VV_CHECK(y[static_cast<size_t>(row)] == sum, "row %d", row);
  }
}

/// Weights of one layer, blocks of 16 x 4.
struct Layer {
  Layer(int rows, int columns, uint32_t seed)
      : bias(Noise(rows, seed)), scale(static_cast<size_t>(rows), 1.f / (127.f * 127.f * 4.f)) {
    for (const float value : Noise(rows * columns, seed + 1)) weights.push_back(static_cast<int8_t>(127.9f * value));
    corrections.resize(static_cast<size_t>(rows));
    dense = {{rows, columns, weights.data(), corrections.data(), nullptr, nullptr}, scale.data(), bias.data()};
    vivavoce::Int8Corrections(dense.weights, corrections.data());
  }

  double Row(int row, const std::vector<int8_t>& x) const {
    const int columns = dense.weights.columns;
    double sum = 0.;
    for (int column = 0; column < columns; ++column) {
      const int block = row / 16 * (columns / 4) + column / 4;
      sum += weights[static_cast<size_t>(block * 64 + row % 16 * 4 + column % 4)] * x[static_cast<size_t>(column)];
    }
    return sum * static_cast<double>(scale[0]) + static_cast<double>(bias[static_cast<size_t>(row)]);
  }

  std::vector<float> bias, scale;
  std::vector<int8_t> weights;
  std::vector<int32_t> corrections;
  vivavoce::QuantisedDense dense;
};

void TestGru() {
  constexpr int kInputs = 32, kWidth = 16;
  const Layer input(3 * kWidth, kInputs, 1), recurrent(3 * kWidth, kWidth, 11);
  const vivavoce::Gru gru{input.dense, recurrent.dense};
  std::vector<float> state(kWidth), gates(3 * kWidth);
  std::vector<int8_t> x(kInputs), quantised(kWidth);
  std::vector<int32_t> sums(6 * kWidth);
  std::vector<double> want(kWidth);
  const auto sigmoid = [](double v) { return 1. / (1. + std::exp(-v)); };
  for (uint32_t turn = 0; turn < 20; ++turn) {
    vivavoce::Quantise(Noise(kInputs, turn + 50).data(), x.data(), kInputs);
    const std::vector<int8_t> before = quantised;
    gru.Step(Int8Path::kVector, x.data(), state.data(), quantised.data(), sums.data(), gates.data());
    for (int i = 0; i < kWidth; ++i) {
      const double r = sigmoid(input.Row(i, x) + recurrent.Row(i, before));
      const double z = sigmoid(input.Row(kWidth + i, x) + recurrent.Row(kWidth + i, before));
      const double n = std::tanh(input.Row(2 * kWidth + i, x) + r * recurrent.Row(2 * kWidth + i, before));
      double& h = want[static_cast<size_t>(i)];
      h = (1. - z) * n + z * h;
      VV_CHECK(std::fabs(state[static_cast<size_t>(i)] - h) < 2e-6, "turn %u, unit %d", turn, i);
    }
  }
}

}  // namespace

int main() {
  TestQuantiseRoundsHalfToEven();
  TestSigmoid();
  TestFloatDense();
  TestGru();
  return Report();
}
