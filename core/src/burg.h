// The spectral envelope of the newest 10 ms by Burg's method, as src/vivavoce/signal/burg.py has it: no window, so that
// the last samples before a loss count in full.
#pragma once

#include "cepstrum.h"

namespace vivavoce {

inline constexpr int kBurgFeatures = 2 * kBarkBands;

/// `end` is behind the newest of kSpeechHop + 1 samples that nothing is wrong with; `features` gets kBurgFeatures: the
/// mean of the cepstra of both halves, and the second's less the first's.
void BurgFeatures(const SpeechAnalysis& analysis, const float* end, float* features);

}  // namespace vivavoce
