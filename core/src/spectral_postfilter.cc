#include "spectral_postfilter.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "elementary.h"
#include "sane.h"
#include "simd.h"
#include "window.h"

namespace vivavoce {
namespace {

constexpr float kPowerFloor = 1e-7f;
constexpr float kPowerCentre = -2.f, kPowerSpan = 5.f;  // decades
constexpr float kLn10 = 2.30258509f;
constexpr float kMaxLogGain = 2.f;
constexpr float kLargestFeature = 100.f;

/// Of the logarithm of a gain, by how many of a window's frames were made: the filter fades in where a gap begins.
constexpr float kShare[] = {0.f, 0.f, .5f, 1.f};

}  // namespace

SpectralPostfilter::SpectralPostfilter() : fft_(kWindow) {
  HannWindow(kWindow, window_);
  for (float& w : window_) w = std::sqrt(w * (2.f / 3.f));
}

bool SpectralPostfilter::Bind(const ModelImage& image, uint32_t first, int width, StateLayout* all) {
  enum Tensor : uint32_t { kEmbeddingTable, kFeatures, kSpectrum, kHidden, kGains = kHidden + kLayers - 1, kCount };
  static_assert(kCount == kTensors, "as many are told to the vocoder");
  constexpr int kPeriods = WideBandSearch::kMaxPeriod - WideBandSearch::kMinPeriod + 1;
  if (fft_.size() == 0 || !image.Get(first + kEmbeddingTable, kEmbedding, kPeriods, &embedding_) ||
      !image.Get(first + kFeatures, width, kTold, &features_) ||
      !image.Get(first + kSpectrum, width, kBins, &spectrum_) ||
      !image.Get(first + kGains, kBins, kLayers * width, &gains_)) {
    return false;
  }
  for (uint32_t i = 0; i < kLayers - 1; ++i) {
    if (!image.Get(first + kHidden + i, width, width, &hidden_[i])) return false;
  }
  const int widest = std::max(width, kBins);
  layout_.memory = all->Place(1, sizeof(Memory));
  layout_.hidden = all->Place(kLayers * width, 1);
  layout_.bins = all->Place(kBins, 1);
  layout_.sums = all->Place(widest, sizeof(int32_t));
  layout_.outputs = all->Place(2 * widest, sizeof(float));
  width_ = width;
  return true;
}

void SpectralPostfilter::Feed(void* state, const float* features, int period) const {
  Memory* const memory = At<Memory>(state, layout_.memory);
  std::memmove(memory->features, memory->features[1], (kSeen - 1) * sizeof *memory->features);
  std::memmove(memory->periods, memory->periods + 1, (kSeen - 1) * sizeof *memory->periods);
  std::copy_n(features, kSpeechFeatures, memory->features[kSeen - 1]);
  memory->periods[kSeen - 1] = period;
}

void SpectralPostfilter::Push(Memory* memory, const float* samples, bool made) {
  constexpr int kKept = kWindow - kSpeechHop;
  std::memmove(memory->samples, memory->samples + kSpeechHop, kKept * sizeof(float));
  for (int i = 0; i < kSpeechHop; i += kLanes) Store(memory->samples + kKept + i, Sane(Load<F32x4>(samples + i)));
  std::memmove(memory->sums, memory->sums + kSpeechHop, kKept * sizeof(float));
  std::fill_n(memory->sums + kKept, kSpeechHop, 0.f);
  memory->made = (memory->made << 1 | (made ? 1 : 0)) & ((1 << (kDelay + 1)) - 1);
}

void SpectralPostfilter::Hear(void* state, const float* samples) const {
  Memory* const memory = At<Memory>(state, layout_.memory);
  Push(memory, samples, false);
  for (int i = 0; i < kWindow; ++i) memory->sums[i] += window_[i] * window_[i] * memory->samples[i];
}

void SpectralPostfilter::Process(Int8Path path, void* state, float* samples) const {
  Memory* const memory = At<Memory>(state, layout_.memory);
  Push(memory, samples, true);
  int made = 0;
  for (int bits = memory->made; bits != 0; bits >>= 1) made += bits & 1;
  float windowed[kWindow], spectrum[2 * (kBins + 1)], gains[kBins + 1];
  for (int i = 0; i < kWindow; ++i) windowed[i] = window_[i] * memory->samples[i];
  if (kShare[made] > 0.f) {
    fft_.Forward(windowed, spectrum);
    Gains(path, state, spectrum, kShare[made], gains);
    gains[kBins] = gains[kBins - 1];
    for (int bin = 0; bin <= kBins; ++bin) {
      spectrum[2 * bin] *= gains[bin];
      spectrum[2 * bin + 1] *= gains[bin];
    }
    fft_.Inverse(spectrum, windowed);
  }
  for (int i = 0; i < kWindow; ++i) memory->sums[i] += window_[i] * windowed[i];
  for (int i = 0; i < kSpeechHop; ++i) samples[i] = Limited(memory->sums[i], -1.f, 1.f);
}

void SpectralPostfilter::Gains(Int8Path path, void* state, const float* spectrum, float share, float* gains) const {
  const Memory& memory = *At<Memory>(state, layout_.memory);
  int8_t* const hidden = At<int8_t>(state, layout_.hidden);
  int8_t* const bins = At<int8_t>(state, layout_.bins);
  int32_t* const sums = At<int32_t>(state, layout_.sums);
  float* const outputs = At<float>(state, layout_.outputs);
  float* const of_features = outputs + std::max(width_, kBins);

  float told[kTold];
  float* place = told;
  for (const float(&frame)[kSpeechFeatures] : memory.features) place = std::copy_n(frame, kSpeechFeatures, place);
  for (int i = kFirstPitch; i < kFirstPitch + kPitches; ++i) {
    for (int row = 0; row < kEmbedding; row += kStripRows, place += kStripRows) {
      const float* const column =
          embedding_.weights + row * embedding_.columns + memory.periods[i] * kStripRows;
      std::copy_n(column, kStripRows, place);
    }
  }
  for (float& x : told) x = Limited(x, -kLargestFeature, kLargestFeature);
  features_.Apply(told, of_features);

  float power[kBins];
  for (int bin = 0; bin < kBins; ++bin) {
    power[bin] = kPowerFloor + spectrum[2 * bin] * spectrum[2 * bin] + spectrum[2 * bin + 1] * spectrum[2 * bin + 1];
  }
  Log(power, power, kBins);
  for (float& x : power) x = (x / kLn10 - kPowerCentre) / kPowerSpan;
  Quantise(power, bins, kBins);
  spectrum_.Apply(path, bins, sums, outputs);
  for (int i = 0; i < width_; i += kLanes) {
    Store(outputs + i, Load<F32x4>(outputs + i) + Load<F32x4>(of_features + i));
  }
  for (int layer = 0;; ++layer) {
    Tanh(outputs, outputs, static_cast<size_t>(width_));
    Quantise(outputs, hidden + layer * width_, width_);
    if (layer == kLayers - 1) break;
    hidden_[layer].Apply(path, hidden + layer * width_, sums, outputs);
  }
  gains_.Apply(path, hidden, sums, outputs);
  Tanh(outputs, outputs, kBins);
  for (int bin = 0; bin < kBins; bin += kLanes) {
    Store(gains + bin, Exp((kMaxLogGain * share) * Load<F32x4>(outputs + bin)));
  }
}

}  // namespace vivavoce
