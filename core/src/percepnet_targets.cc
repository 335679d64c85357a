#include "percepnet_targets.h"

#include <algorithm>
#include <cmath>

namespace vivavoce {
namespace {

constexpr float kMasking = 0.03f;  // n_0: noise-masking-tone, which limits the extra attenuation to 15 dB
constexpr float kSilence = 1e-7f;  // band energy under which nothing is heard
constexpr float kEpsilon = 1e-6f;

/// Strength and attenuation of one band for the coherences of clean and noisy speech with their comb-filtered selves.
void OracleStrength(float clean, float noisy, float noise_gain, float* strength, float* attenuation) {
  const float square = noisy * noisy;
  const float reached = noisy / std::sqrt(std::max((1.f - noise_gain) * square + noise_gain, kEpsilon));
  if (reached < clean) {
    *strength = 1.f;
    *attenuation = std::sqrt((1.f + kMasking - clean * clean) / (1.f + kMasking - reached * reached));
    return;
  }
  const float a = reached * reached - clean * clean;
  const float b = reached * noisy * (1.f - clean * clean);
  const float c = std::max(clean * clean - square, 0.f);
  // The positive root of a alpha^2 + 2 b alpha - c = 0, written so that a = 0 needs no case of its own.
  const float alpha = c / std::max(b + std::sqrt(std::max(b * b + a * c, 0.f)), kEpsilon);
  *strength = alpha / (1.f + alpha);
  *attenuation = 1.f;
}

}  // namespace

void CleanSpeech::Advance(const PercepNetAnalysis& analysis, const PercepNetAnalysis::State& noisy, const float* hop,
                          PercepNetTargets* targets) {
  PercepNetAnalysis::Remember(hop, history_);
  if (analysis.frame(noisy) < 0) return;
  const float* const frame = analysis.samples(history_);
  const CombTaps taps(noisy.pitch.period, analysis.lookahead());
  analysis.Transform(frame, scratch_, clean_);
  Comb(frame, noisy.pitch.period, taps, scratch_);
  analysis.Transform(scratch_, scratch_, comb_);

  float bins[kPaddedBins], comb_energies[kPaddedBands], coherences[kPaddedBands];
  BinEnergies(clean_, bins);
  analysis.bands().Sum(bins, targets->energies);
  BinEnergies(comb_, bins);
  analysis.bands().Sum(bins, comb_energies);
  BinCorrelations(comb_, clean_, bins);
  analysis.bands().Sum(bins, coherences);
  PercepNetAnalysis::Coherences(coherences, comb_energies, targets->energies, coherences);
  const float noise_gain = taps.NoiseGain();
  const float* const energies = analysis.energies(noisy);
  for (int i = 0; i < kPaddedBands; ++i) {
    OracleStrength(coherences[i], noisy.coherences[i], noise_gain, &targets->strengths[i], &targets->attenuations[i]);
    targets->gains[i] = energies[i] > kSilence ? std::sqrt(std::min(targets->energies[i] / energies[i], 1.f)) : 1.f;
  }
}

}  // namespace vivavoce
