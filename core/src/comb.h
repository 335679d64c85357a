// The non-causal comb filter, as src/vivavoce/enhancement/comb.py has it: a Hann window over five periods to either
// side keeps what repeats with the pitch. Future periods that the look-ahead does not reach are left out, and the other
// taps scaled to sum to 1.
#pragma once

namespace vivavoce {

inline constexpr int kCombTaps = 5;  // periods to either side

/// Weights of the taps, the oldest first.
struct CombTaps {
  CombTaps(int period, int lookahead);

  /// sigma_w^2, the part of white noise's energy that passes; 1/8 with all taps.
  float NoiseGain() const;

  int count;
  float weights[2 * kCombTaps + 1];
};

/// The filtered frame: kWindow samples. `frame` is where the frame begins in its signal, of which kCombTaps periods
/// before and `lookahead` hops behind the frame can be read.
void Comb(const float* frame, int period, const CombTaps& taps, float* out);

}  // namespace vivavoce
