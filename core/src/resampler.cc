#include "resampler.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>

#include "elementary.h"
#include "simd.h"

namespace vivavoce {
namespace {

// Lengths are in samples of the lower rate, frequencies in units of half of it. The filter is the shortest that leaves
// telephone speech alone, 3.4 of 4 kHz or 6.8 of 8, and lets nothing of note pass from 1 on, so that even the band next
// to the edge has no images. With these numbers: within 0.1 dB up to 0.847, -3 dB at 0.90, -65 dB from 1 on.
constexpr int kReach = 24;  // on either side, and so the delay: 1.5 ms where the lower rate is 16 kHz
constexpr double kCutoff = 0.915;
constexpr double kShape = 6.3;  // of the Kaiser window: what gives 65 dB

/// Beyond this a sample, NaN or infinity among them, counts as 0: no output overflows, and a fault ends with its delay.
constexpr float kLoudest = 1e30f;

/// I0(sqrt(4 q)), the modified Bessel function that Kaiser's window is made of, for q up to 10.
double Bessel(double q) {
  double term = 1.;
  double sum = 1.;
  for (int k = 1; k < 24; ++k) {
    term *= q / (k * k);
    sum += term;
  }
  return sum;
}

/// The filter `ticks` from its middle, where it ends at `reach`: not scaled.
double Kernel(int ticks, int reach) {
  if (ticks == 0) return Bessel(kShape * kShape / 4);
  const double place = static_cast<double>(ticks < 0 ? -ticks : ticks) / reach;
  if (place >= 1.) return 0.;
  constexpr double kPi = 3.141592653589793;
  const double turns = kCutoff * kReach / 2 * place;
  const double sine = SinCosOfTurns(turns - static_cast<int>(turns)).sin;
  return sine / (2 * kPi * turns) * Bessel(kShape * kShape / 4 * (1. - place * place));
}

inline float Sane(float sample) { return __builtin_fabsf(sample) <= kLoudest ? sample : 0.f; }

/// Two sums, of the even and of the odd vectors, joined at the end. `taps` is a multiple of 2 * kLanes.
inline float Dot(const float* a, const float* b, int taps) {
  F32x4 even = Splat<F32x4>(0.f);
  F32x4 odd = Splat<F32x4>(0.f);
  for (int i = 0; i < taps; i += 2 * kLanes) {
    even += Load<F32x4>(a + i) * Load<F32x4>(b + i);
    odd += Load<F32x4>(a + i + kLanes) * Load<F32x4>(b + i + kLanes);
  }
  return Sum(even + odd);
}

}  // namespace

bool Resampler::Supports(int from_rate, int to_rate, int extra_ticks) {
  if (from_rate < 1 || to_rate < 1 || extra_ticks < 0 || extra_ticks > kMaxFactor) return false;
  const int common = std::gcd(from_rate, to_rate);
  return from_rate / common <= kMaxFactor && to_rate / common <= kMaxFactor;
}

Resampler::Resampler(int from_rate, int to_rate, int extra_ticks)
    : up_(to_rate / std::gcd(from_rate, to_rate)), down_(from_rate / std::gcd(from_rate, to_rate)) {
  // Equal rates have a filter of one tap, and no delay.
  reach_ = from_rate == to_rate ? 0 : kReach * std::max(up_, down_);
  // An input sample counts from delay - reach to delay + reach ticks after it, ends excluded where they are zeros.
  const int oldest = (2 * reach_ + extra_ticks - (reach_ > 0 ? 1 : 0)) / up_;
  constexpr int kStep = 2 * kLanes;
  const int all = (oldest + 1 + kStep - 1) / kStep * kStep;
  taps_ = all - extra_ticks / up_ / kStep * kStep;
  past_ = all - 1;
  table_.reset(new (std::nothrow) float[static_cast<size_t>(up_) * static_cast<size_t>(taps_)]);
  samples_.reset(new (std::nothrow) float[static_cast<size_t>(past_ + kBlock)]);
  if (table_ == nullptr || samples_ == nullptr) return;
  delay_ticks_ = reach_ + extra_ticks;
  FillTable();
  Reset();
}

void Resampler::FillTable() {
  double sum = 0.;
  for (int ticks = -reach_; ticks <= reach_; ++ticks) sum += Kernel(ticks, reach_);
  const double scale = up_ / sum;  // a row sums to 1
  for (int row = 0; row < up_; ++row) {
    for (int tap = 0; tap < taps_; ++tap) {
      const int age = row + (past_ - tap) * up_;
      table_[static_cast<size_t>(row * taps_ + tap)] = static_cast<float>(scale * Kernel(age - delay_ticks_, reach_));
    }
  }
}

int64_t Resampler::OutputCount(int count) const {
  const int64_t ticks = static_cast<int64_t>(count) * up_ - ahead_;
  return ticks <= 0 ? 0 : (ticks + down_ - 1) / down_;
}

void Resampler::Process(const float* in, int count, float* out) {
  const int whole = down_ / up_;
  const int rest = down_ % up_;
  while (count > 0) {
    const int block = std::min(count, kBlock);
    float* const fresh = samples_.get() + past_;
    for (int i = 0; i < block; ++i) fresh[i] = Sane(in[i]);
    int latest = ahead_ / up_;  // input of the block that the next output leaves with
    int row = ahead_ % up_;
    while (latest < block) {
      *out++ = Dot(table_.get() + row * taps_, samples_.get() + latest, taps_);
      row += rest;
      latest += whole + (row >= up_ ? 1 : 0);
      row -= row >= up_ ? up_ : 0;
    }
    ahead_ = (latest - block) * up_ + row;
    std::memmove(samples_.get(), samples_.get() + block, static_cast<size_t>(past_) * sizeof(float));
    in += block;
    count -= block;
  }
}

void Resampler::Reset() {
  ahead_ = 0;
  std::fill_n(samples_.get(), past_, 0.f);
}

bool Resampler::CopyState(const Resampler& other) {
  if (up_ != other.up_ || down_ != other.down_ || delay_ticks_ != other.delay_ticks_) return false;
  ahead_ = other.ahead_;
  std::memcpy(samples_.get(), other.samples_.get(), static_cast<size_t>(past_) * sizeof(float));
  return true;
}

}  // namespace vivavoce
