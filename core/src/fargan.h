// The vocoder FARGAN (arXiv 2405.21069): features of 10 ms in, as many samples at 16 kHz out. Its definition is
// src/vivavoce/vocoder/fargan.py: the network makes the excitation of a linear prediction that the cepstrum tells.
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

namespace vivavoce {

/// The layers of one model: read-only once bound. What a stream remembers is a block of memory apart from it, without
/// pointers: all zeros is the beginning, and a copy of its bytes is a copy of the stream.
class FarganNetwork {
 public:
  static constexpr int kSubframes = 4;
  static constexpr int kSubframe = kSpeechHop / kSubframes;
  static constexpr int kMargin = 2;  // samples on either side of a prediction
  /// Samples of the excitation that a sub-frame looks back at.
  static constexpr int kMemory = WideBandSearch::kMaxPeriod + kMargin;
  /// Frames that hold them.
  static constexpr int kMemoryFrames = (kMemory + kSpeechHop - 1) / kSpeechHop;
  /// Samples that Begin takes.
  static constexpr int kBefore = kLpcOrder + 1;

  /// Finds the layers in `image`, which has to live as long. False: the image is of another model, or malformed,
  /// or memory was short.
  bool Bind(const ModelImage& image);

  /// Bytes of a state, which must be aligned as float is; a multiple of 64. 0 where nothing is bound.
  size_t state_bytes() const { return layout_.bytes; }

  /// Forgets the stream, and takes the kBefore samples before the first that it will hear, follow or make.
  void Begin(void* state, const float* before) const;

  /// Hears the features at the beginning of the first frame, and those before, and makes nothing.
  void Feed(void* state, const float* features) const;

  /// Hears the frame that ends at `features`, so that it is remembered, and makes nothing. What is followed or made
  /// should begin behind kMemoryFrames of them.
  void Hear(void* state, const float* features, const float* samples) const;

  /// Makes the frame that ends at `features`: kSpeechHop samples in [-1, 1].
  void Synthesise(Int8Path path, void* state, const float* features, float* samples) const;

  /// The same for a frame that is known: the stream goes on as if it had made these samples.
  void Follow(Int8Path path, void* state, const float* features, const float* samples) const;

 private:
  static constexpr int kGrus = 3;
  static constexpr int kPredictionGates = kGrus + 2;  // of the GRUs, of the last hidden layer, and of the result
  static constexpr int kPrediction = kSubframe + 2 * kMargin;
  static constexpr int kTaps = 3;  // of the convolution
  static constexpr int kPeriods = WideBandSearch::kMaxPeriod - WideBandSearch::kMinPeriod + 1;

  /// Of which each state holds one, at its beginning.
  struct Memory {
    float past[kMemory + kMargin];  // of the excitation, the newest last; whole vectors
    float samples[kLpcOrder];       // pre-emphasised, the newest last
    float last_sample;              // not pre-emphasised
    float cepstrum[kBarkBands];     // of the newest features
    float before_cepstrum[kBarkBands];
    int period;
    int before_period;
  };

  /// Offsets into a state, in bytes. The vectors that a layer reads together lie side by side.
  struct Layout {
    size_t dense_history;  // int8: the last 3 frames, oldest first
    size_t input;          // int8: condition, prediction, sub-frame before; of the last sub-frame, then of this one
    size_t states[kGrus];  // float
    size_t quantised[kGrus];  // int8, the same
    size_t gru_inputs[kGrus];
    size_t joined;         // int8: what the last hidden layer reads
    size_t hidden;         // int8, scratch
    size_t conditions;     // float: of the frame
    size_t sums;           // int32, scratch
    size_t outputs;        // float, scratch
    size_t bytes;
  };

  void Arrange();
  void Condition(Int8Path path, void* state) const;
  static void Push(const float* excitation, Memory* memory);
  static void Remember(const float* prediction, const float* samples, Memory* memory);
  float PredictSubframe(const Memory& memory, int index, float* prediction) const;
  void Excite(Int8Path path, void* state, int index, float level, float* excitation) const;
  void Predict(const Memory& memory, int period, float scale, float* prediction, float* previous) const;
  void Gated(Int8Path path, const QuantisedDense& layer, void* state, int width, int8_t* out) const;
  int input_columns() const { return condition_ + kPrediction + kSubframe; }

  CepstralLpc lpc_;
  int dense_ = 0, convolution_ = 0, condition_ = 0, input_ = 0, skip_ = 0;
  int grus_[kGrus] = {};
  Layout layout_ = {};
  FloatDense features_layer_ = {}, periods_layer_ = {}, gain_layer_ = {};
  QuantisedDense convolution_layer_ = {}, condition_layer_ = {}, input_layer_ = {}, input_glu_ = {}, gates_ = {};
  QuantisedDense glus_[kGrus] = {}, skip_layer_ = {}, skip_glu_ = {}, output_ = {};
  Gru gru_layers_[kGrus] = {};
};

}  // namespace vivavoce
