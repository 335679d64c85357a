// Products of an int8 matrix and an int8 vector, exact in int32: the same sums from every processor's instructions.
//
// A network of some million weights is bound by the memory that they are read from, not by arithmetic: int8 is a
// quarter of float, and a matrix is laid out in the order in which it is read. 16 rows make a strip; in a strip, 4
// columns make a block of 64 bytes, row after row. So 4 numbers of the vector, broadcast to all rows, meet one
// register (or two, or four) of weights, and no sum is ever taken across lanes. A sparse matrix leaves blocks out that
// are zero, and lists the others.
//
// Integer sums do not depend on their order: which path calculates is a matter of speed alone.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vivavoce {

inline constexpr int kStripRows = 16;
inline constexpr int kBlockColumns = 4;
inline constexpr int kBlockBytes = kStripRows * kBlockColumns;

/// Columns that a matrix may have: no sum leaves int32, and a copy of the vector fits on the stack.
inline constexpr int kMaxInt8Columns = 8192;

/// The instructions that a product is calculated with, slowest first.
enum class Int8Path {
  kScalar,      ///< plain C++
  kVector,      ///< the compiler's vector extensions, 128 bits: SSE2, NEON
  kNeonDot,     ///< sdot of 64-bit ARM, where the compiler may assume it
  kAvx2,        ///< vpmaddubsw
  kAvx512Vnni,  ///< vpdpbusd, 512 bits: no faster where weights come from a cache, and what runs next is slowed down
  kAvxVnni,     ///< vpdpbusd, 256 bits
};
inline constexpr int kInt8PathCount = 6;

/// "avx2" and the like.
const char* Int8PathName(Int8Path path);

/// Writes the paths that this processor has, slowest first, and returns how many there are.
int Int8Paths(Int8Path (&paths)[kInt8PathCount]);

/// The fastest path that this processor has. It asks the processor, which is slow in a virtual machine: once a model.
Int8Path BestInt8Path();

/// A view of a matrix in blocks.
struct Int8Matrix {
  int rows;     ///< a multiple of kStripRows
  int columns;  ///< a multiple of kBlockColumns, at most kMaxInt8Columns
  const int8_t* blocks;  ///< in [-127, 127]
  /// -128 times the sum of each row: what vpdpbusd, whose vector is unsigned and therefore 128 higher, counts too much.
  const int32_t* corrections;
  // Both are null where all blocks are present.
  const uint32_t* strips;       ///< Block at which each strip begins, and the end of the last: rows / kStripRows + 1.
  const uint16_t* block_columns;  ///< For each block, its first column / kBlockColumns.
};

/// Writes the corrections of a matrix, which need not be set yet.
void Int8Corrections(const Int8Matrix& matrix, int32_t* corrections);

/// sums[row] = sum over columns of matrix[row, column] * x[column]; `x` lies in [-127, 127].
void Multiply(Int8Path path, const Int8Matrix& matrix, const int8_t* x, int32_t* sums);

}  // namespace vivavoce
