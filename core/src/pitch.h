// Pitch period of every 10-ms frame, as src/vivavoce/signal/pitch.py has it: normalised correlation at 12 kHz over
// 50 ms, tracked by dynamic programming, refined at 48 kHz.
//
// The window of correlation moves by a fifth of its length from frame to frame, for each lag at a place of its own that
// never changes. So the products are summed in blocks of 10 ms, and a frame calculates one new block for each lag; the
// same for two periods.
#pragma once

namespace vivavoce {

inline constexpr int kHop = 480;  // 10 ms at 48 kHz
inline constexpr int kWindow = 2 * kHop;
inline constexpr int kMinPeriod = 60;
inline constexpr int kMaxPeriod = 768;
inline constexpr int kMaxLookahead = 2;

struct Pitch {
  int period;         ///< samples at 48 kHz, kMinPeriod to kMaxPeriod
  float correlation;  ///< normalised, -1 to 1
};

/// Tables of the search: read-only once constructed. What a stream remembers is a State.
class PitchTracker {
 public:
  static constexpr int kDecimation = 4;
  static constexpr int kCoarseHop = kHop / kDecimation;
  static constexpr int kBlocks = 5;
  static constexpr int kCoarseWindow = kBlocks * kCoarseHop;
  static constexpr int kMinLag = kMinPeriod / kDecimation;
  static constexpr int kMaxLag = kMaxPeriod / kDecimation;
  static constexpr int kLags = kMaxLag - kMinLag + 1;
  static constexpr int kPaddedLags = 180;
  static constexpr int kPeriods = 2;
  static constexpr int kCoarse = kCoarseWindow + kPeriods * kMaxLag;

  /// Samples before the newest that Listen and Track read.
  static constexpr int kReach = 4 * kHop + 2 * kMaxPeriod;

  /// Without pointers; all zeros is silence.
  struct State {
    float coarse[kCoarse];  // 12 kHz, the newest last
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
  static constexpr int kTaps = 100;  // 97, and zeros

  int LateEnd(int lag) const;
  template <int kPeriod>
  void AddBlock(State* state) const;
  void Score(const State& state, int periods, float* scores) const;
  int FollowPath(const float* scores, float* path) const;
  int Refine(const float* end, int coarse) const;

  int lookahead_;
  int available_;  // coarse samples behind the middle of the frame
  float taps_[kTaps];
  float jump_cost_[kPaddedLags];      // from the shortest lag to each
  float long_lag_cost_[kPaddedLags];
};

}  // namespace vivavoce
