// A trained model as one flat buffer: the weights of a network in the order and layout in which the core reads them.
//
// vivavoce.training.image writes it from a checkpoint; here it is verified and looked at, not read: the pages of the
// file are the weights, and all processes share them. All numbers are little-endian.
//
//   header       128 bytes, ImageHeader
//   tensors      64 bytes each, ImageTensor, in the order that the kind of model defines
//   bodies       each at a multiple of 64 bytes, zeros between them
//
// Rows are filled up with zeros to whole strips of 16. A strip of a float32 matrix is stored column after column, that
// of an int8 matrix in the blocks of int8.h, whose columns are filled up too.
//
// An image is trusted in nothing: Read refuses whatever would lead outside of it, and every number that is not finite
// or too large to stay so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "file_mapping.h"
#include "int8.h"
#include "nnet.h"
#include "vivavoce.h"

namespace vivavoce {

inline constexpr int kImageAlignment = 64;
inline constexpr int kImageDimensions = 8;
inline constexpr int kImageMaxTensors = 64;

/// What the model is; tensors and dimensions follow from it.
enum class ModelKind : uint32_t { kPercepNet = 1, kFargan = 2, kPredictor = 3, kLpcnet = 4, kRdoVae = 5 };

struct ImageHeader {
  char magic[8];      ///< "VVMODEL" and a zero
  uint64_t checksum;  ///< ImageChecksum of the whole image, with zero in this place
  uint64_t size;      ///< bytes of the image, a multiple of 64
  uint32_t version;   ///< of this format: 1
  ModelKind kind;
  char name[32];      ///< printable ASCII, at least one zero at its end
  uint32_t sample_rate;
  uint32_t lookahead_frames;
  uint32_t dimensions[kImageDimensions];
  uint32_t tensors;
  uint32_t reserved[5];  ///< zero
};
static_assert(sizeof(ImageHeader) == 128, "the format of images");

enum class TensorKind : uint32_t { kFloat = 1, kInt8 = 2, kSparseInt8 = 3, kWhole = 4 };

/// A matrix, the bias and (int8 only) scale of each row, (sparse only) which blocks it has; or a table of whole numbers,
/// int32, row after row, and nothing else. Offsets count from the beginning of the image; those that the kind has no use
/// for are 0.
struct ImageTensor {
  TensorKind kind;
  uint32_t rows;     ///< as the network has them
  uint32_t columns;
  uint32_t blocks;   ///< how many the image holds; 0 for float and whole numbers
  uint64_t weights;
  uint64_t bias;           ///< float32 for each row, filled up
  uint64_t scale;          ///< float32 for each row, filled up
  uint64_t strips;         ///< uint32: Int8Matrix::strips
  uint64_t block_columns;  ///< uint16: Int8Matrix::block_columns, rising in each strip
  uint64_t reserved;       ///< zero
};
static_assert(sizeof(ImageTensor) == 64, "the format of images");

/// The 64-bit words of the image go to 8 lanes in turn, h = (rotate(h, 29) xor word) * 0x100000001b3, and the lanes in
/// the same way to the result; all begin at 0xcbf29ce484222325. That is FNV-1a, but for words instead of bytes, with a
/// rotation, as a product alone carries nothing downwards. It finds accidents; it is no signature.
uint64_t ImageChecksum(const void* image, size_t size);

/// An image, verified; read-only from then on.
class ModelImage {
 public:
  /// Maps a file.
  vv_status Open(const char* path);

  /// Views `data`, which then has to live as long, or copies it where it is not aligned to 64 bytes.
  vv_status Read(const void* data, size_t size);

  const ImageHeader& header() const { return *reinterpret_cast<const ImageHeader*>(data_); }

  /// Tensor `index` in the type that it must have, of `rows` by `columns`. False: the image has another there.
  bool Get(uint32_t index, int rows, int columns, FloatDense* dense) const;
  bool Get(uint32_t index, int rows, int columns, QuantisedDense* dense) const;
  bool Get(uint32_t index, int rows, int columns, const int32_t** numbers) const;

 private:
  vv_status Verify(const void* data, size_t size);
  bool Verify(const ImageTensor& tensor) const;
  bool VerifyBlocks(const ImageTensor& tensor) const;
  bool Holds(uint64_t offset, uint64_t bytes) const;
  const ImageTensor* Find(uint32_t index, int rows, int columns) const;
  Int8Matrix Matrix(const ImageTensor& tensor) const;
  bool Correct();
  template <class T>
  const T* At(uint64_t offset) const {
    return reinterpret_cast<const T*>(data_ + offset);
  }

  FileMapping file_;
  std::unique_ptr<char[]> copy_;
  const char* data_ = nullptr;
  size_t size_ = 0;
  std::unique_ptr<int32_t[]> corrections_;  ///< of all int8 tensors
  uint32_t first_correction_[kImageMaxTensors] = {};
};

}  // namespace vivavoce
