// Triangular bands on the ERB scale, as src/vivavoce/signal/bands.py has them: 34 numbers that stand for the spectral
// envelope of a 20-ms frame at 48 kHz.
#pragma once

namespace vivavoce {

inline constexpr int kBands = 34;
inline constexpr int kBins = 481;  // of 50 Hz
// Whole vectors: arrays have this size, and zeros at their end.
inline constexpr int kPaddedBands = 36;
inline constexpr int kPaddedBins = 484;
inline constexpr int kSpectrumFloats = 2 * kPaddedBins;  // pairs (real, imaginary), as RealFft has them

/// |x|^2 of each bin. `bins` gets kPaddedBins.
void BinEnergies(const float* x, float* bins);

/// Real part of a* b for each bin. `bins` gets kPaddedBins.
void BinCorrelations(const float* a, const float* b, float* bins);

/// The layout of the bands: read-only once constructed.
class ErbBands {
 public:
  ErbBands();

  /// Bins of each band, counted by their weights; kPaddedBands, ones at the end.
  const float* widths() const { return widths_; }

  /// Weighted sum over the bins of each band: kPaddedBins to kPaddedBands.
  void Sum(const float* bins, float* bands) const;

  /// One number a band to one a bin, linear between the centres: kPaddedBands to kPaddedBins.
  void Interpolate(const float* bands, float* bins) const;

 private:
  struct Band {
    int first;  // bin
    int count;  // of bins, whole vectors
    int weights;
  };
  Band bands_[kBands];
  float widths_[kPaddedBands];
  float weights_[2 * kBins + 3 * kBands];  // a bin is in two bands at most
};

}  // namespace vivavoce
