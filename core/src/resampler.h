// Streaming change of sample rate by a ratio of small whole numbers, with little delay.
//
// A windowed sinc (J. F. Kaiser's window, 1974) at the common multiple of both rates, in polyphase form: only the taps
// that meet an input sample, only for the output samples that are wanted (R. E. Crochiere and L. R. Rabiner,
// "Multirate Digital Signal Processing", 1983, chapter 3). Time is counted in ticks, periods of that common multiple:
// an input sample lasts `up` ticks and an output sample `down`, so that delays are exact numbers, whatever the rates.
#pragma once

#include <cstdint>
#include <memory>

namespace vivavoce {

/// One stream of mono samples: the filter table, the past that it needs, and the place in time.
class Resampler {
 public:
  /// Of the reduced ratio's two numbers, for the size of the table. 11.025 to 48 kHz is 640/147.
  static constexpr int kMaxFactor = 640;

  /// True for the arguments that the constructor takes.
  static bool Supports(int from_rate, int to_rate, int extra_ticks);

  /// `extra_ticks` are added to the shortest delay. delay_ticks() is -1 afterwards if memory was short.
  Resampler(int from_rate, int to_rate, int extra_ticks);

  /// The exact delay of the output against the input.
  int delay_ticks() const { return delay_ticks_; }

  /// How many samples Process would write for `count` more. After n samples in all it has written the least whole
  /// number that is not below n * up / down: an output sample leaves with the input sample at or before its own time.
  int64_t OutputCount(int count) const;

  /// Writes OutputCount(count) samples to `out`, which must not overlap `in`.
  void Process(const float* in, int count, float* out);

  /// Silence before the next sample, which is the first.
  void Reset();

  /// Goes on as `other` would. False, and nothing done, unless both were made with the same arguments.
  bool CopyState(const Resampler& other);

 private:
  static constexpr int kBlock = 256;  // samples that are filtered at a time

  void FillTable();

  int up_;             // ticks of an input sample, and rows of the table
  int down_;           // ticks of an output sample
  int reach_;          // ticks from the middle of the filter to where it ends, on either side
  int delay_ticks_ = -1;
  int taps_;           // of a row; a multiple of 2 * kLanes
  int past_;           // samples that are kept: those of the taps, and newer ones that only the delay needs
  int ahead_ = 0;      // ticks from the next input sample to the next output sample: 0 to down_ - 1
  std::unique_ptr<float[]> table_;    // row p: the taps for output p ticks after the latest input, oldest input first
  std::unique_ptr<float[]> samples_;  // past_ of them, then a block
};

}  // namespace vivavoce
