// The public functions as a C program uses them: refused arguments, ownership, overlap, threads.
#include "vivavoce.h"

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <thread>
#include <vector>

#include "check.h"
#include "noise.h"

namespace {

void TestVersions() {
  VV_CHECK(vv_abi_version() == VV_ABI_VERSION, "library %d, header %d", vv_abi_version(), VV_ABI_VERSION);
  VV_CHECK(std::strchr(vv_version(), '.') != nullptr, "version is %s", vv_version());
}

void TestRefusedSizes() {
  for (const int size : {-2147483647 - 1, -512, -2, -1, 0, 1, 3, 7, 14, 15, 22, 513, 4095, 4098, 8192, 2147483647}) {
    VV_CHECK(vv_fft_create(size) == nullptr, "size %d", size);
  }
  for (const int size : {2, 4, 6, 10, 30, 512, 960, 3750, 4096}) {
    vv_fft* fft = vv_fft_create(size);
    VV_CHECK(fft != nullptr && vv_fft_size(fft) == size, "size %d", size);
    vv_fft_destroy(fft);
  }
}

void TestRefusedArguments() {
  vv_fft* fft = vv_fft_create(4);
  float data[6] = {1, 2, 3, 4, 5, 6};
  VV_CHECK(vv_fft_forward(nullptr, data, data) == VV_ERROR_ARGUMENT, "no plan");
  VV_CHECK(vv_fft_forward(fft, nullptr, data) == VV_ERROR_ARGUMENT, "no samples");
  VV_CHECK(vv_fft_forward(fft, data, nullptr) == VV_ERROR_ARGUMENT, "no spectrum");
  VV_CHECK(vv_fft_inverse(nullptr, data, data) == VV_ERROR_ARGUMENT, "no plan");
  VV_CHECK(vv_fft_inverse(fft, nullptr, data) == VV_ERROR_ARGUMENT, "no spectrum");
  VV_CHECK(vv_fft_inverse(fft, data, nullptr) == VV_ERROR_ARGUMENT, "no samples");
  for (const int size : {-2, 0, 1, 3}) {
    VV_CHECK(vv_window_vorbis(size, data) == VV_ERROR_ARGUMENT, "vorbis, size %d", size);
  }
  VV_CHECK(vv_window_hann(0, data) == VV_ERROR_ARGUMENT, "hann, size 0");
  VV_CHECK(vv_window_hann(4, nullptr) == VV_ERROR_ARGUMENT, "hann, no array");
  for (int i = 0; i < 6; ++i) VV_CHECK(data[i] == static_cast<float>(i + 1), "an error wrote to element %d", i);
  VV_CHECK(vv_fft_size(nullptr) == 0, "size of NULL");
  vv_fft_destroy(fft);
  vv_fft_destroy(nullptr);
}

/// Input and output may be the same array, and nothing beyond either is touched.
void TestInPlace() {
  for (const int size : {2, 6, 30, 320, 450, 4096}) {
    vv_fft* fft = vv_fft_create(size);
    const std::vector<float> noise = Noise(size);
    const size_t bins = static_cast<size_t>(size) + 2;
    std::vector<float> apart(bins);
    std::vector<float> shared(noise);
    shared.resize(bins + 1, 0.f);
    shared[bins] = 77.f;
    vv_fft_forward(fft, noise.data(), apart.data());
    vv_fft_forward(fft, shared.data(), shared.data());
    VV_CHECK(std::memcmp(apart.data(), shared.data(), bins * sizeof(float)) == 0, "size %d", size);
    shared[static_cast<size_t>(size)] = apart[static_cast<size_t>(size)];
    vv_fft_inverse(fft, shared.data(), shared.data());
    float error = 0.f;
    for (size_t i = 0; i < noise.size(); ++i) error = std::fmax(error, std::fabs(shared[i] - noise[i]));
    VV_CHECK(error < 1e-6f, "round trip of size %d is off by %g", size, error);
    VV_CHECK(shared[bins] == 77.f, "size %d wrote past its end", size);
    vv_fft_destroy(fft);
  }
}

/// One plan, used by several threads at once.
void TestThreadsShareAPlan() {
  vv_fft* fft = vv_fft_create(960);
  bool equal[4] = {};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([fft, i, &equal] {
      const std::vector<float> noise = Noise(960, static_cast<uint32_t>(i));
      std::vector<float> first(962), again(962);
      vv_fft_forward(fft, noise.data(), first.data());
      equal[i] = true;
      for (int turn = 0; turn < 2000; ++turn) {
        vv_fft_forward(fft, noise.data(), again.data());
        equal[i] = equal[i] && first == again;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 4; ++i) VV_CHECK(equal[i], "thread %d", i);
  vv_fft_destroy(fft);
}

}  // namespace

int main() {
  TestVersions();
  TestRefusedSizes();
  TestRefusedArguments();
  TestInPlace();
  TestThreadsShareAPlan();
  return Report();
}
