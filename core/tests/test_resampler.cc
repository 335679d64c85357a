// The resampler as a C program uses it: counts, blocks, delay, copies, hostile input, and the same bits on every
// processor. How well it filters is measured in tests/core/test_resampler.py.
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <numeric>
#include <vector>

#include "check.h"
#include "hash.h"
#include "noise.h"
#include "vivavoce.h"

namespace {

constexpr int kRates[] = {8000, 16000, 24000, 32000, 44100, 48000, 88200, 96000, 192000};

/// Everything in blocks of `block` samples.
std::vector<float> Resample(vv_resampler* resampler, const std::vector<float>& samples, int block) {
  std::vector<float> result;
  const int count = static_cast<int>(samples.size());
  for (int start = 0; start < count; start += block) {
    const int taken = count - start < block ? count - start : block;
    const int due = vv_resampler_output_count(resampler, taken);
    const size_t before = result.size();
    result.resize(before + static_cast<size_t>(due) + 1, 77.f);
    const int written = vv_resampler_process(resampler, samples.data() + start, taken, result.data() + before, due);
    VV_CHECK(written == due, "%d samples written, %d announced", written, due);
    VV_CHECK(result.back() == 77.f, "a call wrote past its end");
    result.pop_back();
  }
  return result;
}

std::vector<float> Resample(int from_rate, int to_rate, const std::vector<float>& samples) {
  vv_resampler* resampler = vv_resampler_create(from_rate, to_rate, 0);
  const std::vector<float> result = Resample(resampler, samples, 1000);
  vv_resampler_destroy(resampler);
  return result;
}

void TestRefusedArguments() {
  struct Case {
    int from_rate, to_rate, extra_ticks;
  };
  for (const Case& c : {Case{0, 16000, 0}, {16000, 0, 0}, {-8000, 16000, 0}, {16000, 48000, -1}, {16000, 48000, 641},
                        {641, 640, 0}, {640, 641, 0}, {8000, 11025 * 2 + 1, 0}, {INT_MAX, 48000, 0}, {1, 641, 0}}) {
    VV_CHECK(vv_resampler_create(c.from_rate, c.to_rate, c.extra_ticks) == nullptr, "%d to %d and %d", c.from_rate,
             c.to_rate, c.extra_ticks);
  }
  for (const Case& c : {Case{1, 640, 640}, {640, 1, 640}, {639, 640, 0}, {INT_MAX, INT_MAX, 7}, {11025, 48000, 0}}) {
    vv_resampler* resampler = vv_resampler_create(c.from_rate, c.to_rate, c.extra_ticks);
    VV_CHECK(resampler != nullptr, "%d to %d and %d", c.from_rate, c.to_rate, c.extra_ticks);
    vv_resampler_destroy(resampler);
  }
  vv_resampler_destroy(nullptr);
}

/// An error leaves the stream and the output alone.
void TestErrorsConsumeNothing() {
  vv_resampler* resampler = vv_resampler_create(16000, 48000, 0);
  const std::vector<float> noise = Noise(100);
  float out[300];
  for (float& value : out) value = 77.f;
  VV_CHECK(vv_resampler_process(resampler, noise.data(), 100, out, 299) == VV_ERROR_ARGUMENT, "no room");
  VV_CHECK(vv_resampler_process(resampler, noise.data(), -1, out, 300) == VV_ERROR_ARGUMENT, "a negative count");
  VV_CHECK(vv_resampler_process(resampler, nullptr, 100, out, 300) == VV_ERROR_ARGUMENT, "no input");
  VV_CHECK(vv_resampler_process(resampler, noise.data(), 100, nullptr, 300) == VV_ERROR_ARGUMENT, "no output");
  VV_CHECK(vv_resampler_process(resampler, noise.data(), INT_MAX, out, INT_MAX) == VV_ERROR_ARGUMENT, "too many");
  VV_CHECK(vv_resampler_process(nullptr, noise.data(), 100, out, 300) == VV_ERROR_ARGUMENT, "no resampler");
  VV_CHECK(vv_resampler_output_count(resampler, INT_MAX) == VV_ERROR_ARGUMENT, "too many");
  VV_CHECK(vv_resampler_output_count(nullptr, 1) == VV_ERROR_ARGUMENT, "no resampler");
  VV_CHECK(vv_resampler_reset(nullptr) == VV_ERROR_ARGUMENT, "no resampler");
  VV_CHECK(vv_resampler_delay(nullptr) == 0, "no resampler");
  for (const float value : out) VV_CHECK(value == 77.f, "an error wrote");
  VV_CHECK(vv_resampler_process(resampler, nullptr, 0, nullptr, 0) == 0, "nothing is a block too");
  VV_CHECK(Resample(resampler, noise, 100) == Resample(16000, 48000, noise), "an error changed the stream");
  vv_resampler_destroy(resampler);
}

void TestCountsAndBlocks() {
  const std::vector<float> noise = Noise(5000);
  for (const int from_rate : kRates) {
    for (const int to_rate : kRates) {
      const std::vector<float> whole = Resample(from_rate, to_rate, noise);
      const int64_t due = (int64_t{5000} * to_rate + from_rate - 1) / from_rate;
      VV_CHECK(static_cast<int64_t>(whole.size()) == due, "%zu, from %d to %d", whole.size(), from_rate, to_rate);
      vv_resampler* resampler = vv_resampler_create(from_rate, to_rate, 0);
      for (const int block : {1, 7, 160, 255, 256, 257, 441, 4801}) {
        vv_resampler_reset(resampler);
        VV_CHECK(Resample(resampler, noise, block) == whole, "blocks of %d from %d to %d", block, from_rate, to_rate);
      }
      vv_resampler_destroy(resampler);
    }
  }
}

/// Output m is at m from_rate / gcd ticks. Around an impulse at tick 0 it is symmetric about the delay.
void TestDelay() {
  for (const int extra_ticks : {0, 1, 2, 5, 146, 640}) {
    for (const int to_rate : kRates) {
      if (to_rate == 48000) continue;
      vv_resampler* resampler = vv_resampler_create(48000, to_rate, extra_ticks);
      const int common = std::gcd(48000, to_rate);
      const int lower = to_rate < 48000 ? to_rate : 48000;
      const int delay = vv_resampler_delay(resampler);
      VV_CHECK(delay == 24 * (48000 / common * (to_rate / common) / (lower / common)) + extra_ticks, "delay %d", delay);
      std::vector<float> impulse(2000, 0.f);
      impulse[0] = 1.f;
      const std::vector<float> response = Resample(resampler, impulse, 1000);
      double sum = 0., moment = 0.;
      for (size_t m = 0; m < response.size(); ++m) {
        sum += response[m];
        moment += response[m] * (static_cast<double>(m) * (48000 / common));
      }
      // The centre of gravity of some of the filter's taps: exact up to what the stop band lets through.
      VV_CHECK(std::fabs(moment / sum - delay) < 0.01 * (48000 / common), "centre %g, delay %d, to %d", moment / sum,
               delay, to_rate);
      vv_resampler_destroy(resampler);
    }
  }
}

void TestCopy() {
  const std::vector<float> noise = Noise(1001), rest = Noise(777, 2);
  vv_resampler* first = vv_resampler_create(44100, 16000, 3);
  vv_resampler* second = vv_resampler_create(44100, 16000, 3);
  vv_resampler* other = vv_resampler_create(44100, 16000, 4);
  Resample(first, noise, 1001);
  Resample(second, rest, 13);
  VV_CHECK(vv_resampler_copy(second, first) == VV_OK, "a copy");
  VV_CHECK(Resample(first, rest, 50) == Resample(second, rest, 51), "the copy goes on otherwise");
  VV_CHECK(vv_resampler_copy(other, first) == VV_ERROR_ARGUMENT, "another delay");
  VV_CHECK(vv_resampler_copy(nullptr, first) == VV_ERROR_ARGUMENT, "no target");
  VV_CHECK(vv_resampler_copy(other, nullptr) == VV_ERROR_ARGUMENT, "no source");
  for (vv_resampler* resampler : {first, second, other}) vv_resampler_destroy(resampler);
}

/// What is no number counts as 0, so it never spreads; output is finite for any input.
void TestHostileInput() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> zeros = Noise(2000);
  std::vector<float> hostile = zeros;
  const float faults[] = {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity, 3e38f, -1.1e30f};
  for (size_t i = 0; i < 2000; i += 37) {
    hostile[i] = faults[i / 37 % 5];
    zeros[i] = 0.f;
  }
  for (const int to_rate : {8000, 44100, 48000, 192000}) {
    VV_CHECK(Resample(48000, to_rate, hostile) == Resample(48000, to_rate, zeros), "to %d", to_rate);
    for (const float value : Resample(48000, to_rate, std::vector<float>(1000, 1e30f))) {
      VV_CHECK(std::fabs(value) < 2e30f, "%g to %d", static_cast<double>(value), to_rate);
    }
  }
}

void TestEqualRates() {
  const std::vector<float> noise = Noise(600);
  VV_CHECK(Resample(16000, 16000, noise) == noise, "equal rates change the samples");
  vv_resampler* resampler = vv_resampler_create(16000, 16000, 9);
  std::vector<float> later(9, 0.f);
  later.insert(later.end(), noise.begin(), noise.end() - 9);
  VV_CHECK(Resample(resampler, noise, 100) == later, "equal rates and a delay");
  vv_resampler_destroy(resampler);
}

void TestSameBits() {
  uint64_t hash = Hash({});
  for (const int from_rate : kRates) {
    for (const int to_rate : kRates) hash = Hash(Resample(from_rate, to_rate, Noise(2000)), hash);
  }
  VV_CHECK(hash == 0xf812a21692402f3fu, "hash is 0x%016llxu", static_cast<unsigned long long>(hash));
}

}  // namespace

int main() {
  if (!ProcessorHasLevel()) return 77;
  TestRefusedArguments();
  TestErrorsConsumeNothing();
  TestCountsAndBlocks();
  TestDelay();
  TestCopy();
  TestHostileInput();
  TestEqualRates();
  TestSameBits();
  return Report();
}
