// What all vocoders have in common: features of 10 ms in, as many samples at 16 kHz out, made as the excitation of a
// linear prediction that the cepstrum tells. src/vivavoce/vocoder/frames.py is the definition of the layers.
//
// Frame k of the samples lies between the centres of features k and k + 1: the features that a call brings are those at
// the end of the frame that it makes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cepstrum.h"
#include "lpc.h"
#include "model_image.h"
#include "nnet.h"
#include "spectral_postfilter.h"
#include "state_layout.h"

namespace vivavoce {

/// The layers of one model: read-only once bound. What a stream remembers is a block of memory apart from it, without
/// pointers: all zeros is the beginning, and a copy of its bytes is a copy of the stream.
class Vocoder {
 public:
  static constexpr int kSubframes = 4;
  static constexpr int kSubframe = kSpeechHop / kSubframes;
  /// Frames that are to be heard before one is followed or made.
  static constexpr int kMemoryFrames = 2;
  /// Samples that Begin takes.
  static constexpr int kBefore = kLpcOrder + 1;

  virtual ~Vocoder() = default;

  /// Bytes of a state, which must be aligned as float is; a multiple of 64. 0 where nothing is bound.
  size_t state_bytes() const { return bytes_; }

  /// Frames by which what is made comes out later.
  int delay() const { return postfilter_.bound() ? SpectralPostfilter::kDelay : 0; }

  /// Forgets the stream, and takes the kBefore samples before the first that it will hear, follow or make.
  void Begin(void* state, const float* before) const;

  /// Hears the features at the beginning of the first frame, and those before, and makes nothing.
  void Feed(void* state, const float* features) const;

  /// Hears the frame that ends at `features`, so that it is remembered, and makes nothing.
  void Hear(void* state, const float* features, const float* samples) const;

  /// Makes the frame that ends at `features`, and gives the one of delay() frames before: kSpeechHop samples in [-1, 1].
  void Synthesise(Int8Path path, void* state, const float* features, float* samples) const;

  /// The same for a frame that is known, of which nothing comes out: the stream goes on as if it had made these samples.
  void Follow(Int8Path path, void* state, const float* features, const float* samples) const;

 protected:
  static constexpr int kFrameTensors = 4;       // that BindFrames reads
  static constexpr float kMinLevel = 1e-5f;     // of an excitation
  static constexpr float kMaxSample = 4.f;      // pre-emphasised

  static constexpr int kMargin = 2;  // samples on either side of what is one period ago
  /// Samples of the excitation that are looked back at.
  static constexpr int kMemory = WideBandSearch::kMaxPeriod + kMargin;
  static_assert(kMemoryFrames * kSpeechHop >= kMemory, "what is heard before the first sub-frame");

  /// Of which each state holds one, at its beginning.
  struct Memory {
    float excitation[kMemory];  // the newest last
    float samples[kLpcOrder];   // pre-emphasised, the newest last
    float last_sample;          // not pre-emphasised
    float cepstrum[kBarkBands];  // of the newest features
    float before_cepstrum[kBarkBands];
    int period;
    int before_period;
    float voicing;
    float before_voicing;
  };

  /// What is told of a sub-frame.
  struct Subframe {
    int index;                      // in its frame
    const float* condition;         // of condition_ elements
    float prediction[kLpcOrder];    // of the pre-emphasised signal
    float level;                    // root mean square of what that leaves
    float voicing;                  // -.5 to .5
    int period;
  };

  Vocoder() = default;

  /// Finds the first kFrameTensors of the image, of these widths, and places what a state needs for them. False: the
  /// image has others, or memory was short.
  bool BindFrames(const ModelImage& image, uint32_t dense, uint32_t convolution, uint32_t condition, StateLayout* all);

  /// Makes the pre-emphasised samples of a sub-frame, within +-kMaxSample, and the excitation that is remembered of
  /// them; or goes on as if it had made those that are `known`.
  virtual void Make(Int8Path path, void* state, const Subframe& subframe, const float* known, float* excitation,
                    float* samples) const = 0;

  static const Memory& MemoryOf(const void* state) { return *static_cast<const Memory*>(state); }

  /// The samples that an excitation gives, and the excitation of samples; 40 each.
  static void Filter(const Subframe& subframe, const Memory& memory, const float* excitation, float* samples);
  static void Whiten(const Subframe& subframe, const Memory& memory, const float* samples, float* excitation);

  SpectralPostfilter postfilter_;  // where one is bound
  size_t bytes_ = 0;
  int condition_ = 0;  // elements of a conditioning vector

 private:
  static constexpr int kTaps = 3;  // of the convolution
  static constexpr int kPeriods = WideBandSearch::kMaxPeriod - WideBandSearch::kMinPeriod + 1;

  /// Offsets into a state, in bytes.
  struct Layout {
    size_t history;     // int8: the last 3 frames behind the first layer, oldest first
    size_t conditions;  // float: of the frame
    size_t hidden;      // int8, scratch
    size_t sums;        // int32, scratch
    size_t outputs;     // float, scratch
  };

  template <class One>
  void ForSubframes(void* state, One one) const;
  void Condition(Int8Path path, void* state) const;

  CepstralLpc lpc_;
  int dense_ = 0, convolution_ = 0;
  Layout frame_ = {};
  FloatDense features_layer_ = {}, periods_layer_ = {};
  QuantisedDense convolution_layer_ = {}, condition_layer_ = {};
};

}  // namespace vivavoce
