#include "burg.h"

#include <algorithm>

namespace vivavoce {
namespace {

constexpr int kOrder = 16;
constexpr int kHalf = kSpeechHop / 2;
constexpr double kExpansion = 0.995;
constexpr double kFloor = 1e-9;
constexpr double kPredicted = 1e-3;  // of the energy: with less error left, the rest would fit rounding errors

/// The prediction that minimises the error of `samples` forward and backward; returns the mean square of that error.
/// In double: differences of nearly equal numbers decide, and it runs only where something was lost.
double Burg(const double* samples, double* prediction) {
  double forward[kHalf], backward[kHalf], error = 0.;
  for (int n = 0; n < kHalf; ++n) {
    forward[n] = backward[n] = samples[n];
    error += samples[n] * samples[n] / kHalf;
  }
  const double whole = error;
  for (int i = 0; i < kOrder; ++i) {
    if (error <= kPredicted * whole) {
      std::fill(prediction + i, prediction + kOrder, 0.);
      break;
    }
    double product = 0., energy = kFloor;
    for (int n = i + 1; n < kHalf; ++n) {
      product += forward[n] * backward[n - 1];
      energy += forward[n] * forward[n] + backward[n - 1] * backward[n - 1];
    }
    const double reflection = 2. * product / energy;
    double before[kOrder];
    std::copy_n(prediction, i, before);
    for (int k = 0; k < i; ++k) prediction[k] = before[k] - reflection * before[i - 1 - k];
    prediction[i] = reflection;
    error *= 1. - reflection * reflection;
    for (int n = kHalf - 1; n > i; --n) {
      const double ahead = forward[n];
      forward[n] = ahead - reflection * backward[n - 1];
      backward[n] = backward[n - 1] - reflection * ahead;
    }
  }
  return error;
}

void Cepstrum(const SpeechAnalysis& analysis, const float* samples, float* cepstrum) {
  double sharp[kHalf], prediction[kOrder];
  for (int n = 0; n < kHalf; ++n) sharp[n] = samples[n] - double{kPreemphasis} * samples[n - 1];
  const double error = Burg(sharp, prediction);
  float spectrum[2 * BarkCepstrum::kPaddedBins] = {1.f}, bins[BarkCepstrum::kPaddedBins];
  double expansion = 1.;
  for (int k = 0; k < kOrder; ++k) {
    expansion *= kExpansion;
    spectrum[k + 1] = static_cast<float>(-expansion * prediction[k]);
  }
  analysis.fft().Forward(spectrum, spectrum);
  SpeechPowers(spectrum, 1.f, bins);
  // That of a windowed transform; the squares of the window sum to half of its length.
  constexpr double kScale = double{kFullScale} / kSpeechWindow * kFullScale / 2.;
  const float scale = static_cast<float>(kScale * error);
  for (int i = 0; i < kSpeechBins; ++i) bins[i] = scale / bins[i];
  analysis.bark().Analyse(bins, cepstrum);
}

}  // namespace

void BurgFeatures(const SpeechAnalysis& analysis, const float* end, float* features) {
  float first[kBarkBands], second[kBarkBands];
  Cepstrum(analysis, end - kSpeechHop, first);
  Cepstrum(analysis, end - kHalf, second);
  for (int i = 0; i < kBarkBands; ++i) {
    features[i] = 0.5f * (first[i] + second[i]);
    features[kBarkBands + i] = second[i] - first[i];
  }
}

}  // namespace vivavoce
