// One channel of the plugin: a denoiser behind any sample rate and any block size, at a constant delay.
//
// What vivavoce.streaming.Reblocked is for Python, with one difference: the delay of re-blocking is a whole frame
// instead of the least that serves, so that all of it together is 40 ms at 48 kHz, and a little more where there are
// channels beside it, which take turns.
#pragma once

#include <memory>

#include "vivavoce.h"
#include "voice_gate.h"

namespace vivavoce_ladspa {

class Channel {
 public:
  /// Samples that Take and Give may be called with at a time.
  static constexpr int kMaxCount = 256;

  /// Number `index` of `count` channels. The model must live as long. ok() is false afterwards where the rate is not
  /// supported, or memory was short.
  Channel(const vv_model* model, int sample_rate, int index, int count);

  bool ok() const { return ready_ != nullptr; }

  /// Samples from input to output; the same for all channels of an instance.
  int delay() const { return delay_; }

  /// Silence before the next sample, which is the first. Touches all memory that processing will touch.
  void Reset();

  /// dB, and the probability of voice below which the output is muted; 0 mutes nothing.
  void Set(float attenuation_limit_db, float voice_threshold);

  /// `count` samples in; any values.
  void Take(const float* in, int count);

  /// The `count` samples that are due after as many were taken.
  void Give(float* out, int count);

 private:
  /// 1 ms, at 48 kHz. A channel works on a frame so much later than the channel before it, for not all of them shall
  /// work in the same run() where blocks are small: those of 32 samples last 0.67 ms.
  static constexpr int kTurn = 48;

  struct Destroy {
    void operator()(vv_denoiser* denoiser) const { vv_denoiser_destroy(denoiser); }
    void operator()(vv_resampler* resampler) const { vv_resampler_destroy(resampler); }
  };

  void Forget();
  void ProcessFrame(float* frame);

  std::unique_ptr<vv_denoiser, Destroy> denoiser_;
  std::unique_ptr<vv_resampler, Destroy> inward_;  // to 48 kHz; both pass samples on where that is the rate
  std::unique_ptr<vv_resampler, Destroy> outward_;
  VoiceGate gate_;
  float attenuation_limit_db_ = -1.f;
  float voice_threshold_ = 0.f;
  const int wait_;  // samples that wait behind a frame before its turn has come
  int lead_ = 0;    // samples of silence that are given before the first frame
  int delay_ = 0;
  int waiting_count_ = 0;
  int waiting_capacity_ = 0;
  int ready_count_ = 0;
  int ready_capacity_ = 0;
  std::unique_ptr<float[]> waiting_;  // at 48 kHz, not yet a frame
  std::unique_ptr<float[]> ready_;    // at the host's rate, not yet given
};

}  // namespace vivavoce_ladspa
