// A gain for each bin of what a vocoder made, by a network that sees 30 ms of it and the features about it. Its
// definition is src/vivavoce/vocoder/spectral_postfilter.py. What is made comes out 20 ms later.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cepstrum.h"
#include "fft.h"
#include "model_image.h"
#include "nnet.h"
#include "state_layout.h"

namespace vivavoce {

/// The layers: read-only once bound. What a stream remembers lies in the state of its vocoder; all zeros is the beginning.
class SpectralPostfilter {
 public:
  static constexpr int kTensors = 6;
  static constexpr int kDelay = 2;  // frames

  SpectralPostfilter();

  /// Finds the kTensors tensors from `first` on, of that width, and places what a state needs. False: the image has
  /// others, or memory was short.
  bool Bind(const ModelImage& image, uint32_t first, int width, StateLayout* all);

  bool bound() const { return width_ != 0; }

  /// Hears the features at the end of the frame that comes next, and its period, 0 being the shortest.
  void Feed(void* state, const float* features, int period) const;

  /// Hears a frame that is known, and makes nothing.
  void Hear(void* state, const float* samples) const;

  /// Replaces a frame that was made by the filtered one of kDelay frames before, in [-1, 1]. What is known passes
  /// unfiltered.
  void Process(Int8Path path, void* state, float* samples) const;

 private:
  static constexpr int kWindow = (kDelay + 1) * kSpeechHop;
  static constexpr int kBins = kWindow / 2;  // the highest has the gain of the one below
  static constexpr int kSeen = 5;            // features: from the one before a window to its end
  static constexpr int kPitches = 2;         // of these, whose period counts
  static constexpr int kFirstPitch = 2;
  static constexpr int kEmbedding = 32;
  static constexpr int kTold = kSeen * kSpeechFeatures + kPitches * kEmbedding;
  static constexpr int kLayers = 3;

  struct Memory {
    float features[kSeen][kSpeechFeatures];  // the newest last
    int periods[kSeen];
    float samples[kWindow];  // the newest last
    float sums[kWindow];     // of filtered windows
    int made;                // bits: of the last frames, those that are not known; bit 0 is the newest
  };

  /// Offsets into a state, in bytes.
  struct Layout {
    size_t memory;
    size_t hidden;   // int8, scratch: what the layers say, side by side
    size_t bins;     // int8, scratch
    size_t sums;     // int32, scratch
    size_t outputs;  // float, scratch
  };

  static void Push(Memory* memory, const float* samples, bool made);
  void Gains(Int8Path path, void* state, const float* spectrum, float share, float* gains) const;

  RealFft fft_;
  float window_[kWindow] = {};
  int width_ = 0;
  Layout layout_ = {};
  FloatDense embedding_ = {}, features_ = {};
  QuantisedDense spectrum_ = {}, hidden_[kLayers - 1] = {}, gains_ = {};
};

}  // namespace vivavoce
