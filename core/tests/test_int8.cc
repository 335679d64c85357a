// Every path that this processor has gives the exact product, whatever the weights and the vector are.
#include "int8.h"

#include <cstring>
#include <vector>

#include "check.h"
#include "noise.h"

namespace {

using vivavoce::Int8Matrix;
using vivavoce::Int8Path;

/// Numbers in [-127, 127]: random, or extreme.
std::vector<int8_t> Bytes(size_t count, uint32_t seed, bool extreme) {
  std::vector<int8_t> bytes;
  for (const float value : Noise(static_cast<int>(count), seed)) {
    bytes.push_back(static_cast<int8_t>(extreme ? (value < 0.f ? -127 : 127) : 127.9f * value));
  }
  return bytes;
}

/// A matrix of which `keep` of 4 blocks are present, and what its blocks stand for.
struct Case {
  Case(int rows, int columns, int keep, bool extreme) {
    strips.push_back(0);
    for (int strip = 0; strip < rows / 16; ++strip) {
      for (int column = 0; column < columns / 4; ++column) {
        if ((column + strip) % 4 < keep) block_columns.push_back(static_cast<uint16_t>(column));
      }
      strips.push_back(static_cast<uint32_t>(block_columns.size()));
    }
    blocks = Bytes(block_columns.size() * 64 + 1, 5, extreme);
    corrections.resize(static_cast<size_t>(rows));
    matrix = {rows, columns, blocks.data(), nullptr, strips.data(), block_columns.data()};
    if (keep == 4) matrix.strips = nullptr, matrix.block_columns = nullptr;
    vivavoce::Int8Corrections(matrix, corrections.data());
    matrix.corrections = corrections.data();
  }

  int64_t Product(int row, const std::vector<int8_t>& x) const {
    int64_t sum = 0;
    const size_t strip = static_cast<size_t>(row / 16);
    for (size_t i = strips[strip]; i < strips[strip + 1]; ++i) {
      for (size_t k = 0; k < 4; ++k) {
        sum += blocks[i * 64 + static_cast<size_t>(row % 16) * 4 + k] * x[block_columns[i] * 4u + k];
      }
    }
    return sum;
  }

  std::vector<uint32_t> strips;
  std::vector<uint16_t> block_columns;
  std::vector<int8_t> blocks;
  std::vector<int32_t> corrections;
  Int8Matrix matrix;
};

void TestPaths(int rows, int columns, int keep, bool extreme) {
  const Case test(rows, columns, keep, extreme);
  Int8Path paths[vivavoce::kInt8PathCount];
  const int count = vivavoce::Int8Paths(paths);
  for (uint32_t seed = 0; seed < 3; ++seed) {
    std::vector<int8_t> x = Bytes(static_cast<size_t>(columns), seed + 9, extreme);
    if (seed == 2) std::memset(x.data(), extreme ? -127 : 127, x.size());
    for (int p = 0; p < count; ++p) {
      std::vector<int32_t> sums(static_cast<size_t>(rows) + 1, 77);
      vivavoce::Multiply(paths[p], test.matrix, x.data(), sums.data());
      int wrong = 0;
      for (int row = 0; row < rows; ++row) wrong += sums[static_cast<size_t>(row)] != test.Product(row, x);
      VV_CHECK(wrong == 0, "%d of %d rows, %d columns, keep %d, %s", wrong, rows, columns, keep,
               vivavoce::Int8PathName(paths[p]));
      VV_CHECK(sums.back() == 77, "%s wrote past its end", vivavoce::Int8PathName(paths[p]));
    }
  }
}

void TestThePathsOfThisProcessor() {
  Int8Path paths[vivavoce::kInt8PathCount];
  const int count = vivavoce::Int8Paths(paths);
  VV_CHECK(count >= 2 && paths[0] == Int8Path::kScalar && paths[1] == Int8Path::kVector, "%d paths", count);
  VV_CHECK(vivavoce::BestInt8Path() == paths[count - 1], "the best is not the last");
  for (int i = 0; i < count; ++i) std::printf("%s\n", vivavoce::Int8PathName(paths[i]));
}

}  // namespace

int main() {
  TestThePathsOfThisProcessor();
  for (const bool extreme : {false, true}) {
    for (const int keep : {0, 1, 3, 4}) {
      for (const int columns : {4, 8, 12, 16, 20, 60, 640, vivavoce::kMaxInt8Columns}) {
        TestPaths(48, columns, keep, extreme);
      }
    }
  }
  return Report();
}
