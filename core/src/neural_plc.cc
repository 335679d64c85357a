#include "neural_plc.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "elementary.h"
#include "sane.h"
#include "simd.h"

namespace vivavoce {
namespace {

/// What is added to c0 in the frames of a gap, and from there on in each. One unit is 2.4 dB.
constexpr float kAttenuation[] = {0.f, 0.f, -.2f, -.2f, -.4f, -.4f, -.8f, -.8f, -1.6f, -1.6f};
constexpr float kDecay = -2.f;
constexpr float kDbPerC0 = 2.357f;  // 10 / sqrt(kBarkBands)
constexpr int kAttenuations = sizeof kAttenuation / sizeof *kAttenuation;

// A guess is smoother than speech, rather too quiet, and what the vocoder makes of it is smoother again; what is missing
// is given back. By PLCMOS on split val; PESQ, which rewards caution, falls with more.
constexpr float kLevel = .4f;       // added to c0
constexpr float kContrast = 1.15f;  // factor of the other coefficients

// What was told is smoother than speech too, most of all in the fine detail of its spectra. On split val, measured-high at
// 40 kb/s, PLCMOS is 2.97 with 1.25 throughout and 3.08 with these, bursts of one second 4.00 and 4.07, at the same PESQ.
constexpr float kToldContrast[] = {1.f, 1.15f, 1.15f, 1.15f, 1.15f, 1.4f, 1.4f, 1.4f, 1.4f,
                                   1.4f, 1.5f, 1.5f, 1.5f, 1.5f, 1.5f, 1.5f, 1.5f, 1.5f};
static_assert(sizeof kToldContrast / sizeof *kToldContrast == kBarkBands);

constexpr float kMaxRise = 2.f;  // of energy over what preceded the gap: 3 dB
constexpr float kMaxFeature = 64.f;  // of what is told
constexpr float kMaxWrong = 4.f;

// Correlation of what an RDO-VAE does to cepstra at a distance of so many frames: in part it is the talker and lasts.
// Measured on split val, at the middle levels of its quantiser.
constexpr float kLasting = .38f, kLastingFrames = 14.f, kPassing = .42f, kPassingFrames = 1.6f;
constexpr int kTopHops = 2;          // before a gap, whose highest band what is told is compared with
constexpr float kMinTop = -2.f, kMinRiseDb = -60.f, kMaxRiseDb = 6.f;
constexpr int kRamp = 40;        // samples in which a limit is taken back

float Energy(const float* x, int count) {
  F32x4 sum = Splat<F32x4>(0.f);
  for (int i = 0; i < count; i += kLanes) sum += Load<F32x4>(x + i) * Load<F32x4>(x + i);
  return Sum(sum);
}

/// What is added to c0 in frame `frame` of a gap, 0 being the first. One unit is kDbPerC0.
float GapAttenuation(int frame) {
  if (frame < kAttenuations) return kAttenuation[frame];
  return kAttenuation[kAttenuations - 1] + kDecay * static_cast<float>(frame - kAttenuations + 1);
}

}  // namespace

NeuralPlc::NeuralPlc(const PredictorNetwork& predictor, Int8Path predictor_path, const Vocoder& vocoder,
                     Int8Path vocoder_path)
    : predictor_(&predictor),
      vocoder_(&vocoder),
      predictor_path_(predictor_path),
      vocoder_path_(vocoder_path),
      memory_(new (std::nothrow) char[bytes()]) {
  if (memory_ != nullptr) std::memset(memory_.get(), 0, bytes());
  for (int i = 0; i < kMaxTold; ++i) {
    const float frames = static_cast<float>(i);
    likeness_[i] = kLasting * Exp(Splat<F32x4>(-frames / kLastingFrames))[0] +
                   kPassing * Exp(Splat<F32x4>(-frames / kPassingFrames))[0];
  }
}

bool NeuralPlc::CopyState(const NeuralPlc& other) {
  if (predictor_ != other.predictor_ || vocoder_ != other.vocoder_) return false;
  if (this != &other) std::memcpy(memory_.get(), other.memory_.get(), bytes());
  return true;
}

void NeuralPlc::Begin(const float* history, const uint8_t* made) {
  State& s = state();
  s.frames = 0;
  s.loudest = 0.f;
  s.limit = 1.f;
  s.foreseen_at = 0;
  s.guessed = 0;
  s.told_rise_db = 0.f;
  s.top = kMinTop;
  std::fill_n(s.rise_db, kRecent, 0.f);
  std::fill_n(s.told_so, kRecent, false);
  std::fill_n(s.told_at, kMaxTold, -1);
  s.told_of_known = s.told_late = false;
  s.early = vocoder_->delay();
  std::memset(&s.analysis, 0, sizeof s.analysis);
  std::memset(predictor_state(), 0, predictor_->state_bytes());
  constexpr int kFirst = kHops - kHeard;
  float features[kHops][kSpeechFeatures];
  for (int hop = 0; hop < kHops; ++hop) {
    const float* const samples = history + hop * kSpeechHop;
    analysis_.Advance(samples, &s.analysis, features[hop]);
    if (hop < kFirst) continue;
    s.loudest = std::max(s.loudest, Energy(samples, kSpeechHop));
    if (hop >= kHops - kTopHops) s.top = std::max(s.top, TopBand(features[hop]));
    float inputs[PredictorNetwork::kInputs] = {}, unused[kSpeechFeatures];
    const uint8_t* const here = made + hop * kSpeechHop;
    if (std::count(here, here + kSpeechHop, 0) >= kSpeechHop / 2) {
      BurgFeatures(analysis_, samples + kSpeechHop, inputs);
      std::copy_n(features[hop], kSpeechFeatures, inputs + kBurgFeatures);
      inputs[PredictorNetwork::kKnown] = PredictorNetwork::kReceived;
    }
    predictor_->Step(predictor_path_, predictor_state(), inputs, unused);
  }
  std::copy_n(features[kHops - 1], kBarkBands, s.known);
  std::memcpy(predictor_begin(), predictor_state(), predictor_->state_bytes());
  constexpr int kFollowed = 2;
  int hop = kHops - kFollowed - Vocoder::kMemoryFrames;
  const float* samples = history + hop * kSpeechHop;
  vocoder_->Begin(vocoder_state(), samples - Vocoder::kBefore);
  vocoder_->Feed(vocoder_state(), features[hop]);
  for (; hop < kHops - kFollowed; samples += kSpeechHop) vocoder_->Hear(vocoder_state(), features[++hop], samples);
  vocoder_->Follow(vocoder_path_, vocoder_state(), features[kHops - 1], samples);
  std::copy_n(samples + kSpeechHop, kSpeechHop, s.last);
}

/// Features at the end of the next frame.
void NeuralPlc::Predict(float* features) {
  State& s = state();
  if (s.told_late) HearLate();
  const int frame = s.frames++;
  float told[kSpeechFeatures];
  s.told_so[frame % kRecent] = Told(frame, told);
  if (s.told_so[frame % kRecent]) {
    Hear(told, features);
    for (int i = 0; i < kBarkBands; ++i) features[i] *= kToldContrast[i];
    s.rise_db[frame % kRecent] = s.told_rise_db;
    return;
  }
  Guess(frame, features);
  const int guessed = s.guessed++;
  s.rise_db[frame % kRecent] = s.told_rise_db + kDbPerC0 * GapAttenuation(guessed);
  if (Foreseen(frame) && frame >= s.foreseen_at) {
    std::copy_n(s.foreseen, kSpeechFeatures, features);
    return;
  }
  for (int i = 1; i < kBarkBands; ++i) features[i] *= kContrast;
  features[0] += kLevel + GapAttenuation(guessed);
}

/// Lets the predictor go through the gap once more, knowing what was told after the frames were made.
void NeuralPlc::HearLate() {
  State& s = state();
  s.told_late = false;
  std::memcpy(predictor_state(), predictor_begin(), predictor_->state_bytes());
  s.guessed = 0;
  for (int frame = 0; frame < s.frames; ++frame) {
    float told[kSpeechFeatures], unused[kSpeechFeatures];
    if (Told(frame, told)) {
      Hear(told, unused);
    } else {
      Guess(frame, unused);
      ++s.guessed;
    }
  }
}

/// What was told of a frame, as far as it is right. False: nothing was.
bool NeuralPlc::Told(int frame, float* features) const {
  const State& s = state();
  if (s.told_at[frame % kMaxTold] != frame) return false;
  std::copy_n(s.told[frame % kMaxTold], kSpeechFeatures, features);
  Correct(frame, features);
  return true;
}

void NeuralPlc::Guess(int frame, float* features) {
  const State& s = state();
  float inputs[PredictorNetwork::kInputs] = {};
  if (Foreseen(frame)) {
    std::copy_n(s.foreseen, kSpeechFeatures, inputs + PredictorNetwork::kForeseen);
    inputs[PredictorNetwork::kInputs - 1] = 1.f / static_cast<float>(std::max(s.foreseen_at - frame, 1));
  }
  predictor_->Step(predictor_path_, predictor_state(), inputs, features);
}

/// Takes off what is likely to be wrong with what was told of a frame, given what was wrong before the gap. (What is
/// foreseen behind it is no such measure: a decoder that has lost a packet is wrong itself, by 3 dB.)
void NeuralPlc::Correct(int frame, float* features) const {
  const State& s = state();
  if (!s.told_of_known || frame + 1 >= kMaxTold) return;
  for (int i = 0; i < kBarkBands; ++i) features[i] += likeness_[frame + 1] * s.wrong[i];
}

/// Features that were told: the predictor follows, for what comes behind them.
void NeuralPlc::Hear(const float* told, float* features) {
  float inputs[PredictorNetwork::kInputs] = {};
  std::copy_n(told, kSpeechFeatures, inputs + kBurgFeatures);
  inputs[PredictorNetwork::kKnown] = PredictorNetwork::kTold;
  predictor_->Step(predictor_path_, predictor_state(), inputs, features);
  std::copy_n(told, kSpeechFeatures, features);
  State& s = state();
  s.guessed = 0;
  s.told_rise_db = Limited(10.f * (TopBand(told) - s.top), kMinRiseDb, kMaxRiseDb);
}

void NeuralPlc::Tell(const float* features, int count, int64_t frame) {
  State& s = state();
  for (int i = 0; i < count; ++i, ++frame, features += kSpeechFeatures) {
    if (frame == -1) {
      for (int k = 0; k < kBarkBands; ++k) s.wrong[k] = Limited(s.known[k] - features[k], -kMaxWrong, kMaxWrong);
      s.told_of_known = true;
    }
    const bool late = frame < s.frames;
    if (frame < 0 || (late ? s.frames : frame - s.frames) >= kMaxTold) continue;
    const int place = static_cast<int>(frame % kMaxTold);
    if (late && s.told_at[place] >= frame) continue;
    s.told_late |= late;
    s.told_at[place] = static_cast<int>(frame);
    for (int k = 0; k < kSpeechFeatures; ++k) {
      s.told[place][k] = Limited(features[k], -kMaxFeature, kMaxFeature);
    }
  }
}

void NeuralPlc::Foresee(const float* samples, int hops, int gap) {
  State& s = state();
  std::memset(&s.analysis, 0, sizeof s.analysis);
  float features[kSpeechFeatures];
  for (int hop = 0; hop < hops; ++hop, samples += kSpeechHop) {
    analysis_.Advance(samples, &s.analysis, features);
    if (hop + 1 == kMinForeseen) std::copy_n(features, kBarkBands, s.foreseen);
  }
  std::copy_n(features + kBarkBands, kSpeechFeatures - kBarkBands, s.foreseen + kBarkBands);  // the longer, the surer
  s.foreseen_at = gap + 1;
}

void NeuralPlc::MakeFrame(float* samples) {
  float features[kSpeechFeatures];
  State& s = state();
  if (s.frames == 0) {  // the last that was heard ends at features that reach into the gap
    Predict(features);
    vocoder_->Follow(vocoder_path_, vocoder_state(), features, s.last);
  }
  for (++s.early; s.early > 0; --s.early) {  // what comes out first lies before the gap
    Predict(features);
    vocoder_->Synthesise(vocoder_path_, vocoder_state(), features, samples);
  }
  LimitFrame(samples);
}

/// Logarithm of the energy of the highest band, in tens of decibels.
float NeuralPlc::TopBand(const float* features) const {
  float sum = 0.f;
  for (int i = 0; i < kBarkBands; ++i) sum += features[i] * analysis_.bark().dct(i, kBarkBands - 1);
  return sum;
}

/// No frame that is guessed is more than 3 dB louder than the loudest before the gap, or of what was told.
void NeuralPlc::LimitFrame(float* samples) {
  State& s = state();
  const float energy = Energy(samples, kSpeechHop);
  if (s.told_so[Playing()]) s.loudest = std::max(s.loudest, energy);
  const float allowed = kMaxRise * s.loudest;
  const float limit = energy > allowed ? std::sqrt(allowed / energy) : 1.f;
  const float from = std::min(s.limit, limit);  // it falls at once, and rises slowly
  for (int i = 0; i < kSpeechHop && from < 1.f; ++i) {
    const float share = std::min(static_cast<float>(i + 1) / kRamp, 1.f);
    samples[i] *= from + share * (limit - from);
  }
  s.limit = limit;
}

}  // namespace vivavoce
