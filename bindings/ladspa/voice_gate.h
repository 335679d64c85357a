// Silence where nobody speaks: frames whose probability of voice stays below a threshold are faded out.
#pragma once

#include "vivavoce.h"

namespace vivavoce_ladspa {

/// The gate of one channel, for frames and probabilities as vv_denoiser_process returns them.
///
/// A probability is that of two frames: the one that is returned and the next, which the look-ahead has seen. So the
/// gate opens a frame before a word begins, and the fade of one frame is over when it does.
class VoiceGate {
 public:
  void Reset() { *this = VoiceGate(); }

  /// Lets a frame pass, or fades it. A threshold of 0 lets all pass.
  void Process(float threshold, float probability, float* frame) {
    if (probability >= threshold) open_frames_ = 1 + kHoldFrames;
    const float target = open_frames_ > 0 ? 1.f : 0.f;
    if (open_frames_ > 0) --open_frames_;
    const float step = (target - gain_) / VV_DENOISER_FRAME_SIZE;
    if (target != 1.f || step != 0.f) {
      for (int i = 0; i < VV_DENOISER_FRAME_SIZE; ++i) frame[i] *= gain_ + step * static_cast<float>(i + 1);
    }
    gain_ = target;
  }

 private:
  /// 200 ms: longer than the closures of stops and the pauses inside of words.
  static constexpr int kHoldFrames = 20;

  int open_frames_ = 0;  // that are still let pass
  float gain_ = 1.f;
};

}  // namespace vivavoce_ladspa
