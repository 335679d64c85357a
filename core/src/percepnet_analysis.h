// What the network of PercepNet sees of a signal, hop by hop, and the spectra that its answer is applied to:
// src/vivavoce/enhancement/features.py as a stream.
//
// Frame l spans hops l - 1 and l and is centred between them. With hop t its newest samples arrive: the band energies
// of frame t are calculated at once; pitch, comb filter and coherences are those of frame t - lookahead, which can now
// look at the hops behind its end.
#pragma once

#include <cstdint>
#include <memory>

#include "bands.h"
#include "comb.h"
#include "fft.h"
#include "pitch.h"

namespace vivavoce {

/// Tables for one look-ahead: read-only once constructed. What a stream remembers is a State.
class PercepNetAnalysis {
 public:
  static constexpr int kFeatures = 2 * kBands + 2;
  /// Samples that are kept: what the comb filter and the newest frame need.
  static constexpr int kHistory = kCombTaps * kMaxPeriod + kWindow + kMaxLookahead * kHop;

  /// Without pointers; all zeros is silence. Results of Advance stay until the next.
  struct State {
    int64_t hops;  // so far
    double level_db;
    float history[kHistory];  // the newest last
    PitchTracker<FullBandSearch>::State tracker;
    float spectra[kMaxLookahead + 1][kSpectrumFloats];  // frame l at l modulo lookahead + 1
    float energies[kMaxLookahead + 1][kPaddedBands];
    float scratch[kWindow];

    // Results. All but the first are those of frame() and zero where that is negative.
    float features[kFeatures];
    Pitch pitch;
    float comb[kSpectrumFloats];
    float comb_energies[kPaddedBands];
    float coherences[kPaddedBands];
  };

  /// `lookahead` is in frames, 0 to kMaxLookahead. ok() is false afterwards if memory was short.
  explicit PercepNetAnalysis(int lookahead);

  bool ok() const { return fft_.size() > 0; }
  int lookahead() const { return lookahead_; }
  const ErbBands& bands() const { return bands_; }
  const RealFft& fft() const { return fft_; }
  const float* window() const { return window_; }

  /// Takes the next kHop samples, as Remember has them.
  void Advance(const float* hop, State* state) const;

  /// The frame that results are of, counted from 0; negative until the look-ahead is filled.
  int64_t frame(const State& state) const { return state.hops - 1 - lookahead_; }

  /// Y of frame().
  const float* noisy(const State& state) const { return state.spectra[Slot(frame(state))]; }

  /// Band energies of Y of frame().
  const float* energies(const State& state) const { return state.energies[Slot(frame(state))]; }

  /// Where frame() begins in a history.
  const float* samples(const float* history) const { return history + kHistory - kWindow - lookahead_ * kHop; }

  /// Adds kHop samples to a history. They are limited to +-4; what is not finite counts as 0.
  static void Remember(const float* hop, float* history);

  /// Spectrum of kWindow samples. `scratch` has room for as many.
  void Transform(const float* samples, float* scratch, float* spectrum) const;

  /// 0 to 1 for each band, from correlations and energies; 0 where either side is silent.
  static void Coherences(const float* correlations, const float* energies_a, const float* energies_b,
                         float* coherences);

 private:
  int Slot(int64_t frame) const { return static_cast<int>((frame + lookahead_ + 1) % (lookahead_ + 1)); }
  void HearNewest(State* state) const;
  void AnalysePitch(State* state) const;

  int lookahead_;
  RealFft fft_;
  PitchTracker<FullBandSearch> tracker_;
  ErbBands bands_;
  float window_[kWindow];
};

}  // namespace vivavoce
