// Neural packet-loss concealment at 16 kHz (J.-M. Valin et al., "Real-time packet loss concealment with mixed generative
// and predictive model", INTERSPEECH 2022): features of what was lost are predicted, and a vocoder that has followed the
// last samples goes on from them.
//
// Nothing but a copy is done while packets arrive. When a gap begins, the last quarter of a second is analysed, with
// frames that end where the gap begins; predictor and vocoder hear it and then run free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "burg.h"
#include "cepstrum.h"
#include "fargan.h"
#include "predictor.h"

namespace vivavoce {

class Concealer {
 public:
  /// The networks must live as long. ok() is false afterwards if memory was short.
  Concealer(const PredictorNetwork& predictor, Int8Path predictor_path, const FarganNetwork& vocoder,
            Int8Path vocoder_path);

  bool ok() const { return analysis_.ok() && memory_ != nullptr; }

  /// Takes samples that arrived, and writes what is to be played for them: the first 5 ms after a gap go over from what
  /// was made. `out` may be `in`. What is beyond +-4 is limited; what is not finite counts as 0.
  void Receive(const float* in, int count, float* out);

  /// Makes samples in [-1, 1] where none arrived.
  void Conceal(float* out, int count);

  /// Silence before the next sample, which is the first.
  void Reset();

  /// Goes on as `other` would. False, and nothing done, unless both have the same networks.
  bool CopyState(const Concealer& other);

 private:
  static constexpr int kHops = 26;        // that are analysed
  static constexpr int kHeard = 16;       // of them, by the predictor; the pitch tracker needs the others
  static constexpr int kHistory = kHops * kSpeechHop;
  static constexpr int kFade = kSpeechHop / 2;

  /// What a stream remembers, without pointers; the states of predictor and vocoder follow it.
  struct State {
    float history[kHistory + kLanes];  // what was played, the newest last; whole vectors
    uint8_t made[kHistory];            // where it did not arrive
    bool in_gap;
    int frames;                        // made since the gap began
    int left;                          // samples at the end of `frame` that were not yet played
    float frame[kSpeechHop];
    float loudest;                     // energy of a hop before the gap
    float limit;                       // gain that the last frame ended with
    SpeechAnalysis::State analysis;
  };

  size_t vocoder_offset() const { return kPredictorOffset + predictor_->state_bytes(); }
  size_t bytes() const { return vocoder_offset() + vocoder_->state_bytes(); }
  State& state() { return *reinterpret_cast<State*>(memory_.get()); }
  void* predictor_state() { return memory_.get() + kPredictorOffset; }
  void* vocoder_state() { return memory_.get() + vocoder_offset(); }
  void Begin();
  void Predict(float* features);
  void MakeFrame();
  void LimitFrame();
  void Continue(float* out, int count);
  void Remember(const float* samples, int count, bool made);

  static constexpr size_t kPredictorOffset = (sizeof(State) + 63) / 64 * 64;

  const PredictorNetwork* predictor_;
  const FarganNetwork* vocoder_;
  Int8Path predictor_path_, vocoder_path_;
  SpeechAnalysis analysis_;
  std::unique_ptr<char[]> memory_;
};

}  // namespace vivavoce
