// Floating-point modes for the length of a call.
//
// A decaying filter or a recurrent network that hears silence drifts into subnormal numbers, which cost some processors
// a hundred cycles each: the quietest frame would be the slowest. They are flushed inside our calls alone; the caller's
// process, which may depend on them, never notices. Rounding and traps are set too: they are part of "same bits".
#pragma once

#include "simd.h"

namespace vivavoce {

/// Real-time modes while it lives, then the caller's own again, exception flags included.
///
/// To be constructed at the entrance of a call and not beside arithmetic in the same function: the compiler may move
/// arithmetic on registers across it, but not across a call into another file.
class FlushDenormals {
 public:
  FlushDenormals() : before_(GetFloatMode()) { SetFloatMode(kRealTimeMode); }
  ~FlushDenormals() { SetFloatMode(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  const FloatMode before_;
};

}  // namespace vivavoce
