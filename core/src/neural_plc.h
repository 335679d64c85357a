// Neural packet-loss concealment at 16 kHz (J.-M. Valin et al., "Real-time packet loss concealment with mixed generative
// and predictive model", INTERSPEECH 2022): features of what was lost are predicted, and a vocoder that has followed the
// last samples goes on from them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "burg.h"
#include "cepstrum.h"
#include "vocoder.h"
#include "predictor.h"

namespace vivavoce {

/// One gap after the other: nothing is remembered between them.
class NeuralPlc {
 public:
  static constexpr int kHops = 26;  // that are analysed
  static constexpr int kHistory = kHops * kSpeechHop;

  /// The networks must live as long. ok() is false afterwards if memory was short.
  NeuralPlc(const PredictorNetwork& predictor, Int8Path predictor_path, const Vocoder& vocoder,
            Int8Path vocoder_path);

  bool ok() const { return analysis_.ok() && memory_ != nullptr; }

  /// Begins a gap: lets predictor and vocoder hear the kHistory samples before it. `made` tells which of them did not
  /// arrive. The samples are finite and within +-4.
  void Begin(const float* history, const uint8_t* made);

  /// Tells what follows the gap that began: `hops` hops of samples, at least kMinForeseen, whose first begins `gap` hops
  /// after the beginning of the gap. The features of what is made then go over to theirs.
  void Foresee(const float* samples, int hops, int gap);
  static constexpr int kMinForeseen = 2;

  /// Tells features of the gap that began: kSpeechFeatures each, of `count` frames, the first of which is centred `frame`
  /// hops after the beginning of the gap; beyond kMaxTold frames they are of no use. What is made then has them, and is
  /// as loud as they say. Where the last frame before the gap is told too, it is known what is wrong with it; those near it
  /// are wrong alike. Of frames that were made already, the predictor hears them after all: what is guessed next follows
  /// from them, and fades only from there.
  void Tell(const float* features, int count, int64_t frame);
  static constexpr int kMaxTold = 128;

  /// The next kSpeechHop samples of the gap, in [-1, 1] and, where nothing was told, no more than 3 dB louder than the
  /// loudest 10 ms before it.
  void MakeFrame(float* samples);

  /// How much louder than before the gap what lies above the speech band is to be: it fades where nothing was told.
  float rise_db() const { return state().rise_db[Playing()]; }

  /// Goes on as `other` would. False, and nothing done, unless both have the same networks.
  bool CopyState(const NeuralPlc& other);

 private:
  static constexpr int kRecent = 8;  // frames, more than a vocoder is late
  static constexpr int kHeld = 4;    // frames that what is foreseen holds: the last of a gap hang on them
  static constexpr int kHeard = 16;  // hops, by the predictor; the pitch tracker needs the others

  /// Without pointers; the states of predictor and vocoder follow it.
  struct State {
    int frames;     // predicted since the gap began
    int early;      // to be made before the first that is heard
    float last[kSpeechHop];  // before the gap
    float loudest;  // energy of a hop before the gap
    float limit;    // gain that the last frame ended with
    int foreseen_at;  // frame of the gap, as `frames` counts them; 0 where none is
    float foreseen[kSpeechFeatures];
    float known[kBarkBands];  // of the last frame before the gap
    float wrong[kBarkBands];  // by which what was told of it is wrong
    bool told_of_known;
    bool told_late;  // of frames that were predicted already
    int guessed;    // frames since the gap began, or since features were told
    float top;  // highest band before the gap
    float told_rise_db;  // over it, of what was told last
    float rise_db[kRecent];  // of the frames whose features were found last
    bool told_so[kRecent];   // whether they were told
    int told_at[kMaxTold];  // frame that each entry is of, -1 where none is
    float told[kMaxTold][kSpeechFeatures];
    SpeechAnalysis::State analysis;
  };

  size_t predictor_begin_offset() const { return kPredictorOffset + predictor_->state_bytes(); }
  size_t vocoder_offset() const { return predictor_begin_offset() + predictor_->state_bytes(); }
  size_t bytes() const { return vocoder_offset() + vocoder_->state_bytes(); }
  State& state() { return *reinterpret_cast<State*>(memory_.get()); }
  const State& state() const { return *reinterpret_cast<const State*>(memory_.get()); }
  void* predictor_state() { return memory_.get() + kPredictorOffset; }
  void* predictor_begin() { return memory_.get() + predictor_begin_offset(); }  // its state at the beginning of the gap
  void* vocoder_state() { return memory_.get() + vocoder_offset(); }
  void Predict(float* features);
  void HearLate();
  bool Told(int frame, float* features) const;
  bool Foreseen(int frame) const { return state().foreseen_at > 0 && state().foreseen_at - frame > -kHeld; }
  void Guess(int frame, float* features);
  void Hear(const float* told, float* features);
  void Correct(int frame, float* features) const;
  int Playing() const { return std::max(0, state().frames - 1 - vocoder_->delay()) % kRecent; }
  float TopBand(const float* features) const;
  void LimitFrame(float* samples);

  static constexpr size_t kPredictorOffset = (sizeof(State) + 63) / 64 * 64;

  const PredictorNetwork* predictor_;
  const Vocoder* vocoder_;
  Int8Path predictor_path_, vocoder_path_;
  SpeechAnalysis analysis_;
  float likeness_[kMaxTold];  // of what is wrong with two frames, by their distance
  std::unique_ptr<char[]> memory_;
};

}  // namespace vivavoce
