#include "bands.h"

#include <algorithm>

#include "simd.h"

namespace vivavoce {
namespace {

/// Bins of the centres: equal steps on the ERB scale up to 20 kHz, at least two bins apart. Tables need no libm.
constexpr int kCentres[kBands] = {0,  2,  4,  6,  8,  10, 12,  14,  16,  18,  20,  22,  24,  26,  28,  31,  36,
                                  41, 48, 56, 65, 75, 86, 99, 115, 132, 152, 175, 201, 230, 265, 304, 349, 400};

/// Weight of `bin` in the band about `centre`, which ends at the centres of its neighbours.
double Weight(int bin, int band) {
  const int centre = kCentres[band];
  if (bin == centre) return 1.;
  const int side = bin < centre ? band - 1 : band + 1;
  if (side == kBands) return 1.;  // up to half of the sample rate
  const double weight = 1. - static_cast<double>(bin - centre) / (kCentres[side] - centre);
  return std::max(weight, 0.);
}

}  // namespace

void BinEnergies(const float* x, float* bins) { BinCorrelations(x, x, bins); }

void BinCorrelations(const float* a, const float* b, float* bins) {
  for (int i = 0; i < kPaddedBins; i += kLanes) {
    const F32x4 low = Load<F32x4>(a + 2 * i) * Load<F32x4>(b + 2 * i);
    const F32x4 high = Load<F32x4>(a + 2 * i + kLanes) * Load<F32x4>(b + 2 * i + kLanes);
    F32x4 real, imaginary;
    Deinterleave(low, high, &real, &imaginary);
    Store(bins + i, real + imaginary);
  }
}

ErbBands::ErbBands() {
  int end = 0;
  std::fill_n(widths_, kPaddedBands, 1.f);
  for (int band = 0; band < kBands; ++band) {
    const int first = band == 0 ? 0 : kCentres[band - 1] + 1;
    const int last = band == kBands - 1 ? kBins - 1 : kCentres[band + 1] - 1;
    const int count = (last - first + kLanes) / kLanes * kLanes;
    bands_[band] = {first, count, end};
    double width = 0.;
    for (int i = 0; i < count; ++i) {
      const double weight = first + i <= last ? Weight(first + i, band) : 0.;
      weights_[end++] = static_cast<float>(weight);
      width += weight;
    }
    widths_[band] = static_cast<float>(width);
  }
}

void ErbBands::Sum(const float* bins, float* bands) const {
  for (int band = 0; band < kBands; ++band) {
    const auto [first, count, weights] = bands_[band];
    F32x4 sum = Splat<F32x4>(0.f);
    for (int i = 0; i < count; i += kLanes) {
      sum += Load<F32x4>(weights_ + weights + i) * Load<F32x4>(bins + first + i);
    }
    bands[band] = vivavoce::Sum(sum);
  }
  std::fill(bands + kBands, bands + kPaddedBands, 0.f);
}

void ErbBands::Interpolate(const float* bands, float* bins) const {
  std::fill_n(bins, kPaddedBins, 0.f);
  for (int band = 0; band < kBands; ++band) {
    const auto [first, count, weights] = bands_[band];
    const F32x4 value = Splat<F32x4>(bands[band]);
    for (int i = first; i < first + count; i += kLanes) {
      Store(bins + i, Load<F32x4>(bins + i) + value * Load<F32x4>(weights_ + weights + i - first));
    }
  }
}

}  // namespace vivavoce
