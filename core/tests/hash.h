// Hashes for tests of "same bits", and where they apply.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

/// FNV-1a over the bytes of floats, least significant first.
inline uint64_t Hash(const std::vector<float>& values, uint64_t hash = 0xcbf29ce484222325u) {
  for (const float value : values) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ ((bits >> shift) & 0xff)) * 0x100000001b3u;
  }
  return hash;
}

/// False where this processor cannot run what was compiled for VIVAVOCE_LEVEL.
inline bool ProcessorHasLevel() {
#if defined(VIVAVOCE_LEVEL)
  const char last = VIVAVOCE_LEVEL[sizeof VIVAVOCE_LEVEL - 2];
  if (last >= '2' && !__builtin_cpu_supports("sse4.2")) return false;
  if (last >= '3' && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return false;
  if (last >= '4' && !(__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))) return false;
#endif
  return true;
}
