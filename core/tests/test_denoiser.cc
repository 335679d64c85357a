// The denoiser as a C program uses it: refused arguments, delay, settings, copies, hostile input, no allocation, and
// the same bits on every processor. That it computes what the reference does is tested in Python.
#include "denoiser.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <vector>

#include "check.h"
#include "hash.h"
#include "image.h"
#include "model.h"
#include "vivavoce.h"

namespace {

int allocations = 0;

}  // namespace

void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void* operator new(size_t size) {
  ++allocations;
  void* const memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace {

constexpr size_t kFrame = VV_DENOISER_FRAME_SIZE;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// A model, the bytes that it views, and the streams of a test.
class Fixture {
 public:
  explicit Fixture(uint32_t lookahead = 2) : image_(RandomImage(16, 32, 48, 16, 4)) {
    image_.header()->lookahead_frames = lookahead;
    image_.Seal();
    model_ = vv_model_from_memory(image_.data(), image_.size(), nullptr);
  }
  ~Fixture() {
    for (vv_denoiser* stream : streams_) vv_denoiser_destroy(stream);
    vv_model_destroy(model_);
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  vv_denoiser* Stream() {
    streams_.push_back(vv_denoiser_create(model_));
    return streams_.back();
  }
  vv_model* model() { return model_; }

 private:
  Image image_;
  vv_model* model_;
  std::vector<vv_denoiser*> streams_;
};

/// Something that has a pitch, pauses and noise; whole frames.
std::vector<float> Signal(int frames, uint32_t seed = 1) {
  std::vector<float> signal = Noise(frames * static_cast<int>(kFrame), seed);
  for (size_t i = 0; i < signal.size(); ++i) {
    const bool voice = i / 14400 % 2 == 0;
    signal[i] = 0.02f * signal[i] + (voice ? 0.2f * (static_cast<float>(i % 317) / 317.f - 0.5f) : 0.f);
  }
  return signal;
}

/// All of a signal in place, which gives what two arrays give.
std::vector<float> Process(vv_denoiser* stream, std::vector<float> signal) {
  for (size_t at = 0; at < signal.size(); at += kFrame) {
    vv_denoiser_process(stream, &signal[at], &signal[at], nullptr);
  }
  return signal;
}

std::vector<float> Delayed(const std::vector<float>& signal, int delay) {
  std::vector<float> delayed(static_cast<size_t>(delay), 0.f);
  delayed.insert(delayed.end(), signal.begin(), signal.end() - delay);
  return delayed;
}

void TestRefusedArguments() {
  Fixture fixture;
  Fixture far_sighted(3);
  vv_denoiser* stream = fixture.Stream();
  float frame[kFrame] = {};
  vv_denoiser_report report;
  VV_CHECK(vv_denoiser_create(nullptr) == nullptr, "no model");
  VV_CHECK(far_sighted.model() != nullptr && far_sighted.Stream() == nullptr, "3 frames of look-ahead");
  VV_CHECK(vv_denoiser_process(nullptr, frame, frame, nullptr) == VV_ERROR_ARGUMENT, "no stream");
  VV_CHECK(vv_denoiser_process(stream, nullptr, frame, nullptr) == VV_ERROR_ARGUMENT, "no input");
  VV_CHECK(vv_denoiser_process(stream, frame, nullptr, nullptr) == VV_ERROR_ARGUMENT, "no output");
  for (const float limit : {-1.f, -kInfinity, std::nanf("")}) {
    VV_CHECK(vv_denoiser_set_attenuation_limit(stream, limit) == VV_ERROR_ARGUMENT, "a limit");
  }
  VV_CHECK(vv_denoiser_set_attenuation_limit(nullptr, 0.f) == VV_ERROR_ARGUMENT, "no stream");
  VV_CHECK(vv_denoiser_set_enabled(nullptr, 1) == VV_ERROR_ARGUMENT, "no stream");
  VV_CHECK(vv_denoiser_reset(nullptr) == VV_ERROR_ARGUMENT, "no stream");
  VV_CHECK(vv_denoiser_copy(stream, nullptr) == VV_ERROR_ARGUMENT, "no source");
  VV_CHECK(vv_denoiser_copy(nullptr, stream) == VV_ERROR_ARGUMENT, "no target");
  Fixture other;
  VV_CHECK(vv_denoiser_copy(stream, other.Stream()) == VV_ERROR_ARGUMENT, "a stream of another model");
  VV_CHECK(vv_denoiser_get_report(stream, nullptr) == VV_ERROR_ARGUMENT, "no report");
  VV_CHECK(vv_denoiser_get_report(nullptr, &report) == VV_ERROR_ARGUMENT, "no stream");
  VV_CHECK(vv_denoiser_delay(nullptr) == 0, "no stream");
}

void TestDelayIsExact() {
  const std::vector<float> signal = Signal(40);
  for (const uint32_t lookahead : {0u, 1u, 2u}) {
    Fixture fixture(lookahead);
    vv_denoiser* limited = fixture.Stream();
    vv_denoiser* disabled = fixture.Stream();
    const int delay = vv_denoiser_delay(limited);
    VV_CHECK(delay == 480 * (1 + static_cast<int>(lookahead)), "delay %d", delay);
    vv_denoiser_set_attenuation_limit(limited, 0.f);
    vv_denoiser_set_enabled(disabled, 0);
    VV_CHECK(Process(limited, signal) == Delayed(signal, delay), "a limit of 0 dB, look-ahead %u", lookahead);
    VV_CHECK(Process(disabled, signal) == Delayed(signal, delay), "disabled, look-ahead %u", lookahead);
  }
}

void TestLimitMixesDryAndWet() {
  Fixture fixture;
  const std::vector<float> signal = Signal(40);
  const std::vector<float> wet = Process(fixture.Stream(), signal);
  const std::vector<float> dry = Delayed(signal, 1440);
  vv_denoiser* limited = fixture.Stream();
  vv_denoiser_set_attenuation_limit(limited, 20.f);
  const std::vector<float> mixed = Process(limited, signal);
  for (size_t i = 0; i < signal.size(); ++i) {
    const float want = 0.1f * dry[i] + 0.9f * wet[i];
    VV_CHECK(std::fabs(mixed[i] - want) < 1e-6f, "%g at %zu", static_cast<double>(mixed[i] - want), i);
  }
}

void TestCopyAndReset() {
  Fixture fixture;
  vv_denoiser* first = fixture.Stream();
  vv_denoiser* second = fixture.Stream();
  const std::vector<float> fresh = Process(first, Signal(30));
  Process(second, Signal(7, 5));
  vv_denoiser_set_attenuation_limit(first, 12.f);
  VV_CHECK(vv_denoiser_copy(second, first) == VV_OK, "a copy");
  VV_CHECK(Process(first, Signal(30, 2)) == Process(second, Signal(30, 2)), "the copy goes on otherwise");
  vv_denoiser_reset(first);
  vv_denoiser_set_attenuation_limit(first, kInfinity);
  vv_denoiser_reset(first);
  VV_CHECK(Process(first, Signal(30)) == fresh, "a stream that was reset is another than a new one");
}

/// What is no number counts as 0; a gain of 10^38 is limited; nothing of either stays.
void TestHostileInput() {
  Fixture fixture;
  std::vector<float> hostile = Signal(60), zeros = hostile;
  const float faults[] = {std::nanf(""), kInfinity, -kInfinity, 3e38f, -3e38f, 5.f};
  const float taken_for[] = {0.f, 0.f, 0.f, 4.f, -4.f, 4.f};
  for (size_t i = 3000; i < 9000; i += 37) {
    hostile[i] = faults[i / 37 % 6];
    zeros[i] = taken_for[i / 37 % 6];
  }
  const std::vector<float> output = Process(fixture.Stream(), hostile);
  VV_CHECK(output == Process(fixture.Stream(), zeros), "faults count otherwise");
  for (const float value : output) VV_CHECK(std::fabs(value) < 20.f, "%g", static_cast<double>(value));
}

/// After 10 s of silence nothing is left, not even a subnormal number.
void TestSilenceIsSilent() {
  Fixture fixture;
  vv_denoiser* stream = fixture.Stream();
  Process(stream, Signal(50));
  const std::vector<float> silence = Process(stream, std::vector<float>(1000 * kFrame, 0.f));
  for (size_t i = 20 * kFrame; i < silence.size(); ++i) {
    VV_CHECK(silence[i] == 0.f, "%g after %zu samples", static_cast<double>(silence[i]), i);
  }
}

void TestTogglingIsContinuous() {
  Fixture fixture;
  vv_denoiser* stream = fixture.Stream();
  vv_denoiser* always = fixture.Stream();
  const std::vector<float> signal = Signal(60);
  const std::vector<float> wet = Process(always, signal), dry = Delayed(signal, 1440);
  for (size_t at = 0; at < signal.size(); at += kFrame) {
    const size_t frame = at / kFrame;
    vv_denoiser_set_enabled(stream, frame / 10 % 2 == 0);
    float out[kFrame];
    vv_denoiser_process(stream, &signal[at], out, nullptr);
    const bool fades = frame >= 10 && frame % 10 == 0;
    for (size_t i = 0; i < kFrame; ++i) {
      const bool enabled = frame / 10 % 2 == 0;
      const float risen = static_cast<float>(i + 1) / kFrame;
      const float share = fades ? (enabled ? risen : 1.f - risen) : (enabled ? 1.f : 0.f);
      const float want = dry[at + i] + share * (wet[at + i] - dry[at + i]);
      VV_CHECK(std::fabs(out[i] - want) < 1e-6f, "%g in frame %zu", static_cast<double>(out[i] - want), frame);
    }
  }
}

void TestProcessingAllocatesNothing() {
  Fixture fixture;
  vv_denoiser* stream = fixture.Stream();
  vv_denoiser* other = fixture.Stream();
  std::vector<float> signal = Signal(10);
  vv_denoiser_report report;
  const int before = allocations;
  for (size_t at = 0; at < signal.size(); at += kFrame) vv_denoiser_process(stream, &signal[at], &signal[at], nullptr);
  vv_denoiser_set_attenuation_limit(stream, 3.f);
  vv_denoiser_get_report(stream, &report);
  vv_denoiser_copy(other, stream);
  vv_denoiser_reset(stream);
  VV_CHECK(allocations == before, "%d allocations", allocations - before);
}

/// Output, gains, pitch and probability, on every path of the int8 products.
void TestSameBits() {
  Fixture fixture;
  vivavoce::Int8Path paths[vivavoce::kInt8PathCount];
  const int count = vivavoce::Int8Paths(paths);
  for (int i = 0; i < count; ++i) {
    fixture.model()->path = paths[i];
    vv_denoiser* stream = fixture.Stream();
    std::vector<float> signal = Signal(100);
    uint64_t hash = Hash({});
    for (size_t at = 0; at < signal.size(); at += kFrame) {
      vv_denoiser_report report;
      vv_denoiser_process(stream, &signal[at], &signal[at], nullptr);
      vv_denoiser_get_report(stream, &report);
      hash = Hash({report.gains, report.gains + VV_DENOISER_BANDS}, hash);
      hash = Hash({report.pitch_period, report.pitch_correlation, report.voice_probability}, hash);
    }
    hash = Hash(signal, hash);
    VV_CHECK(hash == 0x73290627ed8c51eau, "hash is 0x%016llxu with %s", static_cast<unsigned long long>(hash),
             vivavoce::Int8PathName(paths[i]));
  }
}

}  // namespace

int main() {
  if (!ProcessorHasLevel()) return 77;
  TestRefusedArguments();
  TestDelayIsExact();
  TestLimitMixesDryAndWet();
  TestCopyAndReset();
  TestHostileInput();
  TestSilenceIsSilent();
  TestTogglingIsContinuous();
  TestProcessingAllocatesNothing();
  TestSameBits();
  return Report();
}
