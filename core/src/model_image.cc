#include "model_image.h"

#include <cmath>
#include <cstring>
#include <new>

namespace vivavoce {
namespace {

constexpr char kMagic[8] = "VVMODEL";
constexpr uint32_t kVersion = 1;
constexpr uint32_t kMaxRows = 16384;
constexpr uint32_t kMaxFloatColumns = 4096;

/// No trained network comes near; below it, no sum of the layers leaves float32.
constexpr float kLargestNumber = 1e6f;

constexpr uint64_t kHashStart = 0xcbf29ce484222325u;

inline uint64_t HashStep(uint64_t hash, uint64_t word) {
  return (((hash << 29) | (hash >> 35)) ^ word) * 0x100000001b3u;
}

uint32_t WholeStrips(uint32_t rows) { return (rows + kStripRows - 1) / kStripRows; }
uint32_t WholeBlocks(uint32_t columns) { return (columns + kBlockColumns - 1) / kBlockColumns; }

bool IsInt8(const ImageTensor& t) { return t.kind == TensorKind::kInt8 || t.kind == TensorKind::kSparseInt8; }

bool AllFinite(const float* numbers, uint64_t count) {
  bool finite = true;
  for (uint64_t i = 0; i < count; ++i) finite &= std::fabs(numbers[i]) <= kLargestNumber;
  return finite;
}

bool IsName(const char (&name)[32]) {
  size_t length = 0;
  while (length < sizeof name && name[length] >= 0x20 && name[length] < 0x7f) ++length;
  if (length == 0 || length == sizeof name) return false;
  for (; length < sizeof name; ++length) {
    if (name[length] != 0) return false;
  }
  return true;
}

}  // namespace

uint64_t ImageChecksum(const void* image, size_t size) {
  constexpr int kLaneCount = 8;
  constexpr size_t kRow = kLaneCount * sizeof(uint64_t);
  uint64_t lanes[kLaneCount];
  for (uint64_t& lane : lanes) lane = kHashStart;
  const char* const bytes = static_cast<const char*>(image);
  for (size_t offset = 0; offset + kRow <= size; offset += kRow) {
    uint64_t words[kLaneCount];
    std::memcpy(words, bytes + offset, sizeof words);
    if (offset == 0) words[offsetof(ImageHeader, checksum) / sizeof(uint64_t)] = 0;
    for (int i = 0; i < kLaneCount; ++i) lanes[i] = HashStep(lanes[i], words[i]);
  }
  uint64_t hash = kHashStart;
  for (const uint64_t lane : lanes) hash = HashStep(hash, lane);
  return hash;
}

vv_status ModelImage::Open(const char* path) {
  if (!file_.Open(path)) return VV_ERROR_FILE;
  return Verify(file_.data(), file_.size());
}

vv_status ModelImage::Read(const void* data, size_t size) {
  if (reinterpret_cast<uintptr_t>(data) % kImageAlignment == 0) return Verify(data, size);
  copy_.reset(new (std::nothrow) char[size + kImageAlignment]);
  if (copy_ == nullptr) return VV_ERROR_MEMORY;
  const size_t skip = kImageAlignment - reinterpret_cast<uintptr_t>(copy_.get()) % kImageAlignment;
  std::memcpy(copy_.get() + skip, data, size);
  return Verify(copy_.get() + skip, size);
}

vv_status ModelImage::Verify(const void* data, size_t size) {
  constexpr uint32_t kOne = 1;
  if (*reinterpret_cast<const char*>(&kOne) != 1) return VV_ERROR_MODEL;  // a big-endian processor
  if (size < sizeof(ImageHeader) || size % kImageAlignment != 0) return VV_ERROR_MODEL;
  data_ = static_cast<const char*>(data);
  size_ = size;
  const ImageHeader& h = header();
  if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0 || h.version != kVersion || h.size != size) {
    return VV_ERROR_MODEL;
  }
  if (h.checksum != ImageChecksum(data, size)) return VV_ERROR_MODEL;
  if (!IsName(h.name) || h.sample_rate < 8000 || h.sample_rate > 192000 || h.lookahead_frames > 100) {
    return VV_ERROR_MODEL;
  }
  for (const uint32_t word : h.reserved) {
    if (word != 0) return VV_ERROR_MODEL;
  }
  if (h.tensors > kImageMaxTensors || !Holds(sizeof(ImageHeader), h.tensors * sizeof(ImageTensor))) {
    return VV_ERROR_MODEL;
  }
  const ImageTensor* const tensors = At<ImageTensor>(sizeof(ImageHeader));
  for (uint32_t i = 0; i < h.tensors; ++i) {
    if (!Verify(tensors[i])) return VV_ERROR_MODEL;
  }
  return Correct() ? VV_OK : VV_ERROR_MEMORY;
}

bool ModelImage::Holds(uint64_t offset, uint64_t bytes) const {
  return offset % kImageAlignment == 0 && offset >= sizeof(ImageHeader) && offset <= size_ && bytes <= size_ - offset;
}

bool ModelImage::Verify(const ImageTensor& t) const {
  if (t.rows == 0 || t.rows > kMaxRows || t.columns == 0 || t.reserved != 0) return false;
  if (t.kind == TensorKind::kWhole) {
    return t.columns <= kMaxFloatColumns && t.blocks == 0 && t.bias == 0 && t.scale == 0 && t.strips == 0 &&
           t.block_columns == 0 && Holds(t.weights, uint64_t{t.rows} * t.columns * sizeof(int32_t));
  }
  const uint64_t rows = uint64_t{WholeStrips(t.rows)} * kStripRows;
  if (!Holds(t.bias, rows * sizeof(float)) || !AllFinite(At<float>(t.bias), rows)) return false;
  if (t.kind == TensorKind::kFloat) {
    const uint64_t count = rows * t.columns;
    return t.columns <= kMaxFloatColumns && t.blocks == 0 && t.scale == 0 && t.strips == 0 && t.block_columns == 0 &&
           Holds(t.weights, count * sizeof(float)) && AllFinite(At<float>(t.weights), count);
  }
  if (t.columns > kMaxInt8Columns || !Holds(t.scale, rows * sizeof(float))) return false;
  const uint64_t weights = uint64_t{t.blocks} * kBlockBytes;
  if (!AllFinite(At<float>(t.scale), rows) || !Holds(t.weights, weights)) return false;
  // -128 is no weight: not every path of int8.h can multiply by it.
  if (std::memchr(At<int8_t>(t.weights), 0x80, static_cast<size_t>(weights)) != nullptr) return false;
  if (t.kind == TensorKind::kSparseInt8) return VerifyBlocks(t);
  return t.kind == TensorKind::kInt8 && t.strips == 0 && t.block_columns == 0 &&
         t.blocks == WholeStrips(t.rows) * WholeBlocks(t.columns);
}

bool ModelImage::VerifyBlocks(const ImageTensor& t) const {
  const uint32_t strip_count = WholeStrips(t.rows);
  if (!Holds(t.strips, (uint64_t{strip_count} + 1) * sizeof(uint32_t))) return false;
  if (!Holds(t.block_columns, uint64_t{t.blocks} * sizeof(uint16_t))) return false;
  const uint32_t* const strips = At<uint32_t>(t.strips);
  const uint16_t* const columns = At<uint16_t>(t.block_columns);
  if (strips[0] != 0 || strips[strip_count] != t.blocks) return false;
  for (uint32_t s = 0; s < strip_count; ++s) {
    if (strips[s] > strips[s + 1] || strips[s + 1] > t.blocks) return false;
    for (uint32_t i = strips[s]; i < strips[s + 1]; ++i) {
      if (columns[i] >= WholeBlocks(t.columns) || (i > strips[s] && columns[i] <= columns[i - 1])) return false;
    }
  }
  return true;
}

Int8Matrix ModelImage::Matrix(const ImageTensor& t) const {
  Int8Matrix matrix = {};
  matrix.rows = static_cast<int>(WholeStrips(t.rows)) * kStripRows;
  matrix.columns = static_cast<int>(WholeBlocks(t.columns)) * kBlockColumns;
  matrix.blocks = At<int8_t>(t.weights);
  if (t.kind == TensorKind::kSparseInt8) {
    matrix.strips = At<uint32_t>(t.strips);
    matrix.block_columns = At<uint16_t>(t.block_columns);
  }
  return matrix;
}

/// Calculates what int8.h wants to know beside the image.
bool ModelImage::Correct() {
  const ImageTensor* const tensors = At<ImageTensor>(sizeof(ImageHeader));
  uint32_t count = 0;
  for (uint32_t i = 0; i < header().tensors; ++i) {
    first_correction_[i] = count;
    if (IsInt8(tensors[i])) count += WholeStrips(tensors[i].rows) * kStripRows;
  }
  corrections_.reset(new (std::nothrow) int32_t[count + 1]);
  if (corrections_ == nullptr) return false;
  for (uint32_t i = 0; i < header().tensors; ++i) {
    if (!IsInt8(tensors[i])) continue;
    Int8Corrections(Matrix(tensors[i]), corrections_.get() + first_correction_[i]);
  }
  return true;
}

const ImageTensor* ModelImage::Find(uint32_t index, int rows, int columns) const {
  if (index >= header().tensors) return nullptr;
  const ImageTensor* const tensor = At<ImageTensor>(sizeof(ImageHeader)) + index;
  const bool fits = tensor->rows == static_cast<uint32_t>(rows) && tensor->columns == static_cast<uint32_t>(columns);
  return fits ? tensor : nullptr;
}

bool ModelImage::Get(uint32_t index, int rows, int columns, FloatDense* dense) const {
  const ImageTensor* const t = Find(index, rows, columns);
  if (t == nullptr || t->kind != TensorKind::kFloat) return false;
  const int whole_rows = static_cast<int>(WholeStrips(t->rows)) * kStripRows;
  *dense = {whole_rows, columns, At<float>(t->weights), At<float>(t->bias)};
  return true;
}

bool ModelImage::Get(uint32_t index, int rows, int columns, const int32_t** numbers) const {
  const ImageTensor* const t = Find(index, rows, columns);
  if (t == nullptr || t->kind != TensorKind::kWhole) return false;
  *numbers = At<int32_t>(t->weights);
  return true;
}

bool ModelImage::Get(uint32_t index, int rows, int columns, QuantisedDense* dense) const {
  const ImageTensor* const t = Find(index, rows, columns);
  if (t == nullptr || !IsInt8(*t)) return false;
  *dense = {Matrix(*t), At<float>(t->scale), At<float>(t->bias)};
  dense->weights.corrections = corrections_.get() + first_correction_[index];
  return true;
}

}  // namespace vivavoce
