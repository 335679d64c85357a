#include "pitch.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "elementary.h"
#include "simd.h"

namespace vivavoce {
namespace {

constexpr int kLowpassHz = 2'000;
constexpr int kHopsPerSecond = 100;
constexpr float kSecondPeriodShare = 0.3f;
constexpr float kJumpCost = 2.f;  // per octave and frame
constexpr float kEnergyFloor = 1e-9f;
constexpr float kNever = -1e30f;  // score of a path that there is not

/// The windowed sinc of pitch.py, not yet of unit gain; `n` counts from its middle, which is `delay` taps from either
/// end, and `period` is that of the cutoff in samples.
double Lowpass(int n, int delay, int period) {
  constexpr double kPi = 3.14159265358979323846;
  const double sine = SinCosOfTurns(static_cast<double>(n % period) / period).sin;
  const double sinc = n == 0 ? 1. : sine / (kPi * n / (period / 2));
  return sinc * (0.5 + 0.5 * SinCosOfTurns(0.5 * n / (delay + 1)).cos);
}

/// sums[i] = sum over `count` samples n of fixed[n] * moving[n - kStep i], for kCount values of i. `count` is whole
/// vectors.
template <int kCount, int kStep = 1>
inline void Correlate(const float* fixed, const float* moving, int count, float* sums) {
  F32x4 sum[kCount] = {};
  for (int n = 0; n < count; n += kLanes) {
    const F32x4 x = Load<F32x4>(fixed + n);
    for (int i = 0; i < kCount; ++i) sum[i] += x * Load<F32x4>(moving + n - kStep * i);
  }
  for (int i = 0; i < kCount; ++i) sums[i] = Sum(sum[i]);
}

float Energy(const float* x, int count) {
  F32x4 sum = Splat<F32x4>(0.f);
  for (int n = 0; n < count; n += kLanes) sum += Load<F32x4>(x + n) * Load<F32x4>(x + n);
  return Sum(sum);
}

}  // namespace

template <class Search>
PitchTracker<Search>::PitchTracker(int lookahead)
    : lookahead_(lookahead), available_(((lookahead + 1) * kHop - kDelay) / kDecimation) {
  constexpr int kPeriod = kHop * kHopsPerSecond / kLowpassHz;
  double gain = 0.;
  for (int n = -kDelay; n <= kDelay; ++n) gain += Lowpass(std::abs(n), kDelay, kPeriod);
  for (int i = 0; i < kTaps; ++i) {
    const int n = std::abs(i - kLead - kDelay);
    taps_[i] = n <= kDelay ? static_cast<float>(Lowpass(n, kDelay, kPeriod) / gain) : 0.f;
  }
  constexpr float kLn2 = 0.693147181f;
  float octaves[kPaddedLags];
  for (int i = 0; i < kPaddedLags; ++i) octaves[i] = static_cast<float>(kMinLag + i) / kMinLag;
  Log(octaves, octaves, kPaddedLags);
  for (int i = 0; i < kPaddedLags; ++i) {
    jump_cost_[i] = kJumpCost / kLn2 * octaves[i];
    lag_cost_[i] = Search::kLongLagCost / kLn2 * octaves[i];
  }
  constexpr int kHighLags = Search::kHighPeriod / kDecimation - kMinLag;
  for (int i = 0; i < kHighLags; ++i) lag_cost_[i] += Search::kHighCost / kLn2 * (octaves[kHighLags] - octaves[i]);
}

/// End of the later of the two windows against the middle of the frame, in coarse samples: the pair is symmetrical
/// about the middle where the look-ahead allows.
template <class Search>
int PitchTracker<Search>::LateEnd(int lag) const { return std::min((lag + kCoarseWindow) / 2, available_); }

template <class Search>
void PitchTracker<Search>::Listen(const float* end, State* state) const {
  constexpr int kKept = kCoarse - kCoarseHop;
  std::memmove(state->coarse, state->coarse + kCoarseHop, kKept * sizeof(float));
  const float* from = end - kHop + kNewest - kDelay - kLead - (kCoarseHop - 1) * kDecimation;
  for (int i = 0; i < kCoarseHop; ++i, from += kDecimation) {
    F32x4 even = Splat<F32x4>(0.f);
    F32x4 odd = Load<F32x4>(taps_) * Load<F32x4>(from);
    for (int k = kLanes; k < kTaps; k += 2 * kLanes) {
      even += Load<F32x4>(taps_ + k) * Load<F32x4>(from + k);
      odd += Load<F32x4>(taps_ + k + kLanes) * Load<F32x4>(from + k + kLanes);
    }
    state->coarse[kKept + i] = Sum(even + odd);
  }
  for (auto& products : state->products) std::memmove(products[0], products[1], sizeof products - sizeof products[0]);
  AddBlock<1, kMinLag>(state);
  // Two periods of a lag are one of twice the lag.
  constexpr int kFirst = std::max(kMinLag, kMaxLag / 2 + 1);
  float* const second = state->products[1][kBlocks - 1];
  const float* const first = state->products[0][kBlocks - 1];
  for (int lag = kMinLag; lag < kFirst; ++lag) second[lag - kMinLag] = first[2 * lag - kMinLag];
  AddBlock<2, kFirst>(state);
}

template <class Search>
template <int kPeriod, int kFirst>
void PitchTracker<Search>::AddBlock(State* state) const {
  float* sums = state->products[kPeriod - 1][kBlocks - 1] + kFirst - kMinLag;
  const float* const newest = state->coarse + kCoarse - kCoarseHop - available_;
  for (int lag = kFirst; lag <= kMaxLag;) {
    const int end = LateEnd(kPeriod * lag);
    const float* const late = newest + end;
    const float* const early = late - kPeriod * lag;
    // As many lags as have the later window in common, up to four at a time.
    int count = 1;
    while (count < kLanes && lag + count <= kMaxLag && LateEnd(kPeriod * (lag + count)) == end) ++count;
    if (count == kLanes) {
      Correlate<kLanes, kPeriod>(late, early, kCoarseHop, sums);
    } else {
      count = std::min(count, 2);
      count == 2 ? Correlate<2, kPeriod>(late, early, kCoarseHop, sums)
                 : Correlate<1, kPeriod>(late, early, kCoarseHop, sums);
    }
    sums += count;
    lag += count;
  }
}

/// Of all coarse samples before each; of quarters side by side, as a sum has to wait for the one before.
template <class Search>
void PitchTracker<Search>::EnergyBefore(const float* coarse, double* energy) {
  constexpr int kQuarters = 4, kLength = kCoarse / kQuarters;
  static_assert(kCoarse % kQuarters == 0);
  double sums[kQuarters] = {};
  for (int i = 0; i < kLength; ++i) {
    for (int quarter = 0; quarter < kQuarters; ++quarter) {
      const int place = quarter * kLength + i;
      energy[place] = sums[quarter];
      sums[quarter] += double{coarse[place]} * coarse[place];
    }
  }
  double before = sums[0];
  for (int quarter = 1; quarter < kQuarters; ++quarter) {
    for (int i = 0; i < kLength; ++i) energy[quarter * kLength + i] += before;
    before += sums[quarter];
  }
  energy[kCoarse] = before;
}

/// Normalised correlation over so many periods of each lag, given the energy of all samples before each.
template <class Search>
void PitchTracker<Search>::Score(const State& state, const double* energy, int periods, float* scores) const {
  float early[kPaddedLags], late[kPaddedLags];
  for (int i = 0; i < kLags; ++i) {
    const int lag = periods * (kMinLag + i);
    const double* const end = energy + kCoarse - available_ + LateEnd(lag);
    late[i] = static_cast<float>(end[0] - end[-kCoarseWindow]) + kEnergyFloor;
    early[i] = static_cast<float>(end[-lag] - end[-lag - kCoarseWindow]) + kEnergyFloor;
  }
  std::fill(early + kLags, early + kPaddedLags, 1.f);
  std::fill(late + kLags, late + kPaddedLags, 1.f);
  const auto& p = state.products[periods - 1];
  for (int i = 0; i < kPaddedLags; ++i) {
    float product = p[0][i];
    for (int block = 1; block < kBlocks; ++block) product += p[block][i];
    scores[i] = product / std::sqrt(early[i] * late[i]);
  }
}

/// The lag of the best track, as an index. Under a cost that is linear in octaves the best predecessor is a running
/// maximum from either side.
template <class Search>
int PitchTracker<Search>::FollowPath(const float* scores, float* path) const {
  float next[kPaddedLags];
  std::fill(path + kLags, path + kPaddedLags, kNever);
  F32x4 most = Splat<F32x4>(kNever);
  for (int i = 0; i < kPaddedLags; i += kLanes) {
    const F32x4 jump = Load<F32x4>(jump_cost_ + i);
    const F32x4 from_below = Max(RunningMax(Load<F32x4>(path + i) + jump), most);
    Store(next + i, from_below - jump);
    most = Splat<F32x4>(from_below[kLanes - 1]);
  }
  most = Splat<F32x4>(kNever);
  F32x4 best_score = most;
  for (int i = kPaddedLags - kLanes; i >= 0; i -= kLanes) {
    const F32x4 jump = Load<F32x4>(jump_cost_ + i);
    const F32x4 from_above = Max(RunningMaxFromEnd(Load<F32x4>(path + i) - jump), most);
    most = Splat<F32x4>(from_above[0]);
    const F32x4 before = Max(Max(Load<F32x4>(next + i), from_above + jump), Splat<F32x4>(-Search::kMaxJumpCost));
    // The best path so far stands at 0.
    Store(next + i, before + (Load<F32x4>(scores + i) - Load<F32x4>(lag_cost_ + i)));
    if (i == kPaddedLags - kLanes) std::fill(next + kLags, next + kPaddedLags, kNever);
    best_score = Max(best_score, Load<F32x4>(next + i));
  }
  const float score = RunningMax(best_score)[kLanes - 1];
  for (int i = 0; i < kPaddedLags; i += kLanes) Store(path + i, Load<F32x4>(next + i) - score);
  return static_cast<int>(std::find(next, next + kLags, score) - next);
}

template <class Search>
Pitch PitchTracker<Search>::Track(const float* end, State* state) const {
  double energy[kCoarse + 1];
  EnergyBefore(state->coarse, energy);
  float first[kPaddedLags], second[kPaddedLags];
  Score(*state, energy, 1, first);
  Score(*state, energy, 2, second);
  for (int i = 0; i < kPaddedLags; ++i) second[i] = first[i] + kSecondPeriodShare * (second[i] - first[i]);
  const int best = FollowPath(second, state->path);
  return {Refine(end, (kMinLag + best) * kDecimation), first[best]};
}

/// The period about a coarse one that correlates best.
template <class Search>
int PitchTracker<Search>::Refine(const float* end, int coarse) const {
  constexpr int kFineWindow = Search::kFineHops * kHop, kRadius = Search::kFineRadius, kCandidates = 2 * kRadius + 1;
  const int ahead = (lookahead_ + 1) * kHop;
  const float* const late = end - ahead + std::min((coarse + kFineWindow) / 2, ahead) - kFineWindow;
  const int first = std::max(Search::kMinPeriod, coarse - kRadius);
  const int last = std::min(Search::kMaxPeriod, coarse + kRadius);
  float products[kCandidates];
  Correlate<kCandidates>(late, late - first, kFineWindow, products);
  // What all windows have in common, and then what each has before and behind it.
  constexpr int kShared = kFineWindow - 2 * kRadius;
  const float* const shared = late - first;
  const float shared_energy = Energy(shared, kShared);
  float before[kCandidates] = {}, behind[kCandidates] = {};
  for (int i = 1; i < kCandidates; ++i) {
    before[i] = before[i - 1] + shared[-i] * shared[-i];
    behind[i] = behind[i - 1] + shared[kShared + i - 1] * shared[kShared + i - 1];
  }
  int best = first;
  float best_score = 0.f;
  for (int i = 0; i <= last - first; ++i) {
    const float energy = shared_energy + before[i] + behind[kCandidates - 1 - i] + kEnergyFloor;
    const float score = products[i] / std::sqrt(energy);
    if (i == 0 || score > best_score) {
      best_score = score;
      best = first + i;
    }
  }
  return best;
}

template class PitchTracker<FullBandSearch>;
template class PitchTracker<WideBandSearch>;

}  // namespace vivavoce
