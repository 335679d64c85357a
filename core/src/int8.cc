#include "int8.h"

#include <cstring>

// Beside simd.h the only file with intrinsics: these instructions have no vector extension that stands for them. Each
// function is compiled for its own processor by an attribute, and called only where that processor is found.
#if defined(__x86_64__)
#define VV_INT8_X86 1
#include <cpuid.h>
#include <immintrin.h>
#if defined(_MSC_VER)  // there, clang's immintrin.h leaves out what the baseline processor lacks
#include <smmintrin.h>
#include <avxintrin.h>
#include <avx2intrin.h>
#include <avx512fintrin.h>
#include <avx512vnniintrin.h>
#include <avxvnniintrin.h>
#endif
#define VV_TARGET(features) __attribute__((target(features)))
#elif defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
#define VV_INT8_NEON_DOT 1
#include <arm_neon.h>
#endif

namespace vivavoce {
namespace {

/// The blocks of one strip, one after the other in memory.
struct Strip {
  const int8_t* blocks;
  const uint16_t* block_columns;  ///< null where the strip has all blocks
  int count;

  /// The 4 numbers of the vector that block i is multiplied with, as bytes of one integer.
  template <bool kSparse>
  int32_t Input(const void* x, int i) const {
    int32_t bytes;
    const int column = kSparse ? block_columns[i] : i;
    std::memcpy(&bytes, static_cast<const char*>(x) + kBlockColumns * column, sizeof bytes);
    return bytes;
  }
};

inline Strip StripAt(const Int8Matrix& matrix, int strip) {
  if (matrix.strips == nullptr) {
    const int count = matrix.columns / kBlockColumns;
    return {matrix.blocks + static_cast<size_t>(strip) * static_cast<size_t>(count) * kBlockBytes, nullptr, count};
  }
  const size_t begin = matrix.strips[strip];
  return {matrix.blocks + begin * kBlockBytes, matrix.block_columns + begin,
          static_cast<int>(matrix.strips[strip + 1] - begin)};
}

void MultiplyScalar(const Int8Matrix& matrix, const int8_t* x, int32_t* sums) {
  for (int s = 0; s < matrix.rows / kStripRows; ++s) {
    const Strip strip = StripAt(matrix, s);
    for (int row = 0; row < kStripRows; ++row) {
      int32_t sum = 0;
      for (int i = 0; i < strip.count; ++i) {
        const int block_column = strip.block_columns == nullptr ? i : strip.block_columns[i];
        const int8_t* weights = strip.blocks + i * kBlockBytes + row * kBlockColumns;
        for (int k = 0; k < kBlockColumns; ++k) sum += weights[k] * x[kBlockColumns * block_column + k];
      }
      sums[s * kStripRows + row] = sum;
    }
  }
}

typedef int16_t I16x8 __attribute__((vector_size(16)));
typedef uint16_t U16x8 __attribute__((vector_size(16)));
typedef int32_t Sum32x4 __attribute__((vector_size(16)));
typedef uint32_t U32x4 __attribute__((vector_size(16)));

/// The lower half of each lane, with its sign.
inline I16x8 Low(I16x8 pairs) { return (I16x8)((U16x8)pairs << 8) >> 8; }
inline Sum32x4 Low(Sum32x4 pairs) { return (Sum32x4)((U32x4)pairs << 16) >> 16; }

/// 16-bit lanes hold two bytes each: two products of at most 127 * 127 fit one lane together, and are then widened.
template <bool kSparse>
void StripVector(const Strip& strip, const int8_t* x, int32_t* sums) {
  constexpr int kQuarters = 4;  // registers that a block takes
  Sum32x4 sum[kQuarters] = {};
  for (int i = 0; i < strip.count; ++i) {
    const int32_t bytes = strip.Input<kSparse>(x, i);
    const I16x8 input = (I16x8)(Sum32x4{bytes, bytes, bytes, bytes});
    const I16x8 even = Low(input), odd = input >> 8;
    for (int q = 0; q < kQuarters; ++q) {
      I16x8 weights;
      std::memcpy(&weights, strip.blocks + i * kBlockBytes + q * 16, sizeof weights);
      const Sum32x4 products = (Sum32x4)(Low(weights) * even + (weights >> 8) * odd);
      sum[q] += Low(products) + (products >> 16);
    }
  }
  std::memcpy(sums, sum, sizeof sum);
}

#if VV_INT8_NEON_DOT

template <bool kSparse>
void StripNeonDot(const Strip& strip, const int8_t* x, int32_t* sums) {
  int32x4_t sum[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
  for (int i = 0; i < strip.count; ++i) {
    const int8x16_t input = vreinterpretq_s8_s32(vdupq_n_s32(strip.Input<kSparse>(x, i)));
    for (int q = 0; q < 4; ++q) {
      sum[q] = vdotq_s32(sum[q], vld1q_s8(strip.blocks + i * kBlockBytes + q * 16), input);
    }
  }
  for (int q = 0; q < 4; ++q) vst1q_s32(sums + q * 4, sum[q]);
}

#endif

/// Strip after strip, by a function that knows whether it reads a list of columns.
template <void (*kDense)(const Strip&, const int8_t*, int32_t*), void (*kSparse)(const Strip&, const int8_t*, int32_t*)>
void MultiplyStrips(const Int8Matrix& matrix, const int8_t* x, int32_t* sums) {
  const auto function = matrix.strips == nullptr ? kDense : kSparse;
  for (int s = 0; s < matrix.rows / kStripRows; ++s) function(StripAt(matrix, s), x, sums + s * kStripRows);
}

#if VV_INT8_X86

/// A vector, changed byte by byte before it is multiplied.
struct Changed {
  template <class Change>
  Changed(const Int8Matrix& matrix, const int8_t* x, Change change) {
    for (int i = 0; i < matrix.columns; ++i) values[i] = static_cast<uint8_t>(change(x[i]));
  }
  alignas(64) uint8_t values[kMaxInt8Columns];
};

/// vpmaddubsw multiplies unsigned by signed bytes and adds pairs, saturated to 16 bits. With |x| and sign(x) w, no pair
/// goes beyond 2 * 127 * 127 = 32258: nothing saturates.
VV_TARGET("avx2")
inline __m256i AddProductsAvx2(__m256i sum, __m256i input, __m256i magnitude, const int8_t* half_block) {
  const __m256i weights = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(half_block));
  const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(weights, input));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

template <bool kSparse>
VV_TARGET("avx2")
void StripAvx2(const Strip& strip, const int8_t* x, const uint8_t* magnitudes, int32_t* sums) {
  __m256i upper = _mm256_setzero_si256(), lower = _mm256_setzero_si256();
  for (int i = 0; i < strip.count; ++i) {
    const int8_t* const block = strip.blocks + i * kBlockBytes;
    const __m256i input = _mm256_set1_epi32(strip.Input<kSparse>(x, i));
    const __m256i magnitude = _mm256_set1_epi32(strip.Input<kSparse>(magnitudes, i));
    upper = AddProductsAvx2(upper, input, magnitude, block);
    lower = AddProductsAvx2(lower, input, magnitude, block + kBlockBytes / 2);
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), upper);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + 8), lower);
}

void MultiplyAvx2(const Int8Matrix& matrix, const int8_t* x, int32_t* sums) {
  const Changed magnitudes(matrix, x, [](int8_t value) { return value < 0 ? -value : value; });
  const auto function = matrix.strips == nullptr ? StripAvx2<false> : StripAvx2<true>;
  for (int s = 0; s < matrix.rows / kStripRows; ++s) {
    function(StripAt(matrix, s), x, magnitudes.values, sums + s * kStripRows);
  }
}

// Several sums at once: the next vpdpbusd into one register has to wait four or five cycles for the last. One strip at
// a time, and nothing fetched ahead by hand: weights then come in the order of memory, as fast as the caches deliver.

template <bool kSparse>
VV_TARGET("avx2,avxvnni")
void StripAvxVnni(const Strip& strip, const uint8_t* x, const int32_t* corrections, int32_t* sums) {
  const __m256i* start = reinterpret_cast<const __m256i*>(corrections);
  __m256i even[2] = {_mm256_loadu_si256(start), _mm256_loadu_si256(start + 1)};
  __m256i odd[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  for (int i = 0; i < strip.count; i += 2) {
    const __m256i* block = reinterpret_cast<const __m256i*>(strip.blocks + i * kBlockBytes);
    const __m256i input = _mm256_set1_epi32(strip.Input<kSparse>(x, i));
    even[0] = _mm256_dpbusd_avx_epi32(even[0], input, _mm256_loadu_si256(block));
    even[1] = _mm256_dpbusd_avx_epi32(even[1], input, _mm256_loadu_si256(block + 1));
    if (i + 1 == strip.count) break;
    const __m256i next = _mm256_set1_epi32(strip.Input<kSparse>(x, i + 1));
    odd[0] = _mm256_dpbusd_avx_epi32(odd[0], next, _mm256_loadu_si256(block + 2));
    odd[1] = _mm256_dpbusd_avx_epi32(odd[1], next, _mm256_loadu_si256(block + 3));
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), _mm256_add_epi32(even[0], odd[0]));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + 8), _mm256_add_epi32(even[1], odd[1]));
}

template <bool kSparse>
VV_TARGET("avx512f,avx512vnni")
void StripAvx512Vnni(const Strip& strip, const uint8_t* x, const int32_t* corrections, int32_t* sums) {
  constexpr int kSums = 4;
  __m512i sum[kSums] = {_mm512_loadu_si512(corrections), _mm512_setzero_si512(), _mm512_setzero_si512(),
                        _mm512_setzero_si512()};
  int i = 0;
  for (; i + kSums <= strip.count; i += kSums) {
    const int8_t* block = strip.blocks + i * kBlockBytes;
    for (int k = 0; k < kSums; ++k) {
      const __m512i input = _mm512_set1_epi32(strip.Input<kSparse>(x, i + k));
      sum[k] = _mm512_dpbusd_epi32(sum[k], input, _mm512_loadu_si512(block + k * kBlockBytes));
    }
  }
  for (; i < strip.count; ++i) {
    const __m512i input = _mm512_set1_epi32(strip.Input<kSparse>(x, i));
    sum[0] = _mm512_dpbusd_epi32(sum[0], input, _mm512_loadu_si512(strip.blocks + i * kBlockBytes));
  }
  _mm512_storeu_si512(sums, _mm512_add_epi32(_mm512_add_epi32(sum[0], sum[1]), _mm512_add_epi32(sum[2], sum[3])));
}

using StripVnni = void (*)(const Strip&, const uint8_t*, const int32_t*, int32_t*);

template <StripVnni kDense, StripVnni kSparse>
void MultiplyVnni(const Int8Matrix& matrix, const int8_t* x, int32_t* sums) {
  const Changed input(matrix, x, [](int8_t value) { return value ^ 0x80; });  // 128 higher, and unsigned
  const auto function = matrix.strips == nullptr ? kDense : kSparse;
  for (int s = 0; s < matrix.rows / kStripRows; ++s) {
    function(StripAt(matrix, s), input.values, matrix.corrections + s * kStripRows, sums + s * kStripRows);
  }
}

/// What the processor has and the system saves when it switches threads: CPUID leaf 7, XCR0.
struct CpuFeatures {
  CpuFeatures() {
    unsigned a, b, c, d;
    constexpr unsigned kOsxsave = 1u << 27, kAvx = 1u << 28;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (kOsxsave | kAvx)) != (kOsxsave | kAvx)) return;
    unsigned saved, upper;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
    constexpr unsigned kYmm = 0x06, kZmm = 0xe6;
    if ((saved & kYmm) != kYmm || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    constexpr unsigned kAvx2 = 1u << 5, kAvx512f = 1u << 16, kAvx512Vnni = 1u << 11, kAvxVnni = 1u << 4;
    avx2 = (b & kAvx2) != 0;
    avx512_vnni = (b & kAvx512f) != 0 && (c & kAvx512Vnni) != 0 && (saved & kZmm) == kZmm;
    avx_vnni = avx2 && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & kAvxVnni) != 0;
  }
  bool avx2 = false, avx_vnni = false, avx512_vnni = false;
};

#endif

}  // namespace

const char* Int8PathName(Int8Path path) {
  static constexpr const char* kNames[kInt8PathCount] = {"scalar", "vector",      "neon-dot",
                                                         "avx2",   "avx512-vnni", "avx-vnni"};
  return kNames[static_cast<int>(path)];
}

int Int8Paths(Int8Path (&paths)[kInt8PathCount]) {
  int count = 0;
  paths[count++] = Int8Path::kScalar;
  paths[count++] = Int8Path::kVector;
#if VV_INT8_NEON_DOT
  paths[count++] = Int8Path::kNeonDot;
#endif
#if VV_INT8_X86
  const CpuFeatures cpu;
  if (cpu.avx2) paths[count++] = Int8Path::kAvx2;
  if (cpu.avx512_vnni) paths[count++] = Int8Path::kAvx512Vnni;
  if (cpu.avx_vnni) paths[count++] = Int8Path::kAvxVnni;
#endif
  return count;
}

Int8Path BestInt8Path() {
  Int8Path paths[kInt8PathCount];
  const int count = Int8Paths(paths);
  return paths[count - 1];
}

void Int8Corrections(const Int8Matrix& matrix, int32_t* corrections) {
  const Int8Path path = Int8Path::kVector;  // which needs none
  alignas(16) int8_t ones[kMaxInt8Columns];
  std::memset(ones, 1, static_cast<size_t>(matrix.columns));
  Multiply(path, matrix, ones, corrections);
  for (int row = 0; row < matrix.rows; ++row) corrections[row] *= -128;
}

void Multiply(Int8Path path, const Int8Matrix& matrix, const int8_t* x, int32_t* sums) {
  switch (path) {
#if VV_INT8_X86
    case Int8Path::kAvx512Vnni:
      return MultiplyVnni<StripAvx512Vnni<false>, StripAvx512Vnni<true>>(matrix, x, sums);
    case Int8Path::kAvxVnni: return MultiplyVnni<StripAvxVnni<false>, StripAvxVnni<true>>(matrix, x, sums);
    case Int8Path::kAvx2: return MultiplyAvx2(matrix, x, sums);
#endif
#if VV_INT8_NEON_DOT
    case Int8Path::kNeonDot: return MultiplyStrips<StripNeonDot<false>, StripNeonDot<true>>(matrix, x, sums);
#endif
    case Int8Path::kVector: return MultiplyStrips<StripVector<false>, StripVector<true>>(matrix, x, sums);
    default: return MultiplyScalar(matrix, x, sums);
  }
}

}  // namespace vivavoce
