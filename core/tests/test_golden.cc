// The core against the NumPy reference.
#include <cmath>
#include <vector>

#include "check.h"
#include "golden.h"
#include "noise.h"
#include "vivavoce.h"

namespace {

double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
  return std::sqrt(sum);
}

double Norm(const std::vector<float>& a) { return Distance(a, std::vector<float>(a.size())); }

void TestTransforms() {
  for (const auto& golden : vivavoce::testing::kGoldenTransforms) {
    const std::vector<float> noise = Noise(golden.size);
    std::vector<float> spectrum(golden.spectrum.size());
    std::vector<float> back(noise.size());
    vv_fft* fft = vv_fft_create(golden.size);
    vv_fft_forward(fft, noise.data(), spectrum.data());
    vv_fft_inverse(fft, golden.spectrum.data(), back.data());
    vv_fft_destroy(fft);
    const double forward = Distance(spectrum, golden.spectrum) / Norm(golden.spectrum);
    const double inverse = Distance(back, noise) / Norm(noise);
    VV_CHECK(forward < 1e-6, "size %d, forward: error %.3g", golden.size, forward);
    VV_CHECK(inverse < 1e-6, "size %d, inverse: error %.3g", golden.size, inverse);
  }
}

void TestWindows() {
  for (const auto& golden : vivavoce::testing::kGoldenWindows) {
    std::vector<float> window(golden.vorbis.size());
    vv_window_vorbis(golden.size, window.data());
    VV_CHECK(Distance(window, golden.vorbis) < 1e-7, "vorbis, size %d", golden.size);
    vv_window_hann(golden.size, window.data());
    VV_CHECK(Distance(window, golden.hann) < 1e-7, "hann, size %d", golden.size);
  }
}

}  // namespace

int main() {
  TestTransforms();
  TestWindows();
  return Report();
}
