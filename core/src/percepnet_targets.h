// What the network of PercepNet is trained to find, from noisy and clean speech: src/vivavoce/enhancement/gains.py, for
// the many hours that training mixes on the fly. No part of a call.
#pragma once

#include "percepnet_analysis.h"

namespace vivavoce {

/// Of one frame; a number for each band.
struct PercepNetTargets {
  float gains[kPaddedBands];         ///< |X| / |Y|, at most 1
  float strengths[kPaddedBands];     ///< of the comb filter
  float attenuations[kPaddedBands];  ///< where no strength makes the band as coherent as clean speech
  float energies[kPaddedBands];      ///< of clean speech
};

/// Clean speech beside the noisy stream that it belongs to.
class CleanSpeech {
 public:
  /// Takes the hop that the noisy stream has just taken; `targets` are those of its frame(), from frame 0 on.
  void Advance(const PercepNetAnalysis& analysis, const PercepNetAnalysis::State& noisy, const float* hop,
               PercepNetTargets* targets);

 private:
  float history_[PercepNetAnalysis::kHistory] = {};
  float scratch_[kWindow];
  float clean_[kSpectrumFloats];
  float comb_[kSpectrumFloats];
};

}  // namespace vivavoce
