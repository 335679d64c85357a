// vivavoce as a LADSPA plugin, for PipeWire's filter chains, Audacity, FFmpeg and other hosts: noise out of one
// channel, or out of two that share a model and nothing else.
//
// Everything that is slow, allocates or can fail happens in instantiate and activate.
#include <algorithm>
#include <climits>
#include <cmath>
#include <iterator>
#include <memory>
#include <new>

#include "channel.h"
#include "ladspa_abi.h"
#include "model_file.h"
#include "vivavoce.h"

namespace vivavoce_ladspa {
namespace {

constexpr int kMaxChannels = 2;

// Ports: inputs, outputs, then these.
enum Control { kAttenuationLimit, kVoiceThreshold, kLatency, kControls };

constexpr float kNoLimitDb = 100.f;
constexpr float kHighestThresholdPct = 99.f;

/// A running plugin.
class Instance {
 public:
  Instance(int channel_count, vv_model* model, int sample_rate) : channel_count_(channel_count), model_(model) {
    for (int i = 0; i < channel_count; ++i) {
      channels_[i].reset(new (std::nothrow) Channel(model, sample_rate, i, channel_count));
      if (channels_[i] == nullptr || !channels_[i]->ok()) return;
    }
    ok_ = true;
  }

  bool ok() const { return ok_; }

  void Connect(unsigned long port, float* location) {
    if (port < std::size(ports_)) ports_[port] = location;
  }

  void Activate() {
    for (int i = 0; i < channel_count_; ++i) channels_[i]->Reset();
    ReportLatency();  // PipeWire reads it before the first run()
  }

  void Run(unsigned long count) {
    ApplyControls();
    for (unsigned long at = 0; at < count; at += Channel::kMaxCount) {
      const int size = static_cast<int>(std::min<unsigned long>(Channel::kMaxCount, count - at));
      // A host may give any input and any output the same memory: everything is read before anything is written.
      for (int i = 0; i < channel_count_; ++i) {
        channels_[i]->Take(ports_[i] == nullptr ? kSilence : ports_[i] + at, size);
      }
      for (int i = 0; i < channel_count_; ++i) {
        float* const out = ports_[channel_count_ + i];
        channels_[i]->Give(out == nullptr ? nullptr : out + at, size);
      }
    }
    ReportLatency();
  }

 private:
  struct Destroy {
    void operator()(vv_model* model) const { vv_model_destroy(model); }
  };

  static constexpr float kSilence[Channel::kMaxCount] = {};

  float*& Port(Control control) { return ports_[2 * channel_count_ + control]; }

  /// The value of a control, or `fallback` where it has none.
  float Value(Control control, float fallback, float highest) {
    const float* const location = Port(control);
    if (location == nullptr || std::isnan(*location)) return fallback;
    return std::clamp(*location, 0.f, highest);
  }

  void ApplyControls() {
    const float limit_db = Value(kAttenuationLimit, kNoLimitDb, kNoLimitDb);
    const float threshold = Value(kVoiceThreshold, 0.f, kHighestThresholdPct) / 100.f;
    for (int i = 0; i < channel_count_; ++i) channels_[i]->Set(limit_db < kNoLimitDb ? limit_db : INFINITY, threshold);
  }

  void ReportLatency() {
    if (float* const location = Port(kLatency)) *location = static_cast<float>(channels_[0]->delay());
  }

  const int channel_count_;
  std::unique_ptr<vv_model, Destroy> model_;  // outlives the channels, which come after it
  std::unique_ptr<Channel> channels_[kMaxChannels];
  float* ports_[2 * kMaxChannels + kControls] = {};
  bool ok_ = false;
};

template <int kChannels>
void* Instantiate(const ladspa::Descriptor*, unsigned long sample_rate) {
  if (sample_rate == 0 || sample_rate > INT_MAX) return nullptr;
  vv_model* const model = LoadModel();
  if (model == nullptr) return nullptr;
  auto* const instance = new (std::nothrow) Instance(kChannels, model, static_cast<int>(sample_rate));
  if (instance == nullptr) {
    vv_model_destroy(model);
  } else if (!instance->ok()) {
    delete instance;
    return nullptr;
  }
  return instance;
}

void ConnectPort(void* instance, unsigned long port, float* location) {
  static_cast<Instance*>(instance)->Connect(port, location);
}
void Activate(void* instance) { static_cast<Instance*>(instance)->Activate(); }
void Run(void* instance, unsigned long count) { static_cast<Instance*>(instance)->Run(count); }
void Cleanup(void* instance) { delete static_cast<Instance*>(instance); }

constexpr int kAudioIn = ladspa::kAudio | ladspa::kInput;
constexpr int kAudioOut = ladspa::kAudio | ladspa::kOutput;
constexpr int kControlIn = ladspa::kControl | ladspa::kInput;
constexpr int kControlOut = ladspa::kControl | ladspa::kOutput;
constexpr int kBounded = ladspa::kBoundedBelow | ladspa::kBoundedAbove;

constexpr ladspa::PortRangeHint kAnySample = {0, 0.f, 0.f};
constexpr ladspa::PortRangeHint kLimitRange = {kBounded | ladspa::kDefault100, 0.f, kNoLimitDb};
constexpr ladspa::PortRangeHint kThresholdRange = {kBounded | ladspa::kDefault0, 0.f, kHighestThresholdPct};
constexpr ladspa::PortRangeHint kLatencyRange = {ladspa::kInteger, 0.f, 0.f};

#define CONTROL_NAMES "Attenuation Limit (dB)", "VAD Threshold (%)", "latency"  // hosts look for that spelling

constexpr int kMonoPorts[] = {kAudioIn, kAudioOut, kControlIn, kControlIn, kControlOut};
constexpr const char* kMonoNames[] = {"Input", "Output", CONTROL_NAMES};
constexpr ladspa::PortRangeHint kMonoRanges[] = {kAnySample, kAnySample, kLimitRange, kThresholdRange, kLatencyRange};

constexpr int kStereoPorts[] = {kAudioIn, kAudioIn, kAudioOut, kAudioOut, kControlIn, kControlIn, kControlOut};
constexpr const char* kStereoNames[] = {"Input Left", "Input Right", "Output Left", "Output Right", CONTROL_NAMES};
constexpr ladspa::PortRangeHint kStereoRanges[] = {kAnySample,  kAnySample,      kAnySample,   kAnySample,
                                                   kLimitRange, kThresholdRange, kLatencyRange};

// No registered numbers: "vv" in ASCII and a counter, below 0x1000000 as hosts expect, and beyond 1000, as numbers up
// to there are for plugins that nobody else has.
constexpr unsigned long kMonoId = 0x767601;
constexpr unsigned long kStereoId = 0x767602;

template <int kChannels, size_t kPorts>
constexpr ladspa::Descriptor Describe(unsigned long id, const char* label, const char* name, const int (&ports)[kPorts],
                                      const char* const (&names)[kPorts],
                                      const ladspa::PortRangeHint (&ranges)[kPorts]) {
  static_assert(kPorts == 2 * kChannels + kControls, "the order of ports");
  return {id,      label,   ladspa::kHardRealTime,  name,        "The vivavoce authors", "BSD-2-Clause", kPorts,
          ports,   names,   ranges,                 nullptr,     Instantiate<kChannels>, ConnectPort,    Activate,
          Run,     nullptr, nullptr,                nullptr,     Cleanup};
}

constexpr ladspa::Descriptor kDescriptors[] = {
    Describe<1>(kMonoId, "vivavoce_mono", "vivavoce noise suppression (mono)", kMonoPorts, kMonoNames, kMonoRanges),
    Describe<2>(kStereoId, "vivavoce_stereo", "vivavoce noise suppression (stereo)", kStereoPorts, kStereoNames,
                kStereoRanges),
};

}  // namespace
}  // namespace vivavoce_ladspa

/// All that the file exports.
extern "C" __attribute__((visibility("default"))) const ladspa::Descriptor* ladspa_descriptor(unsigned long index) {
  using vivavoce_ladspa::kDescriptors;
  return index < std::size(kDescriptors) ? &kDescriptors[index] : nullptr;
}
