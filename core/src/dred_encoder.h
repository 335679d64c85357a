// The encoder of deep redundancy as a stream: speech at 16 kHz in, and at any time a payload that describes the last of
// it. What a frame costs does not depend on how much of the past is sent, nor how often.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cepstrum.h"
#include "rdovae.h"

namespace vivavoce {

class DredEncoder {
 public:
  static constexpr int kStepHops = kVaeStride;
  static constexpr int kStepsPerChunk = kVaeChunk / kVaeStride;
  /// Steps that are kept: the chunks of a payload, and as many again, so that it need not begin with the newest.
  static constexpr int kSteps = 2 * kStepsPerChunk * kDredMaxChunks;

  /// The model must live as long. ok() is false afterwards if memory was short.
  DredEncoder(const RdoVae& vae, Int8Path path);

  bool ok() const { return analysis_.ok() && memory_ != nullptr; }

  /// Takes samples in [-1, 1); what is not finite counts as 0.
  void Push(const float* samples, size_t count);

  /// Whole hops since the beginning.
  int64_t hops() const { return state().hops; }

  /// Loudness of a step, c0 of the louder of its frames: `age` steps before the newest that is complete, 0 to kept() - 1.
  float Loudness(int age) const;

  /// Steps that were heard and are still kept.
  int kept() const { return static_cast<int>(std::min<int64_t>(steps(), kSteps)); }

  /// Writes a payload whose newest chunk ends `age` steps before the newest that is complete: WriteDred's result. There
  /// are no more chunks than were heard.
  int Write(int age, int offset, const DredLevels& levels, int chunks, uint8_t* out, int capacity) const;

  void Reset();

  /// Goes on as `other` would. False, and nothing done, unless both have the same model.
  bool CopyState(const DredEncoder& other);

 private:
  /// Without pointers; the network's state and the steps follow it.
  struct State {
    int64_t hops;
    int waiting;  // samples of the next hop
    float hop[kSpeechHop];
    SpeechAnalysis::State analysis;
    float features[kVaeStepInputs];  // of the step that is being heard
    float loudness[kSteps];
  };

  void Hear(const float* hop);
  int64_t steps() const { return hops() / kStepHops; }
  int Place(int age) const { return static_cast<int>((steps() - 1 - age) % kSteps); }
  State& state() { return *reinterpret_cast<State*>(memory_.get()); }
  const State& state() const { return *reinterpret_cast<const State*>(memory_.get()); }
  float* Row(size_t offset, int place, int count) const {
    return At<float>(memory_.get(), offset) + static_cast<ptrdiff_t>(place) * count;
  }

  const RdoVae* vae_;
  Int8Path path_;
  SpeechAnalysis analysis_;
  size_t network_, latents_, states_, bytes_;  // offsets into the memory, and its end
  std::unique_ptr<char[]> memory_;
};

}  // namespace vivavoce
