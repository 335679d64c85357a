#include "concealer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <new>
#include <numeric>

#include "elementary.h"
#include "sane.h"
#include "simd.h"

namespace vivavoce {
namespace {

constexpr int kRates[] = {8000, 12000, 16000, 24000, 48000};
constexpr float kNepersPerDb = 0.115129255f;  // ln 10 / 20
constexpr float kQuiet = 1e-12f;

/// The fade from `made` to `out`: linear, made up for what signals lose in it that have nothing in common.
void CrossFade(const float* made, float* out, int count) {
  double product = 0., made_energy = kQuiet, out_energy = kQuiet;
  for (int i = 0; i < count; ++i) {
    product += double{made[i]} * out[i];
    made_energy += double{made[i]} * made[i];
    out_energy += double{out[i]} * out[i];
  }
  const float likeness = static_cast<float>(std::clamp(product / std::sqrt(made_energy * out_energy), 0., 1.));
  for (int i = 0; i < count; ++i) {
    const float share = (static_cast<float>(i) + 0.5f) / static_cast<float>(count);
    const float rest = 1.f - share;
    const float power = share * share + rest * rest + 2.f * share * rest * likeness;
    out[i] = (share * out[i] + rest * made[i]) / std::sqrt(power);
  }
}

/// xorshift32 (G. Marsaglia, "Xorshift RNGs", 2003).
uint32_t Random(uint32_t* state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

}  // namespace

bool Concealer::Supports(int sample_rate) {
  return std::find(std::begin(kRates), std::end(kRates), sample_rate) != std::end(kRates);
}

Concealer::Concealer(const PredictorNetwork& predictor, Int8Path predictor_path, const Vocoder& vocoder,
                     Int8Path vocoder_path, int sample_rate)
    : sample_rate_(sample_rate),
      hop_(sample_rate / 100),
      ticks_per_second_(std::lcm(sample_rate, kSpeechRate)),
      plc_(predictor, predictor_path, vocoder, vocoder_path),
      down_(sample_rate, kSpeechRate, 0),
      up_(kSpeechRate, sample_rate, 0),
      state_(new (std::nothrow) State()),
      scratch_(new (std::nothrow) Scratch()) {
  const int half = hop_ / 2;
  for (int i = 0; i < half; ++i) {
    rise_[i] = static_cast<float>(SinCosOfTurns((static_cast<double>(i) + 0.5) / (4. * half)).sin);
  }
}

void Concealer::Reset() { std::memset(state_.get(), 0, sizeof(State)); }

bool Concealer::CopyState(const Concealer& other) {
  if (sample_rate_ != other.sample_rate_ || !plc_.CopyState(other.plc_)) return false;
  if (this == &other) return true;
  up_.CopyState(other.up_);  // the way down is used when a gap begins, and begins anew
  std::memcpy(state_.get(), other.state_.get(), sizeof(State));
  return true;
}

void Concealer::Receive(const float* in, int count, bool joined, float* out) {
  State& s = *state_;
  for (int i = 0; i < count; ++i) out[i] = Sane(Splat<F32x4>(in[i]))[0];
  if (s.in_gap && !joined) {
    const int fade = std::min(count, hop_ / 2);
    float made[kMaxHop / 2];
    Continue(made, fade);
    CrossFade(made, out, fade);
  }
  s.in_gap = false;
  Remember(out, count, false);
}

void Concealer::Conceal(float* out, int count) {
  if (!state_->in_gap && count > 0) Begin();
  Continue(out, count);
  Remember(out, count, true);
}

void Concealer::Foresee(const float* samples, int count, int gap) {
  constexpr int kMaxHops = kMaxForeseenMs / 10;
  const int hops = std::min(count / hop_, kMaxHops);
  if (hops < NeuralPlc::kMinForeseen || gap < 0) return;
  if (!state_->in_gap) Begin();
  float sane[kMaxHops * kMaxHop], speech[kMaxHops * kSpeechHop];
  for (int i = 0; i < hops * hop_; ++i) sane[i] = Sane(Splat<F32x4>(samples[i]))[0];
  const float* heard = sane;
  if (sample_rate_ != kSpeechRate) {
    down_.Reset();
    down_.Process(sane, hops * hop_, speech);
    heard = speech;
  }
  plc_.Foresee(heard, hops, gap / hop_ + (gap % hop_ >= hop_ / 2 ? 1 : 0));
}

void Concealer::Tell(const float* features, int count, int64_t gap) {
  if (count < 1) return;
  if (!state_->in_gap) Begin();
  const double centre = static_cast<double>(gap) / hop_ + static_cast<double>(delay()) / (2 * hop_);
  plc_.Tell(features, count, static_cast<int64_t>(std::floor(centre + 0.5)));
}

void Concealer::Ahead(float* out, int count) {
  State& s = *state_;
  if (!s.in_gap) {
    std::fill_n(out, count, 0.f);
    return;
  }
  while (s.left < count) MakeFrame();
  std::copy_n(s.frames, count, out);
}

void Concealer::Played(float* out, int count) const { std::copy_n(state_->history + history() - count, count, out); }

/// The next samples of a gap.
void Concealer::Continue(float* out, int count) {
  State& s = *state_;
  while (count > 0) {
    if (s.left == 0) MakeFrame();
    const int now = std::min(count, s.left);
    out = std::copy_n(s.frames, now, out);
    Skip(now);
    count -= now;
  }
}

/// Forgets the oldest samples that were made.
void Concealer::Skip(int count) {
  State& s = *state_;
  s.left -= count;
  std::memmove(s.frames, s.frames + count, static_cast<size_t>(s.left) * sizeof(float));
}

void Concealer::Remember(const float* samples, int count, bool made) {
  State& s = *state_;
  const int newest = std::min(count, history()), kept = history() - newest;
  std::memmove(s.history, s.history + newest, static_cast<size_t>(kept) * sizeof(float));
  std::memmove(s.made, s.made + newest, static_cast<size_t>(kept));
  std::copy_n(samples + count - newest, newest, s.history + kept);
  std::memset(s.made + kept, made, static_cast<size_t>(newest));
}

void Concealer::Begin() {
  State& s = *state_;
  s.in_gap = true;
  s.left = s.early = 0;
  s.random = 1;
  std::fill_n(s.grain, kMaxHop, 0.f);
  if (sample_rate_ == kSpeechRate) {
    plc_.Begin(s.history, s.made);
    return;
  }
  Scratch& scratch = *scratch_;
  down_.Reset();
  down_.Process(s.history, history(), scratch.speech);
  for (int i = 0; i < NeuralPlc::kHistory; ++i) scratch.made[i] = s.made[i * hop_ / kSpeechHop];
  plc_.Begin(scratch.speech, scratch.made);
  constexpr int kTail = kTailHops * kSpeechHop;
  up_.Reset();
  up_.Process(scratch.speech + NeuralPlc::kHistory - kTail, kTail, scratch.low);
  HearHighBand(scratch.low, kTailHops * hop_);
  s.early = delay();
}

/// Remembers what is missing in `low`, the past as it came back from 16 kHz.
void Concealer::HearHighBand(const float* low, int count) {
  State& s = *state_;
  const int kept = kHighHops * hop_;
  const float* const full = s.history + history() - delay() - kept;
  for (int i = 0; i < kept; ++i) s.high[i] = full[i] - low[count - kept + i];
}

void Concealer::MakeFrame() {
  State& s = *state_;
  float* const frame = s.frames + s.left;
  s.left += hop_;
  if (sample_rate_ == kSpeechRate) {
    plc_.MakeFrame(frame);
    return;
  }
  float speech[kSpeechHop];
  plc_.MakeFrame(speech);
  up_.Process(speech, kSpeechHop, frame);
  if (sample_rate_ > kSpeechRate) AddHighBand(frame);
  for (int i = 0; i < hop_; ++i) frame[i] = Limited(frame[i], -1.f, 1.f);
  Skip(s.early);  // that part of the first frame lies before the gap
  s.early = 0;
}

/// Noise with the spectrum of the high band before the gap: pieces of it from anywhere, of either sign, in windows whose
/// powers sum to one, fading as the speech does.
void Concealer::AddHighBand(float* frame) {
  State& s = *state_;
  const float gain = Exp(Splat<F32x4>(kNepersPerDb * plc_.rise_db()))[0];
  const int half = hop_ / 2;
  for (int part = 0; part < 2; ++part) {
    const uint32_t random = Random(&s.random);
    const float sign = (random & 1) != 0 ? gain : -gain;
    const float* const piece = s.high + static_cast<int>((random >> 1) % static_cast<uint32_t>(hop_ + 1));
    float* const out = frame + part * half;
    for (int i = 0; i < half; ++i) {
      out[i] += s.grain[i] + sign * rise_[i] * piece[i];
      s.grain[i] = sign * rise_[half - 1 - i] * piece[half + i];
    }
  }
}

}  // namespace vivavoce
