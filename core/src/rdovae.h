// The networks of deep redundancy: features to latent vectors and states, and back. src/vivavoce/redundancy/rdovae.py is
// their definition, src/vivavoce/redundancy/quantiser.py that of what lies between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "cepstrum.h"
#include "dred_payload.h"
#include "model_image.h"
#include "nnet.h"
#include "state_layout.h"

namespace vivavoce {

inline constexpr int kVaeStride = 2;  // frames of an encoder step
inline constexpr int kVaeChunk = 4;   // frames that a latent vector describes
inline constexpr int kVaeStepInputs = kVaeStride * kSpeechFeatures;
inline constexpr int kVaeChunkFeatures = kVaeChunk * kSpeechFeatures;

/// Five layers, each of which adds what its GRU and its convolution say to what it has heard. A state is a block of
/// memory without pointers; all zeros is the beginning.
class VaeStack {
 public:
  static constexpr int kLayers = 5;

  /// Widths of what enters, of the GRUs and of the convolutions; `gated`: what GRUs say passes a gate.
  VaeStack(int inputs = 0, int gru = 0, int convolution = 0, bool gated = false)
      : inputs_(inputs), gru_(gru), convolution_(convolution), gated_(gated) {}

  /// Finds the layers from tensor `index` on, which becomes that behind them, and places the state.
  bool Bind(const ModelImage& image, uint32_t* index, StateLayout* layout);

  int width() const { return inputs_ + kLayers * (gru_ + convolution_); }

  /// What was heard, width() numbers: the first `inputs` are to be set before Step, which sets the others.
  int8_t* heard(void* state) const { return At<int8_t>(state, heard_); }

  /// Sets the states of the GRUs, in [-1, 1], layer after layer.
  void Begin(void* state, const float* states) const;

  void Step(Int8Path path, void* state) const;

 private:
  struct Layer {
    Gru gru;
    QuantisedDense gate, dense, convolution;
    size_t state, quantised, past;  // offsets: float, and int8 twice
    int dilation;
  };

  int inputs_, gru_, convolution_;
  bool gated_;
  Layer layers_[kLayers] = {};
  size_t heard_ = 0, sums_ = 0, outputs_ = 0;
};

/// One model: read-only once bound.
class RdoVae {
 public:
  /// Finds the layers in `image`, which has to live as long. False: the image is of another model, or malformed.
  bool Bind(const ModelImage& image);

  size_t encoder_bytes() const { return encoder_layout_.bytes(); }  ///< of a state; 0 where nothing is bound
  size_t decoder_bytes() const { return decoder_layout_.bytes(); }
  int latent() const { return latent_.dimensions; }  ///< numbers of a latent vector
  int state() const { return state_.dimensions; }

  /// Probabilities of what is sent.
  DredTables tables() const { return {model_, latent_.tables(), state_.tables()}; }

  /// Hears two frames of features: kVaeStepInputs to the latent vector and the state, not rounded yet.
  void Encode(Int8Path path, void* state, const float* features, float* latent, float* vector) const;

  /// Rounds for a level: latent() and state() numbers.
  void RoundLatent(const float* latent, int level, int8_t* numbers) const { Round(latent_, latent, level, numbers); }
  void RoundState(const float* vector, int level, int8_t* numbers) const { Round(state_, vector, level, numbers); }

  /// Begins at the newest chunk, and then goes backward: kVaeChunkFeatures at a step, forward in time within it.
  void BeginDecoding(Int8Path path, void* state, const int8_t* numbers, int level) const;
  void Decode(Int8Path path, void* state, const int8_t* numbers, int level, float* features) const;

 private:
  /// What numbers of a vector mean, by level and dimension.
  struct Numbers {
    int dimensions = 0;
    std::unique_ptr<float[]> scale, dead_zone;  // steps per unit; half of the width of the dead zone, in steps
    std::unique_ptr<uint16_t[]> zero, more;

    bool Bind(const ModelImage& image, uint32_t index, uint32_t count);
    SymbolTables tables() const { return {dimensions, zero.get(), more.get()}; }
  };

  static void Round(const Numbers& numbers, const float* values, int level, int8_t* rounded);
  static void Restore(const Numbers& numbers, const int8_t* rounded, int level, float* values);

  int model_ = 0, hidden_ = 0;
  StateLayout encoder_layout_, decoder_layout_;
  VaeStack encoder_, decoder_;
  FloatDense encoder_first_ = {}, encoder_direct_ = {}, decoder_first_ = {}, decoder_direct_ = {}, decoder_hidden_ = {};
  size_t chunk_ = 0;  // features of the last steps, in the encoder's state
  QuantisedDense latent_layer_ = {}, encoder_hidden_ = {}, state_layer_ = {}, states_layer_ = {}, output_ = {};
  Numbers latent_, state_;
};

}  // namespace vivavoce
