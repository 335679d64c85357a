// Floating-point modes hold for a call and no longer.
#include "denormals.h"

#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "noise.h"
#include "vivavoce.h"

namespace {

using vivavoce::FloatMode;
using vivavoce::GetFloatMode;
using vivavoce::SetFloatMode;

// Read anew each time, so that arithmetic happens at run time and in program order.
volatile float smallest_normal = std::numeric_limits<float>::min();
volatile float half = 0.5f;

float HalfOfSmallest() {
  volatile float product = smallest_normal * half;
  return product;
}

void TestSubnormalsAreFlushedInsideAlone() {
  if (vivavoce::kRealTimeMode == 0) return;  // a processor whose modes we do not know
  VV_CHECK(HalfOfSmallest() > 0.f, "the process flushes subnormals");
  {
    const vivavoce::FlushDenormals modes;
    VV_CHECK(HalfOfSmallest() == 0.f, "not flushed");
  }
  VV_CHECK(HalfOfSmallest() > 0.f, "not restored");
}

/// Each way in which a caller may have set the processor comes back as it was, flags of past exceptions included.
void TestEveryCallRestores() {
  std::vector<FloatMode> modes = {GetFloatMode()};
#if defined(__SSE2__)
  modes = {0x1f80, 0x9fc0, 0x1f80 | 0x6000, 0x1f80 | 0x2000, 0x1fbf, 0x1f80 | 0x0040, 0x1f80 | 0x8000};
#elif defined(__aarch64__)
  modes = {0, FloatMode{1} << 24, FloatMode{3} << 22, FloatMode{1} << 22};
#endif
  const FloatMode before = GetFloatMode();
  std::vector<float> samples = Noise(320);
  std::vector<float> first(322);
  samples[7] = std::numeric_limits<float>::denorm_min();
  for (size_t i = 0; i < modes.size(); ++i) {
    std::vector<float> spectrum(322);
    std::vector<float> back(320);
    std::vector<float> window(320);
    SetFloatMode(modes[i]);
    vv_fft* fft = vv_fft_create(320);
    const FloatMode after_create = GetFloatMode();
    vv_fft_forward(fft, samples.data(), spectrum.data());
    const FloatMode after_forward = GetFloatMode();
    vv_fft_inverse(fft, spectrum.data(), back.data());
    const FloatMode after_inverse = GetFloatMode();
    vv_window_vorbis(320, window.data());
    vv_window_hann(320, window.data());
    const FloatMode after_windows = GetFloatMode();
    SetFloatMode(before);
    vv_fft_destroy(fft);
    VV_CHECK(after_create == modes[i], "create, mode %zu", i);
    VV_CHECK(after_forward == modes[i], "forward, mode %zu", i);
    VV_CHECK(after_inverse == modes[i], "inverse, mode %zu", i);
    VV_CHECK(after_windows == modes[i], "windows, mode %zu", i);
    if (i == 0) first = spectrum;
    VV_CHECK(first == spectrum, "mode %zu of the caller changed the result", i);
  }
}

}  // namespace

int main() {
  TestSubnormalsAreFlushedInsideAlone();
  TestEveryCallRestores();
  return Report();
}
