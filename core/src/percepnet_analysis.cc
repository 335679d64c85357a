#include "percepnet_analysis.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "elementary.h"
#include "sane.h"
#include "simd.h"
#include "window.h"

namespace vivavoce {
namespace {

constexpr float kEnergyFloor = 1e-9f;  // mean |Y|^2 a bin: white noise of -117 dBFS
constexpr float kSilence = 1e-7f;      // band energy under which nothing is heard
constexpr float kDbPerUnit = 20.f;
constexpr double kLevelAttack = 0.1;     // a frame: 100 ms
constexpr double kLevelDecayDb = 0.01;   // a frame: 1 dB/s
constexpr double kMinLevelDb = -55.;     // digital silence and what is near it is not raised to the level of speech
constexpr float kMinFeature = -3.f;
constexpr float kDbPerNeper = 4.34294482f;  // 10 / ln 10
constexpr float kPerLn2 = 1.44269504f;

/// The level that band energies are counted from: it follows the loudest of the recent past.
double FollowLevel(double level_db, double now_db, bool first) {
  if (first) level_db = std::max(now_db, kMinLevelDb);
  if (now_db > level_db) return level_db + kLevelAttack * (now_db - level_db);
  return std::max(level_db - kLevelDecayDb, kMinLevelDb);
}

}  // namespace

PercepNetAnalysis::PercepNetAnalysis(int lookahead) : lookahead_(lookahead), fft_(kWindow), tracker_(lookahead) {
  VorbisWindow(kWindow, window_);
}

void PercepNetAnalysis::Transform(const float* samples, float* scratch, float* spectrum) const {
  for (int i = 0; i < kWindow; i += kLanes) {
    Store(scratch + i, Load<F32x4>(samples + i) * Load<F32x4>(window_ + i));
  }
  fft_.Forward(scratch, spectrum);
  std::fill(spectrum + 2 * kBins, spectrum + kSpectrumFloats, 0.f);
}

void PercepNetAnalysis::Coherences(const float* correlations, const float* energies_a, const float* energies_b,
                                   float* coherences) {
  for (int i = 0; i < kPaddedBands; ++i) {
    const float scale = std::sqrt(std::max(energies_a[i] * energies_b[i], kSilence * kSilence));
    coherences[i] = std::min(std::max(correlations[i] / scale, 0.f), 1.f);
  }
}

void PercepNetAnalysis::Remember(const float* hop, float* history) {
  constexpr int kKept = kHistory - kHop;
  std::memmove(history, history + kHop, kKept * sizeof(float));
  for (int i = 0; i < kHop; i += kLanes) Store(history + kKept + i, Sane(Load<F32x4>(hop + i)));
}

void PercepNetAnalysis::Advance(const float* hop, State* state) const {
  Remember(hop, state->history);
  ++state->hops;
  HearNewest(state);
  tracker_.Listen(state->history + kHistory, &state->tracker);
  if (frame(*state) >= 0) AnalysePitch(state);
}

/// Spectrum and levels of the frame that the newest hop completes.
void PercepNetAnalysis::HearNewest(State* state) const {
  const int slot = Slot(state->hops - 1);
  float* const spectrum = state->spectra[slot];
  float* const energies = state->energies[slot];
  Transform(state->history + kHistory - kWindow, state->scratch, spectrum);
  float bins[kPaddedBins];
  BinEnergies(spectrum, bins);
  bands_.Sum(bins, energies);
  F32x4 total = Splat<F32x4>(0.f);
  for (int i = 0; i < kPaddedBins; i += kLanes) total += Load<F32x4>(bins + i);

  float levels[kPaddedBands + kLanes];
  for (int i = 0; i < kPaddedBands; ++i) levels[i] = energies[i] / bands_.widths()[i] + kEnergyFloor;
  std::fill_n(levels + kPaddedBands, kLanes, Sum(total) / kBins + kEnergyFloor);
  Log(levels, levels, kPaddedBands + kLanes);
  const double now_db = double{kDbPerNeper} * levels[kPaddedBands];
  state->level_db = FollowLevel(state->level_db, now_db, state->hops == 1);
  const float level_db = static_cast<float>(state->level_db);
  for (int i = 0; i < kBands; ++i) {
    state->features[i] = std::max((kDbPerNeper * levels[i] - level_db) / kDbPerUnit, kMinFeature);
  }
}

/// All that belongs to frame().
void PercepNetAnalysis::AnalysePitch(State* state) const {
  state->pitch = tracker_.Track(state->history + kHistory, &state->tracker);
  const int period = state->pitch.period;
  Comb(samples(state->history), period, CombTaps(period, lookahead_), state->scratch);
  Transform(state->scratch, state->scratch, state->comb);
  float bins[kPaddedBins], correlations[kPaddedBands];
  BinEnergies(state->comb, bins);
  bands_.Sum(bins, state->comb_energies);
  BinCorrelations(state->comb, noisy(*state), bins);
  bands_.Sum(bins, correlations);
  Coherences(correlations, state->comb_energies, energies(*state), state->coherences);

  float* const late = state->features + kBands;
  std::copy_n(state->coherences, kBands, late);
  F32x4 octaves = Log(Splat<F32x4>(static_cast<float>(period)));
  late[kBands] = (kPerLn2 * octaves[0] - 8.f) / 2.f;
  late[kBands + 1] = state->pitch.correlation;
}

}  // namespace vivavoce
