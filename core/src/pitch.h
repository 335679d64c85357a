// Pitch period of every 10-ms frame, as src/vivavoce/signal/pitch.py has it: normalised correlation, tracked by dynamic
// programming, refined at the full rate.
//
// The window of correlation moves by a hop from frame to frame, for each lag at a place of its own that never changes. So
// the products are summed in blocks of 10 ms, and a frame calculates one new block for each lag; the same for two
// periods.
#pragma once

#include "simd.h"

namespace vivavoce {

inline constexpr int kHop = 480;  // 10 ms at 48 kHz
inline constexpr int kWindow = 2 * kHop;
inline constexpr int kMinPeriod = 60;
inline constexpr int kMaxPeriod = 768;
inline constexpr int kMaxLookahead = 2;

struct Pitch {
  int period;         ///< samples, from the shortest to the longest that is searched
  float correlation;  ///< normalised, -1 to 1
};

/// 48 kHz: 800 to 62.5 Hz.
struct FullBandSearch {
  static constexpr int kHop = vivavoce::kHop, kMinPeriod = vivavoce::kMinPeriod, kMaxPeriod = vivavoce::kMaxPeriod;
  static constexpr int kDecimation = 4, kCoarseHops = 5, kFineHops = 3, kFineRadius = 4;
  static constexpr float kMaxJumpCost = 0.8f, kLongLagCost = 0.01f, kHighCost = 0.f;
  static constexpr int kHighPeriod = kMinPeriod;
};

/// 16 kHz: 500 to 62.5 Hz.
struct WideBandSearch {
  static constexpr int kHop = 160, kMinPeriod = 32, kMaxPeriod = 256;
  static constexpr int kDecimation = 1, kCoarseHops = 3, kFineHops = 2, kFineRadius = 4;
  static constexpr float kMaxJumpCost = 0.3f, kLongLagCost = 0.03f, kHighCost = 0.6f;  // per octave
  static constexpr int kHighPeriod = 40;  // shorter ones are rare: 400 Hz
};

/// Tables of the search: read-only once constructed. What a stream remembers is a State.
template <class Search>
class PitchTracker {
 public:
  static constexpr int kHop = Search::kHop;
  static constexpr int kDecimation = Search::kDecimation;
  static constexpr int kCoarseHop = kHop / kDecimation;
  static constexpr int kBlocks = Search::kCoarseHops;
  static constexpr int kCoarseWindow = kBlocks * kCoarseHop;
  static constexpr int kMinLag = Search::kMinPeriod / kDecimation;
  static constexpr int kMaxLag = Search::kMaxPeriod / kDecimation;
  static constexpr int kLags = kMaxLag - kMinLag + 1;
  static constexpr int kPaddedLags = (kLags + kLanes - 1) / kLanes * kLanes;
  static constexpr int kPeriods = 2;
  static constexpr int kCoarse = kCoarseWindow + kPeriods * kMaxLag;

  /// Samples before the newest that Listen and Track read.
  static constexpr int kReach = 4 * kHop + 2 * Search::kMaxPeriod;

  /// Without pointers; all zeros is silence.
  struct State {
    float coarse[kCoarse];  // at the rate of the coarse search, the newest last
    /// Of coarse samples one lag apart, and two: summed over blocks, the newest last.
    float products[kPeriods][kBlocks][kPaddedLags];
    float path[kPaddedLags];  // score of the best track to each lag, less that of the best
  };

  /// `lookahead` is in frames, 0 to kMaxLookahead.
  explicit PitchTracker(int lookahead);

  /// Takes the hop that ends at `end`; kReach samples before it can be read.
  void Listen(const float* end, State* state) const;

  /// The pitch of the frame that is `lookahead` frames old. For every frame from the first on, after its Listen.
  Pitch Track(const float* end, State* state) const;

 private:
  static constexpr int kDelay = kHop / 10;  // of the low-pass
  static constexpr int kTaps = (2 * kDelay + kLanes) / kLanes * kLanes;  // 2 * kDelay + 1, and zeros
  /// Of the newest coarse sample, in samples from the beginning of the newest hop.
  static constexpr int kNewest = ((kHop - kDelay) / kDecimation - 1) * kDecimation;
  /// So many of the zeros stand before the taps, so that nothing behind the newest sample is read.
  static constexpr int kLead = kNewest - kDelay + kTaps > kHop ? kNewest - kDelay + kTaps - kHop : 0;

  int LateEnd(int lag) const;
  template <int kPeriod, int kFirst>
  void AddBlock(State* state) const;
  static void EnergyBefore(const float* coarse, double* energy);
  void Score(const State& state, const double* energy, int periods, float* scores) const;
  int FollowPath(const float* scores, float* path) const;
  int Refine(const float* end, int coarse) const;

  int lookahead_;
  int available_;  // coarse samples behind the middle of the frame
  float taps_[kTaps];
  float jump_cost_[kPaddedLags];      // from the shortest lag to each
  float lag_cost_[kPaddedLags];
};

}  // namespace vivavoce
