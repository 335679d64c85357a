// What is played where nothing arrived, at any rate of Opus: neural concealment at 16 kHz, and noise for what is above.
//
// Nothing but a copy is done while packets arrive. When a gap begins, the last quarter of a second is brought to 16 kHz
// and analysed; what is made there comes back at the rate of the stream, as late as both resamplers are, for which the
// vocoder runs ahead.
#pragma once

#include <cstdint>
#include <memory>

#include "neural_plc.h"
#include "resampler.h"

namespace vivavoce {

class Concealer {
 public:
  /// 8, 12, 16, 24 or 48 kHz.
  static bool Supports(int sample_rate);

  /// The networks must live as long. ok() is false afterwards if memory was short.
  Concealer(const PredictorNetwork& predictor, Int8Path predictor_path, const Vocoder& vocoder,
            Int8Path vocoder_path, int sample_rate);

  bool ok() const { return plc_.ok() && down_.delay_ticks() >= 0 && up_.delay_ticks() >= 0 && state_ && scratch_; }

  /// Takes samples that arrived, and writes what is to be played for them: unless they are `joined` to the gap before
  /// them, their first 5 ms go over from what was made. `out` may be `in`. What is beyond +-4 is limited; what is not
  /// finite counts as 0.
  void Receive(const float* in, int count, bool joined, float* out);

  /// Tells `count` samples that follow a gap of `gap` samples: the one that is next, or that lasts. Between 20 ms and
  /// kMaxForeseenMs count.
  void Foresee(const float* samples, int count, int gap);
  static constexpr int kMaxForeseenMs = 60;

  /// Tells features of the gap that is next, or that lasts: kSpeechFeatures each of `count` frames of 10 ms, the first of
  /// which is centred `gap` samples behind the beginning of the gap.
  void Tell(const float* features, int count, int64_t gap);

  /// Makes samples where none arrived.
  void Conceal(float* out, int count);

  static constexpr int kMaxAhead = 480;  // 10 ms at 48 kHz

  /// What Conceal would make next in the gap that it began, without going on: up to kMaxAhead samples. Between gaps,
  /// silence.
  void Ahead(float* out, int count);

  /// The last `count` samples that were played, oldest first; up to a quarter of a second.
  void Played(float* out, int count) const;
  int history() const { return NeuralPlc::kHops * hop_; }

  /// Silence before the next sample, which is the first.
  void Reset();

  /// Goes on as `other` would. False, and nothing done, unless both have the same networks and rate.
  bool CopyState(const Concealer& other);

 private:
  static constexpr int kSpeechRate = 100 * kSpeechHop;
  static constexpr int kMaxHop = 480;  // 10 ms at 48 kHz
  static constexpr int kMaxHistory = NeuralPlc::kHops * kMaxHop;
  static constexpr int kHighHops = 2;  // of which the high band is remembered
  static constexpr int kTailHops = 4;  // of the past, that the way back from 16 kHz begins with

  /// What a stream remembers, without pointers; the arrays are for the highest rate.
  struct State {
    float history[kMaxHistory];  // what was played, the newest last
    uint8_t made[kMaxHistory];   // where it did not arrive
    bool in_gap;
    int left;                    // samples that were made and not yet played
    int early;                   // of the next that is made, those that lie before the gap
    float frames[kMaxAhead + kMaxHop];  // they
    float high[kHighHops * kMaxHop];  // what was above 8 kHz before the gap
    float grain[kMaxHop];             // of the noise, the second half overlaps with the next
    uint32_t random;
  };

  /// Too large for the stack; without meaning between calls.
  struct Scratch {
    float speech[NeuralPlc::kHistory];
    uint8_t made[NeuralPlc::kHistory];
    float low[kTailHops * kMaxHop];
  };

  int delay() const { return 2 * down_.delay_ticks() * sample_rate_ / ticks_per_second_; }
  void Begin();
  void HearHighBand(const float* low, int count);
  void MakeFrame();
  void AddHighBand(float* frame);
  void Continue(float* out, int count);
  void Skip(int count);
  void Remember(const float* samples, int count, bool made);

  int sample_rate_;
  int hop_;  // samples of 10 ms
  int ticks_per_second_;
  NeuralPlc plc_;
  Resampler down_, up_;
  float rise_[kMaxHop / 2];  // of a window whose powers sum to one
  std::unique_ptr<State> state_;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace vivavoce
