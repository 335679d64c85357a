// The least of a LADSPA host: loads the plugin, connects what it has, runs it on noise.
#pragma once

#include <dlfcn.h>

#include <cstdio>
#include <vector>

#include "ladspa_abi.h"
#include "noise.h"

class Host {
 public:
  /// Takes plugin `index` of a file. handle() is NULL where that fails.
  Host(const char* path, unsigned long index, unsigned long block) : block_(block) {
    void* const library = dlopen(path, RTLD_NOW);
    if (library == nullptr) {
      std::printf("%s\n", dlerror());
      return;
    }
    using Function = const ladspa::Descriptor* (*)(unsigned long);
    descriptor_ = reinterpret_cast<Function>(dlsym(library, "ladspa_descriptor"))(index);
    handle_ = descriptor_->instantiate(descriptor_, 48000);
    if (handle_ == nullptr) return;
    for (unsigned long port = 0; port < descriptor_->port_count; ++port) {
      const bool audio = (descriptor_->ports[port] & ladspa::kAudio) != 0;
      const bool noisy = audio && (descriptor_->ports[port] & ladspa::kInput) != 0;
      const std::vector<float> noise = Noise(static_cast<int>(block), static_cast<uint32_t>(port));
      buffers_.push_back(noisy ? noise : std::vector<float>(audio ? block : 1));
      if (descriptor_->port_range_hints[port].bits & ladspa::kDefault100) buffers_.back()[0] = 100.f;
    }
    for (unsigned long port = 0; port < descriptor_->port_count; ++port) {
      descriptor_->connect_port(handle_, port, buffers_[port].data());
    }
    descriptor_->activate(handle_);
  }
  ~Host() {
    if (handle_ != nullptr) descriptor_->cleanup(handle_);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void* handle() const { return handle_; }
  const char* label() const { return descriptor_->label; }
  float latency() const { return buffers_.back()[0]; }
  void Run() { descriptor_->run(handle_, block_); }

 private:
  unsigned long block_;
  const ladspa::Descriptor* descriptor_ = nullptr;
  void* handle_ = nullptr;
  std::vector<std::vector<float>> buffers_;
};
