// How a network places what a stream remembers in one block of memory, so that a state is copied by one memcpy.
#pragma once

#include <cstddef>
#include <cstdint>

#include "int8.h"

namespace vivavoce {

/// Where the arrays of a state begin; each on a line of the cache.
class StateLayout {
 public:
  /// Room for `count` elements of `bytes` bytes; their offset.
  size_t Place(int count, size_t bytes) {
    const size_t begin = end_;
    end_ += (static_cast<size_t>(count) * bytes + 63) / 64 * 64;
    return begin;
  }

  size_t bytes() const { return end_; }

 private:
  size_t end_ = 0;
};

/// The array at an offset of a state.
template <class T>
T* At(void* state, size_t offset) {
  return reinterpret_cast<T*>(static_cast<char*>(state) + offset);
}

/// Whether a layer may be as wide: whole strips, and no more than any model has.
inline bool IsWidth(uint32_t width) {
  constexpr uint32_t kMaxWidth = 1024;
  return width > 0 && width <= kMaxWidth && width % kStripRows == 0;
}

}  // namespace vivavoce
