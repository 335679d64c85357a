// Noise that is the same everywhere: the 32-bit linear congruential generator of Numerical Recipes, in [-1, 1).
#pragma once

#include <cstdint>
#include <vector>

inline std::vector<float> Noise(int count, uint32_t seed = 1) {
  std::vector<float> noise(static_cast<size_t>(count));
  for (float& value : noise) {
    seed = 1664525u * seed + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>(seed) >> 8) / 8388608.f;
  }
  return noise;
}
