// Four lanes of float, and the processor's floating-point modes: all that differs between processors, in one file.
//
// The lanes are vector extensions of GCC (12 and newer) and Clang, which become SSE2, NEON or plain scalar code. Every
// operation is one IEEE operation per lane, so all targets give the same bits, provided that the compiler contracts no
// a * b + c (-ffp-contract=off) and reorders nothing (no -ffast-math).
//
// The lane count is part of every result that sums over lanes, and is therefore the same everywhere: wider registers
// must not change it.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#if defined(__FAST_MATH__)
#error "vivavoce must be compiled without -ffast-math: its results would depend on the compiler"
#endif

namespace vivavoce {

inline constexpr int kLanes = 4;

typedef float F32x4 __attribute__((vector_size(16)));
typedef int32_t I32x4 __attribute__((vector_size(16)));

/// Reads kLanes floats (V = F32x4) or one (V = float) from any address.
template <class V>
inline V Load(const float* from) {
  V value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class V>
inline void Store(float* to, V value) {
  std::memcpy(to, &value, sizeof value);
}

template <class V>
inline V Splat(float value);
template <>
inline float Splat<float>(float value) {
  return value;
}
template <>
inline F32x4 Splat<F32x4>(float value) {
  return F32x4{value, value, value, value};
}

/// The same bits, read as the other type.
inline I32x4 Bits(F32x4 value) { return (I32x4)value; }
inline F32x4 FromBits(I32x4 bits) { return (F32x4)bits; }

/// The nearest float of each integer.
inline F32x4 ToFloat(I32x4 value) { return __builtin_convertvector(value, F32x4); }

/// Lanes of `yes` where the mask is -1, of `no` where it is 0. A comparison of two vectors is such a mask.
inline F32x4 Select(I32x4 mask, F32x4 yes, F32x4 no) { return FromBits((mask & Bits(yes)) | (~mask & Bits(no))); }

/// The greater of each lane; where they are equal or not comparable, that of `a`.
inline F32x4 Max(F32x4 a, F32x4 b) { return a < b ? b : a; }

/// Of each lane, the greatest of it and those before it, or behind it.
inline F32x4 RunningMax(F32x4 x) {
  x = Max(x, __builtin_shufflevector(x, x, 0, 0, 1, 2));
  return Max(x, __builtin_shufflevector(x, x, 0, 1, 0, 1));
}
inline F32x4 RunningMaxFromEnd(F32x4 x) {
  x = Max(x, __builtin_shufflevector(x, x, 1, 2, 3, 3));
  return Max(x, __builtin_shufflevector(x, x, 2, 3, 2, 3));
}

/// The one order in which lanes are summed: (0 + 2) + (1 + 3).
inline float Sum(F32x4 value) { return (value[0] + value[2]) + (value[1] + value[3]); }

inline F32x4 Reverse(F32x4 value) { return __builtin_shufflevector(value, value, 3, 2, 1, 0); }
inline float Reverse(float value) { return value; }

/// Splits (a0 b0 a1 b1) (a2 b2 a3 b3) into (a0 a1 a2 a3) and (b0 b1 b2 b3).
inline void Deinterleave(F32x4 low, F32x4 high, F32x4* even, F32x4* odd) {
  *even = __builtin_shufflevector(low, high, 0, 2, 4, 6);
  *odd = __builtin_shufflevector(low, high, 1, 3, 5, 7);
}

/// Undoes Deinterleave.
inline void Interleave(F32x4 even, F32x4 odd, F32x4* low, F32x4* high) {
  *low = __builtin_shufflevector(even, odd, 0, 4, 1, 5);
  *high = __builtin_shufflevector(even, odd, 2, 6, 3, 7);
}

/// Row i, lane j becomes row j, lane i.
inline void Transpose(F32x4 (&rows)[4]) {
  F32x4 a, b, c, d;
  Interleave(rows[0], rows[2], &a, &b);
  Interleave(rows[1], rows[3], &c, &d);
  Interleave(a, c, &rows[0], &rows[1]);
  Interleave(b, d, &rows[2], &rows[3]);
}

// Modes: MXCSR on x86, FPCR on 64-bit ARM; elsewhere nothing is known, read or set.

#if defined(__SSE2__)

using FloatMode = uint32_t;
/// All exceptions masked (0x1f80), round to nearest, flush results (0x8000) and operands (0x0040) that are subnormal.
inline constexpr FloatMode kRealTimeMode = 0x9fc0;
inline FloatMode GetFloatMode() { return _mm_getcsr(); }
inline void SetFloatMode(FloatMode mode) { _mm_setcsr(mode); }

#elif defined(__aarch64__)

using FloatMode = uint64_t;
/// FZ, bit 24: subnormal operands and results are flushed. Traps off, round to nearest.
inline constexpr FloatMode kRealTimeMode = uint64_t{1} << 24;
inline FloatMode GetFloatMode() {
  FloatMode mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode)::"memory");
  return mode;
}
inline void SetFloatMode(FloatMode mode) { __asm__ volatile("msr fpcr, %0" ::"r"(mode) : "memory"); }

#else

using FloatMode = uint32_t;
inline constexpr FloatMode kRealTimeMode = 0;
inline FloatMode GetFloatMode() { return 0; }
inline void SetFloatMode(FloatMode) {}

#endif

}  // namespace vivavoce
