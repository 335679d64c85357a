// Linear prediction from the cepstrum, as src/vivavoce/signal/cepstrum.py has it: the envelope that a vocoder need not
// learn.
#pragma once

#include "cepstrum.h"

namespace vivavoce {

inline constexpr int kLpcOrder = 16;

/// Tables: read-only once constructed.
class CepstralLpc {
 public:
  /// ok() is false afterwards if memory was short.
  CepstralLpc();

  bool ok() const { return fft_.size() > 0; }

  /// kBarkBands coefficients to the prediction a of y[n], the sum of a[k] y[n - 1 - k], of the pre-emphasised signal;
  /// returns the root mean square of what it leaves. What is not finite counts as 0.
  float Predict(const float* cepstrum, float* prediction) const;

 private:
  static constexpr int kPaddedBands = 20;

  RealFft fft_;
  float idct_[kBarkBands][kPaddedBands];  // coefficients by band
  float weights_[kBarkBands][BarkCepstrum::kPaddedBins];  // of each band at each bin
};

}  // namespace vivavoce
