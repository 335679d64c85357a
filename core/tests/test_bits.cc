// The same input gives the same bits: hashes of what the core computes, equal for every compiler, processor and level
// of optimisation. A change of algorithm changes them; this program prints the new ones.
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "check.h"
#include "denormals.h"
#include "elementary.h"
#include "hash.h"
#include "image.h"
#include "model.h"
#include "noise.h"
#include "vivavoce.h"

namespace {

uint64_t HashOfTransforms() {
  uint64_t hash = Hash({});
  for (int size = 2; size <= VV_FFT_MAX_SIZE; size += 2) {
    vv_fft* fft = vv_fft_create(size);
    if (fft == nullptr) continue;
    std::vector<float> samples = Noise(size);
    std::vector<float> spectrum(static_cast<size_t>(size) + 2);
    vv_fft_forward(fft, samples.data(), spectrum.data());
    vv_fft_inverse(fft, spectrum.data(), samples.data());
    vv_fft_destroy(fft);
    hash = Hash(samples, Hash(spectrum, hash));
  }
  return hash;
}

uint64_t HashOfWindows() {
  uint64_t hash = Hash({});
  for (int size = 2; size <= 2048; size += 2) {
    std::vector<float> window(static_cast<size_t>(size));
    vv_window_vorbis(size, window.data());
    hash = Hash(window, hash);
    vv_window_hann(size, window.data());
    hash = Hash(window, hash);
  }
  return hash;
}

/// Every 4099th float, without those that are NaN and without subnormals, which processors may flush.
uint64_t HashOf(void (*function)(const float*, float*, size_t), bool positive) {
  std::vector<float> values;
  for (uint32_t bits = 0x00800000; bits <= 0x7f800000; bits += 4099) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    values.push_back(value);
    if (!positive) values.push_back(-value);
  }
  function(values.data(), values.data(), values.size());
  return Hash(values);
}

/// A network of all kinds of layers, with the path that is the fastest on this processor.
uint64_t HashOfNetwork() {
  Image image = RandomImage(32, 48, 64, 16, 3);
  vv_model* model = vv_model_from_memory(image.data(), image.size(), nullptr);
  if (model == nullptr) return 0;
  std::vector<float> state(model->percepnet.state_bytes() / sizeof(float));
  uint64_t hash = Hash({});
  const vivavoce::FlushDenormals modes;
  for (uint32_t frame = 0; frame < 100; ++frame) {
    std::vector<float> outputs(69);
    model->percepnet.Step(model->path, state.data(), Noise(70, frame).data(), outputs.data(), &outputs[34],
                          &outputs[68]);
    hash = Hash(outputs, hash);
  }
  vv_model_destroy(model);
  return hash;
}

void Expect(const char* what, uint64_t hash, uint64_t expected) {
  VV_CHECK(hash == expected, "hash of %s is 0x%016llxu", what, static_cast<unsigned long long>(hash));
}

}  // namespace

int main() {
  if (!ProcessorHasLevel()) return 77;
  using vivavoce::Exp;
  using vivavoce::Log;
  using vivavoce::Tanh;
  Expect("transforms", HashOfTransforms(), 0x7a1aaf3172f0fbf3u);
  Expect("windows", HashOfWindows(), 0xaf7bb677b98507adu);
  Expect("exp", HashOf(Exp, false), 0x4d0e6811f6430112u);
  Expect("log", HashOf(Log, true), 0xaf6181756f7cc0ecu);
  Expect("tanh", HashOf(Tanh, false), 0xa0f494901abeb529u);
  Expect("network", HashOfNetwork(), 0x157f24d4d879cb4au);
  return Report();
}
