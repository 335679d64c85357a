#include "channel.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>

namespace vivavoce_ladspa {
namespace {

constexpr int kFrame = VV_DENOISER_FRAME_SIZE;

int RoundedUp(int dividend, int divisor) { return (dividend + divisor - 1) / divisor; }

}  // namespace

Channel::Channel(const vv_model* model, int sample_rate, int index, int count)
    : denoiser_(vv_denoiser_create(model)), wait_(index * kTurn) {
  const int inner_rate = vv_model_sample_rate(model);
  outward_.reset(vv_resampler_create(inner_rate, sample_rate, 0));
  if (denoiser_ == nullptr || outward_ == nullptr) return;

  // A sample of the host lasts `outer` ticks of the resamplers, one of the model `inner`. What the delays lack to a
  // whole number of the host's samples is added to the first.
  const int common = std::gcd(sample_rate, inner_rate);
  const int outer = inner_rate / common;
  const int inner = sample_rate / common;
  const int ticks = vv_denoiser_delay(denoiser_.get()) * inner + 2 * vv_resampler_delay(outward_.get());
  const int whole = RoundedUp(ticks, outer);
  inward_.reset(vv_resampler_create(sample_rate, inner_rate, whole * outer - ticks));
  if (inward_ == nullptr) return;
  const int last_wait = (count - 1) * kTurn;
  lead_ = RoundedUp((kFrame + last_wait) * inner, outer);
  delay_ = whole + lead_;

  // Both resamplers round up, so that what is ready is ahead by a sample of 48 kHz and one of the host at most.
  waiting_capacity_ = kFrame + last_wait + vv_resampler_output_count(inward_.get(), kMaxCount);
  ready_capacity_ = lead_ + kMaxCount + RoundedUp(inner, outer) + 1;
  waiting_.reset(new (std::nothrow) float[static_cast<size_t>(waiting_capacity_)]);
  if (waiting_ != nullptr) ready_.reset(new (std::nothrow) float[static_cast<size_t>(ready_capacity_)]);
  if (ready_ != nullptr) Forget();
}

void Channel::Reset() {
  // All that frames touch is touched here, until the look-ahead is filled, so that no run() waits for a page.
  Forget();
  for (int delay = vv_denoiser_delay(denoiser_.get()); delay >= 0; delay -= kFrame) {
    float silence[kFrame] = {};
    ready_count_ = 0;
    ProcessFrame(silence);
  }
  Forget();
}

void Channel::Forget() {
  vv_denoiser_reset(denoiser_.get());
  vv_resampler_reset(inward_.get());
  vv_resampler_reset(outward_.get());
  gate_.Reset();
  std::fill_n(waiting_.get(), waiting_capacity_, 0.f);
  std::fill_n(ready_.get(), ready_capacity_, 0.f);
  waiting_count_ = 0;
  ready_count_ = lead_;
}

void Channel::Set(float attenuation_limit_db, float voice_threshold) {
  if (attenuation_limit_db != attenuation_limit_db_) {
    vv_denoiser_set_attenuation_limit(denoiser_.get(), attenuation_limit_db);
    attenuation_limit_db_ = attenuation_limit_db;
  }
  voice_threshold_ = voice_threshold;
}

void Channel::Take(const float* in, int count) {
  float* const waiting = waiting_.get();
  waiting_count_ +=
      vv_resampler_process(inward_.get(), in, count, waiting + waiting_count_, waiting_capacity_ - waiting_count_);
  int taken = 0;
  for (; waiting_count_ - taken >= kFrame + wait_; taken += kFrame) ProcessFrame(waiting + taken);
  if (taken == 0) return;
  waiting_count_ -= taken;
  std::memmove(waiting, waiting + taken, static_cast<size_t>(waiting_count_) * sizeof(float));
}

void Channel::ProcessFrame(float* frame) {
  float voice_probability = 0.f;
  vv_denoiser_process(denoiser_.get(), frame, frame, &voice_probability);
  gate_.Process(voice_threshold_, voice_probability, frame);
  ready_count_ += vv_resampler_process(outward_.get(), frame, kFrame, ready_.get() + ready_count_,
                                       ready_capacity_ - ready_count_);
}

void Channel::Give(float* out, int count) {
  float* const ready = ready_.get();
  if (out != nullptr) std::copy_n(ready, count, out);
  ready_count_ -= count;
  std::memmove(ready, ready + count, static_cast<size_t>(ready_count_) * sizeof(float));
}

}  // namespace vivavoce_ladspa
