// Model images with random weights, written as model_image.h describes them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "model_image.h"
#include "noise.h"

/// An image at an aligned address, whose checksum can be made right again after a change.
class Image {
 public:
  explicit Image(const std::vector<char>& bytes) : storage_(bytes.size() / 64 + 1), size_(bytes.size()) {
    std::memcpy(data(), bytes.data(), bytes.size());
    Seal();
  }

  char* data() { return storage_[0].bytes; }
  size_t size() const { return size_; }
  vivavoce::ImageHeader* header() { return reinterpret_cast<vivavoce::ImageHeader*>(data()); }
  vivavoce::ImageTensor* tensors() { return reinterpret_cast<vivavoce::ImageTensor*>(data() + 128); }
  void Seal() { header()->checksum = vivavoce::ImageChecksum(data(), size_); }

 private:
  struct alignas(64) Line {
    char bytes[64];
  };
  std::vector<Line> storage_;
  size_t size_;
};

/// Writes the tensors of one image, one after the other.
class ImageWriter {
 public:
  ImageWriter() : bytes_(128 + 64 * kTensors) {}

  /// `keep` of 4 blocks are present, in a pattern; 4 makes a dense tensor.
  void Add(int rows, int columns, bool is_float, int keep = 4) {
    vivavoce::ImageTensor tensor = {};
    const int strips = (rows + 15) / 16;
    tensor.rows = static_cast<uint32_t>(rows);
    tensor.columns = static_cast<uint32_t>(columns);
    tensor.bias = Floats(strips * 16, 0.2f);
    if (is_float) {
      tensor.kind = vivavoce::TensorKind::kFloat;
      tensor.weights = Floats(strips * 16 * columns, 0.3f);
    } else {
      tensor.kind = keep == 4 ? vivavoce::TensorKind::kInt8 : vivavoce::TensorKind::kSparseInt8;
      std::vector<uint32_t> begins = {0};
      std::vector<uint16_t> block_columns;
      for (int strip = 0; strip < strips; ++strip) {
        for (int column = 0; column < (columns + 3) / 4; ++column) {
          if ((column + strip) % 4 < keep) block_columns.push_back(static_cast<uint16_t>(column));
        }
        begins.push_back(static_cast<uint32_t>(block_columns.size()));
      }
      tensor.blocks = begins.back();
      if (keep < 4) {
        tensor.strips = Append(begins);
        tensor.block_columns = Append(block_columns);
      }
      const std::vector<float> noise = Noise(static_cast<int>(tensor.blocks) * 64, ++seed_);
      std::vector<int8_t> weights;
      for (const float value : noise) weights.push_back(static_cast<int8_t>(127.9f * value));
      tensor.weights = Append(weights);
      // So that the sums have a deviation of about 1, and no tanh is stuck at its end.
      const float scale = 3.f / (127.f * 127.f * std::sqrt(static_cast<float>(columns)));
      tensor.scale = Append(std::vector<float>(static_cast<size_t>(strips) * 16, scale));
    }
    std::memcpy(&bytes_[128 + 64 * static_cast<size_t>(count_++)], &tensor, sizeof tensor);
  }

  Image Finish(const uint32_t (&sizes)[4]) {
    vivavoce::ImageHeader header = {};
    std::memcpy(header.magic, "VVMODEL", 8);
    header.size = bytes_.size();
    header.version = 1;
    header.kind = vivavoce::ModelKind::kPercepNet;
    std::memcpy(header.name, "percepnet-test-v1", 17);
    header.sample_rate = 48000;
    header.lookahead_frames = 2;
    header.dimensions[0] = 70;
    header.dimensions[1] = 34;
    std::memcpy(header.dimensions + 2, sizes, sizeof sizes);
    header.tensors = kTensors;
    std::memcpy(bytes_.data(), &header, sizeof header);
    return Image(bytes_);
  }

 private:
  static constexpr size_t kTensors = 15;

  template <class T>
  uint64_t Append(const std::vector<T>& body) {
    const size_t begin = bytes_.size(), bytes = body.size() * sizeof(T);
    bytes_.resize(begin + (bytes + 63) / 64 * 64);
    if (bytes > 0) std::memcpy(&bytes_[begin], body.data(), bytes);
    return begin;
  }

  uint64_t Floats(int count, float scale) {
    std::vector<float> noise = Noise(count, ++seed_);
    for (float& value : noise) value *= scale;
    return Append(noise);
  }

  std::vector<char> bytes_;
  int count_ = 0;
  uint32_t seed_ = 0;
};

/// The image of a whole network; `keep` of 4 blocks in its recurrent layers.
inline Image RandomImage(uint32_t dense, uint32_t conv, uint32_t gru, uint32_t strengths, int keep) {
  ImageWriter writer;
  const int d = static_cast<int>(dense), c = static_cast<int>(conv), g = static_cast<int>(gru);
  const int s = static_cast<int>(strengths);
  writer.Add(d, 70, true);
  writer.Add(c, 5 * d, false);
  writer.Add(c, 3 * c, false);
  for (int i = 0; i < 4; ++i) {
    writer.Add(3 * g, i == 0 ? c : g, false, keep);
    writer.Add(3 * g, g, false, keep);
  }
  writer.Add(3 * s, g + c, false, keep);
  writer.Add(3 * s, s, false, keep);
  writer.Add(35, c + 4 * g, false);
  writer.Add(34, s, false);
  return writer.Finish({dense, conv, gru, strengths});
}
