// Streams belong to one thread at a time; a second one is told so.
#pragma once

#include <atomic>
#include <stdexcept>
#include <string>

namespace binding {

/// A call's right to a stream: two threads in it at once are refused instead of corrupting it.
class Turn {
 public:
  /// `stream` is its name for users.
  Turn(std::atomic_flag& busy, const char* stream) : busy_(busy) {
    if (busy_.test_and_set(std::memory_order_acquire)) {
      throw std::runtime_error(std::string("a ") + stream + " is used by two threads at once");
    }
  }
  ~Turn() { busy_.clear(std::memory_order_release); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::atomic_flag& busy_;
};

}  // namespace binding
