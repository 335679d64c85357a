#include "lpc.h"

#include <algorithm>
#include <cmath>

#include "elementary.h"
#include "simd.h"

namespace vivavoce {
namespace {

constexpr float kLn10 = 2.30258509f;
constexpr float kMaxCoefficient = 100.f;
constexpr float kMaxLog = 12.f;  // of a band's energy, to base 10: 30 dB above full scale
constexpr float kPerBin[kBarkBands] = {.8f, 1.f, 1.f,  1.f,  1.f,   1.f,  1.f,  1.f, .667f,
                                       .5f, .5f, .5f, .333f, .25f, .25f, .2f, .167f, .174f};
constexpr float kNoise = 1e-4f;
constexpr float kLagWindow = 6e-5f;
constexpr float kPredicted = 1e-3f;
constexpr float kCorrelationOfPower = 4.f * (kFullScale / kSpeechWindow) * (kFullScale / kSpeechWindow) * kSpeechHop;
constexpr float kRounding = kCorrelationOfPower / (kFullScale * kFullScale) / 12.f;  // of 16-bit samples

/// Levinson-Durbin; returns the error.
float Levinson(const float* correlation, float* prediction) {
  float error = correlation[0];
  std::fill_n(prediction, kLpcOrder, 0.f);
  for (int i = 0; i < kLpcOrder && error > kPredicted * correlation[0]; ++i) {
    float sum = correlation[i + 1];
    for (int k = 0; k < i; ++k) sum -= prediction[k] * correlation[i - k];
    const float reflection = sum / error;
    float before[kLpcOrder];
    std::copy_n(prediction, i, before);
    for (int k = 0; k < i; ++k) prediction[k] = before[k] - reflection * before[i - 1 - k];
    prediction[i] = reflection;
    error -= reflection * reflection * error;
  }
  return error;
}

}  // namespace

CepstralLpc::CepstralLpc() : fft_(kSpeechWindow) {
  const BarkCepstrum bark;
  for (int i = 0; i < kBarkBands; ++i) {
    for (int band = 0; band < kPaddedBands; ++band) idct_[i][band] = bark.dct(i, band);
    const float outer = i == 0 || i == kBarkBands - 1 ? 0.5f : 1.f;
    for (int bin = 0; bin < BarkCepstrum::kPaddedBins; ++bin) {
      weights_[i][bin] = outer * kPerBin[i] * bark.weight(i, bin);
    }
  }
}

float CepstralLpc::Predict(const float* cepstrum, float* prediction) const {
  float energies[kPaddedBands] = {};
  for (int i = 0; i < kBarkBands; ++i) {
    float coefficient = std::fabs(cepstrum[i]) < kMaxCoefficient ? cepstrum[i] : 0.f;
    if (i == 0) coefficient += kMeanC0;
    for (int band = 0; band < kPaddedBands; band += kLanes) {
      Store(energies + band, Load<F32x4>(energies + band) + coefficient * Load<F32x4>(idct_[i] + band));
    }
  }
  for (int band = 0; band < kBarkBands; ++band) energies[band] = kLn10 * std::min(energies[band], kMaxLog);
  Exp(energies, energies, kPaddedBands);
  float spectrum[2 * BarkCepstrum::kPaddedBins] = {};
  for (int bin = 0; bin < BarkCepstrum::kPaddedBins; bin += kLanes) {
    F32x4 sum = Splat<F32x4>(0.f), low, high;
    for (int band = 0; band < kBarkBands; ++band) sum += energies[band] * Load<F32x4>(weights_[band] + bin);
    Interleave(sum, Splat<F32x4>(0.f), &low, &high);
    Store(spectrum + 2 * bin, low);
    Store(spectrum + 2 * bin + kLanes, high);
  }
  float correlation[kSpeechWindow];
  fft_.Inverse(spectrum, correlation);
  correlation[0] += kNoise * correlation[0] + kRounding;
  for (int i = 1; i <= kLpcOrder; ++i) correlation[i] *= 1.f - kLagWindow * static_cast<float>(i * i);
  const float error = std::max(Levinson(correlation, prediction), 0.f);  // rounding may take it below
  return std::sqrt(error / kCorrelationOfPower);
}

}  // namespace vivavoce
