#include "cepstrum.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "elementary.h"
#include "sane.h"
#include "simd.h"
#include "window.h"

namespace vivavoce {
namespace {

constexpr int kCentres[kBarkBands] = {0,  4,  8,  12, 16, 20, 24,  28,  32,
                                      40, 48, 56, 64, 80, 96, 112, 136, 160};  // bins of 50 Hz
constexpr float kMinEnergy = 1e-2f;
constexpr float kMinLog = -2.f;              // of kMinEnergy
constexpr float kRange = 8.f, kSlope = 2.5f;  // below the loudest band, and below the one before, in units of 10 dB
constexpr float kLog10OfE = 0.434294482f;
constexpr float kPerLn2 = 1.44269504f;
constexpr float kVoicingSlope = 5.f;
constexpr float kVoicingScale = 0.199731774f;  // 1 / ln(1 + e^5)

/// Weight of `bin` in the triangle about the centre of `band`; the outer bands count twice.
float Weight(int bin, int band) {
  const int centre = kCentres[band];
  const double outer = band == 0 || band == kBarkBands - 1 ? 2. : 1.;
  if (bin == centre) return static_cast<float>(outer);
  const int side = bin < centre ? band - 1 : band + 1;
  if (side < 0 || side == kBarkBands) return 0.f;
  const double weight = 1. - static_cast<double>(bin - centre) / (kCentres[side] - centre);
  return static_cast<float>(outer * std::max(weight, 0.));
}

}  // namespace

BarkCepstrum::BarkCepstrum() {
  for (int band = 0; band < kBarkBands; ++band) {
    for (int bin = 0; bin < kPaddedBins; ++bin) weights_[band][bin] = bin < kSpeechBins ? Weight(bin, band) : 0.f;
    first_[band] = kCentres[std::max(band - 1, 0)] / kLanes * kLanes;
    end_[band] = kCentres[std::min(band + 1, kBarkBands - 1)] / kLanes * kLanes + kLanes;
  }
  for (int i = 0; i < kBarkBands; ++i) {
    const double scale = std::sqrt((i == 0 ? 1. : 2.) / kBarkBands);
    for (int band = 0; band < kPaddedBands; ++band) {
      constexpr int kTurn = 4 * kBarkBands;  // cos(pi / 18 i (band + 1/2)) as parts of a turn
      const double turns = static_cast<double>(i * (2 * band + 1) % kTurn) / kTurn;
      dct_[i][band] = band < kBarkBands ? static_cast<float>(scale * SinCosOfTurns(turns).cos) : 0.f;
    }
  }
}

void BarkCepstrum::Analyse(const float* bins, float* cepstrum) const {
  float logs[kPaddedBands] = {};
  for (int band = 0; band < kBarkBands; ++band) {
    F32x4 sum = Splat<F32x4>(0.f);
    for (int i = first_[band]; i < end_[band]; i += kLanes) {
      sum += Load<F32x4>(weights_[band] + i) * Load<F32x4>(bins + i);
    }
    logs[band] = kMinEnergy + Sum(sum);
  }
  std::fill(logs + kBarkBands, logs + kPaddedBands, 1.f);
  Log(logs, logs, kPaddedBands);
  float loudest = kMinLog, follow = kMinLog;
  for (int band = 0; band < kBarkBands; ++band) {
    logs[band] = std::max(std::max(loudest - kRange, follow - kSlope), kLog10OfE * logs[band]);
    loudest = std::max(loudest, logs[band]);
    follow = std::max(follow - kSlope, logs[band]);
  }
  for (int i = 0; i < kBarkBands; ++i) {
    F32x4 sum = Splat<F32x4>(0.f);
    for (int band = 0; band < kPaddedBands; band += kLanes) {
      sum += Load<F32x4>(dct_[i] + band) * Load<F32x4>(logs + band);
    }
    cepstrum[i] = Sum(sum);
  }
  cepstrum[0] -= kMeanC0;
}

void SpeechPowers(float* spectrum, float scale, float* bins) {
  constexpr int kPaddedBins = BarkCepstrum::kPaddedBins;
  std::fill(spectrum + 2 * kSpeechBins, spectrum + 2 * kPaddedBins, 0.f);
  for (int i = 0; i < kPaddedBins; i += kLanes) {
    F32x4 real, imaginary;
    Deinterleave(Load<F32x4>(spectrum + 2 * i), Load<F32x4>(spectrum + 2 * i + kLanes), &real, &imaginary);
    Store(bins + i, scale * (real * real + imaginary * imaginary));
  }
}

SpeechAnalysis::SpeechAnalysis() : fft_(kSpeechWindow), tracker_(0) { VorbisWindow(kSpeechWindow, window_); }

void SpeechAnalysis::Advance(const float* hop, State* state, float* features) const {
  constexpr int kKept = kHistory - kSpeechHop;
  std::memmove(state->history, state->history + kSpeechHop, kKept * sizeof(float));
  for (int i = 0; i < kSpeechHop; i += kLanes) Store(state->history + kKept + i, Sane(Load<F32x4>(hop + i)));
  const float* const end = state->history + kHistory;
  Cepstrum(end, features);
  tracker_.Listen(end, &state->tracker);
  const Pitch pitch = tracker_.Track(end, &state->tracker);
  const float octaves = kPerLn2 * Log(Splat<F32x4>(static_cast<float>(pitch.period)))[0];
  features[kBarkBands] = 6.5f - octaves;  // log2(256) - 1.5
  const F32x4 power = 1.f + Exp(Splat<F32x4>(kVoicingSlope * pitch.correlation));
  features[kBarkBands + 1] = kVoicingScale * Log(power)[0] - 0.5f;
}

void SpeechAnalysis::Cepstrum(const float* window_end, float* cepstrum) const {
  constexpr float kScale = (kFullScale / kSpeechWindow) * (kFullScale / kSpeechWindow);
  const float* const samples = window_end - kSpeechWindow;
  float spectrum[2 * BarkCepstrum::kPaddedBins], bins[BarkCepstrum::kPaddedBins];
  for (int i = 0; i < kSpeechWindow; i += kLanes) {
    const F32x4 sharp = Load<F32x4>(samples + i) - kPreemphasis * Load<F32x4>(samples + i - 1);
    Store(spectrum + i, sharp * Load<F32x4>(window_ + i));
  }
  fft_.Forward(spectrum, spectrum);
  SpeechPowers(spectrum, kScale, bins);
  bark_.Analyse(bins, cepstrum);
}

}  // namespace vivavoce
