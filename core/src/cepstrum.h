// The 20 features of src/vivavoce/signal/cepstrum.py as a stream: 18 Bark-scale cepstral coefficients, pitch and voicing
// of every 10 ms of speech at 16 kHz.
//
// Frame l spans hops l - 1 and l and is centred between them: it is known as soon as hop l is.
#pragma once

#include <cstdint>

#include "fft.h"
#include "pitch.h"

namespace vivavoce {

inline constexpr int kSpeechHop = WideBandSearch::kHop;  // 10 ms at 16 kHz
inline constexpr int kSpeechWindow = 2 * kSpeechHop;
inline constexpr int kSpeechBins = kSpeechWindow / 2 + 1;
inline constexpr int kBarkBands = 18;
inline constexpr int kSpeechFeatures = kBarkBands + 2;
inline constexpr float kPreemphasis = 0.85f;
inline constexpr float kMeanC0 = 4.f;  // that is left out of the first coefficient

inline constexpr float kFullScale = 32768.f;  // energies are those of 16-bit samples

/// Power spectra to cepstra: read-only once constructed.
class BarkCepstrum {
 public:
  static constexpr int kPaddedBins = 164;  // of kSpeechBins: whole vectors

  BarkCepstrum();

  /// `bins` holds kPaddedBins powers, zeros at their end; `cepstrum` gets kBarkBands.
  void Analyse(const float* bins, float* cepstrum) const;

  float weight(int band, int bin) const { return weights_[band][bin]; }     ///< 0 beyond the last bin
  float dct(int coefficient, int band) const { return dct_[coefficient][band]; }  ///< 0 beyond the last band

 private:
  static constexpr int kPaddedBands = 20;

  float weights_[kBarkBands][kPaddedBins];  // of each bin in each band
  int first_[kBarkBands], end_[kBarkBands];  // whole vectors of bins outside of which weights are zeros
  float dct_[kBarkBands][kPaddedBands];     // coefficients by band, zeros at the end
};

/// |x|^2 of the kSpeechBins pairs of a spectrum, times `scale`: BarkCepstrum::kPaddedBins numbers. `spectrum` has room
/// for as many pairs, which are set to zero.
void SpeechPowers(float* spectrum, float scale, float* bins);

/// Tables: read-only once constructed. What a stream remembers is a State.
class SpeechAnalysis {
 public:
  using Tracker = PitchTracker<WideBandSearch>;

  /// Samples that are kept.
  static constexpr int kHistory = Tracker::kReach;

  /// Without pointers; all zeros is silence.
  struct State {
    float history[kHistory];  // the newest last
    Tracker::State tracker;
  };

  /// ok() is false afterwards if memory was short.
  SpeechAnalysis();

  bool ok() const { return fft_.size() > 0; }
  const RealFft& fft() const { return fft_; }
  const BarkCepstrum& bark() const { return bark_; }

  /// Takes kSpeechHop samples in [-1, 1) and gives the kSpeechFeatures of the frame that they complete. What is beyond
  /// +-4 is limited; what is not finite counts as 0.
  void Advance(const float* hop, State* state, float* features) const;

 private:
  void Cepstrum(const float* window_end, float* cepstrum) const;

  RealFft fft_;
  BarkCepstrum bark_;
  Tracker tracker_;
  float window_[kSpeechWindow];
};

}  // namespace vivavoce
