// PercepNet as a stream (J.-M. Valin et al., "A perceptually-motivated approach for low-complexity, real-time
// enhancement of fullband speech", INTERSPEECH 2020): analysis, network and synthesis, hop after hop.
//
// A hop goes out when the frames that overlap in it are done: one hop and the look-ahead after it came in. The dry
// signal is read from the analysis's history at the same delay, so that the two can be mixed in any proportion.
#pragma once

#include <cstddef>
#include <memory>

#include "percepnet_analysis.h"
#include "percepnet_network.h"

namespace vivavoce {

class Denoiser {
 public:
  /// True where a stream can be made: 48 kHz, 0 to kMaxLookahead frames.
  static bool Supports(int sample_rate, int lookahead);

  /// The network must live as long. ok() is false afterwards if memory was short.
  Denoiser(const PercepNetNetwork& network, Int8Path path, int lookahead);

  bool ok() const { return analysis_.ok() && memory_ != nullptr; }

  /// Samples from input to output.
  int delay() const { return (1 + analysis_.lookahead()) * kHop; }

  /// kHop samples; `out` may be `in`. Returns the probability that the newest frame has voice in it.
  float Process(const float* in, float* out);

  /// Silence before the next hop, which is the first. Settings stay.
  void Reset();

  /// Goes on as `other` would, settings included. False, and nothing done, unless both are of one network.
  bool CopyState(const Denoiser& other);

  /// At most so much of the sound is taken away: 0 dB leaves it as it is; infinity is no limit.
  void set_attenuation_limit(float limit_db);

  /// While disabled the dry signal goes out, at the same delay. The stream listens on.
  void set_enabled(bool enabled) { settings_.enabled = enabled; }

  // Of the newest frame, which begins with the hop that went out last.
  const float* gains() const { return state().gains; }  ///< kBands
  const float* strengths() const { return state().strengths; }
  Pitch pitch() const { return state().analysis.pitch; }
  float voice() const { return state().voice; }

 private:
  /// What a stream remembers, without pointers; the network's state follows it. All zeros is the beginning.
  struct State {
    PercepNetAnalysis::State analysis;
    float gains[kPaddedBands];  // of the network, decay limited
    float previous_gains[kPaddedBands];
    float strengths[kPaddedBands];
    float voice;
    float wet_share;  // of the output, at the end of the last hop
    float mixed[kSpectrumFloats];
    float frame[kWindow];
    float wet[kHop];
    float tail[kHop];  // of the last frame, which overlaps with the next
  };
  struct Settings {
    bool enabled = true;
    float wet_share = 1.f;  // while enabled
  };

  size_t state_bytes() const { return kNetworkOffset + network_->state_bytes(); }
  State& state() { return *reinterpret_cast<State*>(memory_.get()); }
  const State& state() const { return *reinterpret_cast<const State*>(memory_.get()); }
  void Synthesise();
  void Blend(float* out);

  static constexpr size_t kNetworkOffset = (sizeof(State) + 63) / 64 * 64;

  const PercepNetNetwork* network_;
  Int8Path path_;
  PercepNetAnalysis analysis_;
  Settings settings_;
  std::unique_ptr<char[]> memory_;
};

}  // namespace vivavoce
