#include "dred_encoder.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "state_layout.h"

namespace vivavoce {

DredEncoder::DredEncoder(const RdoVae& vae, Int8Path path) : vae_(&vae), path_(path) {
  StateLayout layout;
  layout.Place(1, sizeof(State));
  network_ = layout.Place(1, vae.encoder_bytes());
  latents_ = layout.Place(kSteps * vae.latent(), sizeof(float));
  states_ = layout.Place(kSteps * vae.state(), sizeof(float));
  bytes_ = layout.bytes();
  memory_.reset(new (std::nothrow) char[bytes_]);
  if (memory_ != nullptr) Reset();
}

void DredEncoder::Reset() { std::memset(memory_.get(), 0, bytes_); }

bool DredEncoder::CopyState(const DredEncoder& other) {
  if (vae_ != other.vae_) return false;
  if (this != &other) std::memcpy(memory_.get(), other.memory_.get(), bytes_);
  return true;
}

void DredEncoder::Push(const float* samples, size_t count) {
  State& s = state();
  while (count > 0) {
    const size_t begun = static_cast<size_t>(s.waiting), taken = std::min(kSpeechHop - begun, count);
    std::copy_n(samples, taken, s.hop + begun);
    samples += taken;
    count -= taken;
    s.waiting = static_cast<int>(begun + taken) % kSpeechHop;
    if (s.waiting == 0) Hear(s.hop);
  }
}

void DredEncoder::Hear(const float* hop) {
  State& s = state();
  float* const features = s.features + s.hops % kStepHops * kSpeechFeatures;
  analysis_.Advance(hop, &s.analysis, features);
  if (++s.hops % kStepHops != 0) return;
  const int place = Place(0);
  vae_->Encode(path_, memory_.get() + network_, s.features, Row(latents_, place, vae_->latent()),
               Row(states_, place, vae_->state()));
  s.loudness[place] = std::max(s.features[0], s.features[kSpeechFeatures]);
}

float DredEncoder::Loudness(int age) const { return state().loudness[Place(age)]; }

int DredEncoder::Write(int age, int offset, const DredLevels& levels, int chunks, uint8_t* out, int capacity) const {
  // A latent vector describes the step before it too; the first of all has none.
  if (age < 0 || age >= kept()) return -1;
  chunks = std::min(chunks, (kept() - age) / kStepsPerChunk);
  if (chunks < 1 || chunks > kDredMaxChunks || !levels.valid()) return -1;
  DredPayload payload;
  payload.offset = offset;
  payload.levels = levels;
  payload.chunks = chunks;
  vae_->RoundState(Row(states_, Place(age), vae_->state()), levels.first, payload.state);
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const int place = Place(age + kStepsPerChunk * chunk);
    vae_->RoundLatent(Row(latents_, place, vae_->latent()), levels.level(chunk), payload.latents[chunk]);
  }
  return WriteDred(vae_->tables(), payload, out, capacity);
}

}  // namespace vivavoce
