// The binary interface of LADSPA 1.1 (Richard Furse and others, www.ladspa.org): names, layout and values of what a
// plugin and its host exchange, as far as this plugin needs them, so that it builds where no LADSPA is installed.
#pragma once

namespace ladspa {

// Bits of Descriptor::properties.
inline constexpr int kHardRealTime = 0x4;  ///< run() allocates nothing, waits for nothing, and its time is bounded

// Bits of a port.
inline constexpr int kInput = 0x1;
inline constexpr int kOutput = 0x2;
inline constexpr int kControl = 0x4;
inline constexpr int kAudio = 0x8;

// Bits of PortRangeHint::bits; the defaults are values of one field.
inline constexpr int kBoundedBelow = 0x1;
inline constexpr int kBoundedAbove = 0x2;
inline constexpr int kInteger = 0x20;
inline constexpr int kDefault0 = 0x200;
inline constexpr int kDefault100 = 0x280;

struct PortRangeHint {
  int bits;
  float lower;
  float upper;
};

/// A type of plugin. Functions get what `instantiate` returned.
struct Descriptor {
  unsigned long unique_id;  ///< below 0x1000000
  const char* label;        ///< by which hosts find it in its file; no white space
  int properties;
  const char* name;
  const char* maker;
  const char* copyright;
  unsigned long port_count;
  const int* ports;
  const char* const* port_names;
  const PortRangeHint* port_range_hints;
  void* implementation_data;
  void* (*instantiate)(const Descriptor* descriptor, unsigned long sample_rate);  ///< NULL: it cannot
  void (*connect_port)(void* instance, unsigned long port, float* location);
  void (*activate)(void* instance);
  void (*run)(void* instance, unsigned long sample_count);
  void (*run_adding)(void* instance, unsigned long sample_count);  ///< or NULL, as the two below
  void (*set_run_adding_gain)(void* instance, float gain);
  void (*deactivate)(void* instance);
  void (*cleanup)(void* instance);
};

}  // namespace ladspa
