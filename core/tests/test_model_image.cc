// Images are refused before they can do harm: cut, changed, or changed and given a right checksum.
#include "model_image.h"

#include <cstdio>
#include <cstring>
#include <iterator>
#include <limits>
#include <vector>

#include "check.h"
#include "denormals.h"
#include "image.h"
#include "model.h"

namespace {

Image Small(int keep) { return RandomImage(16, 16, 16, 16, keep); }

vv_status Load(const void* data, size_t size) {
  vv_status status = VV_OK;
  vv_model* model = vv_model_from_memory(data, size, &status);
  VV_CHECK((model != nullptr) == (status == VV_OK), "status %d", status);
  vv_model_destroy(model);
  return status;
}

/// Some frames of what the model makes of noise, all of which must be finite.
std::vector<float> Run(const vv_model& model, vivavoce::Int8Path path) {
  std::vector<float> outputs;
  std::vector<float> state(model.percepnet.state_bytes() / sizeof(float));
  const vivavoce::FlushDenormals modes;
  for (uint32_t frame = 0; frame < 8; ++frame) {
    outputs.resize(outputs.size() + 69);
    float* const out = &outputs[outputs.size() - 69];
    model.percepnet.Step(path, state.data(), Noise(70, frame).data(), out, out + 34, out + 68);
  }
  return outputs;
}

void TestGoodImages() {
  for (const int keep : {0, 1, 3, 4}) {
    Image image = Small(keep);
    vv_status status = VV_ERROR_MODEL;
    vv_model* model = vv_model_from_memory(image.data(), image.size(), &status);
    VV_CHECK(status == VV_OK && model != nullptr, "keep %d: %d", keep, status);
    if (model == nullptr) continue;
    VV_CHECK(std::strcmp(vv_model_name(model), "percepnet-test-v1") == 0, "%s", vv_model_name(model));
    VV_CHECK(vv_model_sample_rate(model) == 48000 && vv_model_lookahead_frames(model) == 2, "keep %d", keep);
    vivavoce::Int8Path paths[vivavoce::kInt8PathCount];
    const int count = vivavoce::Int8Paths(paths);
    const std::vector<float> outputs = Run(*model, paths[0]);
    for (int i = 1; i < count; ++i) VV_CHECK(Run(*model, paths[i]) == outputs, "%s", vivavoce::Int8PathName(paths[i]));

    // From an odd address it is copied, and the original no longer needed.
    std::vector<char> moved(image.size() + 1);
    std::memcpy(&moved[1], image.data(), image.size());
    vv_model* copied = vv_model_from_memory(&moved[1], image.size(), nullptr);
    moved.assign(moved.size(), 0);
    VV_CHECK(copied != nullptr && Run(*copied, paths[0]) == outputs, "keep %d", keep);
    vv_model_destroy(copied);
    vv_model_destroy(model);
  }
}

void TestArguments() {
  vv_status status = VV_OK;
  VV_CHECK(vv_model_load(nullptr, &status) == nullptr && status == VV_ERROR_ARGUMENT, "%d", status);
  VV_CHECK(vv_model_from_memory(nullptr, 64, &status) == nullptr && status == VV_ERROR_ARGUMENT, "%d", status);
  VV_CHECK(vv_model_load("/does/not/exist", &status) == nullptr && status == VV_ERROR_FILE, "%d", status);
  VV_CHECK(vv_model_load(".", &status) == nullptr && status == VV_ERROR_FILE, "%d", status);
  VV_CHECK(vv_model_load("/does/not/exist", nullptr) == nullptr, "without a status");
  vv_model_destroy(nullptr);
  VV_CHECK(vv_model_sample_rate(nullptr) == 0 && vv_model_lookahead_frames(nullptr) == 0, "NULL");
  VV_CHECK(vv_model_name(nullptr)[0] == 0, "NULL");
}

void TestEveryTruncation() {
  Image image = Small(3);
  for (size_t size = 0; size < image.size(); ++size) {
    // An allocation of its own, so that a sanitizer sees what is read beyond it.
    std::vector<char> cut(image.data(), image.data() + size);
    VV_CHECK(Load(cut.data() == nullptr ? image.data() : cut.data(), size) == VV_ERROR_MODEL, "%zu bytes", size);
  }
  for (size_t size = 64; size < image.size(); size += 64) {  // as if that had been its length all along
    Image cut(std::vector<char>(image.data(), image.data() + size));
    if (size >= sizeof(vivavoce::ImageHeader)) {
      cut.header()->size = size;
      cut.Seal();
    }
    VV_CHECK(Load(cut.data(), size) == VV_ERROR_MODEL, "%zu bytes", size);
  }
}

void TestEveryByteCounts() {
  Image image = Small(3);
  for (size_t i = 0; i < image.size(); ++i) {
    image.data()[i] ^= 0x10;
    VV_CHECK(Load(image.data(), image.size()) == VV_ERROR_MODEL, "byte %zu", i);
    image.data()[i] ^= 0x10;
  }
  VV_CHECK(Load(image.data(), image.size()) == VV_OK, "as it was");
}

/// Each word of header and table with each of many values and a right checksum: refused, or a network that runs.
void TestHostileFields() {
  const uint32_t values[] = {0,     1,     2,       3,        15,       16,         17,         64,
                             128,   1024,  1025,    8192,     16384,    65535,      0x00ffffff, 0x7fffffff,
                             1u << 31, 1u << 30, 1u << 26, 0xffffffff, 0xffffffc0, 0x7fc00000};
  for (const int keep : {3, 4}) {
    Image image = Small(keep);
    const size_t table_end = 128 + 64 * image.header()->tensors;
    for (size_t offset = 0; offset < table_end; offset += 4) {
      uint32_t before;
      std::memcpy(&before, image.data() + offset, sizeof before);
      std::vector<uint32_t> tried(std::begin(values), std::end(values));
      for (int bit = 0; bit < 32; ++bit) tried.push_back(before ^ (1u << bit));
      for (const uint32_t step : {1u, 4u, 16u, 64u}) tried.push_back(before + step), tried.push_back(before - step);
      for (const uint32_t value : tried) {
        std::memcpy(image.data() + offset, &value, sizeof value);
        if (offset < 8 || offset >= 16) image.Seal();
        vv_model* model = vv_model_from_memory(image.data(), image.size(), nullptr);
        if (model != nullptr) {
          for (const float output : Run(*model, model->path)) {
            VV_CHECK(output >= 0.f && output <= 1.f, "word %zu = %x: output %g", offset, value,
                     static_cast<double>(output));
          }
        }
        vv_model_destroy(model);
      }
      std::memcpy(image.data() + offset, &before, sizeof before);
    }
    image.Seal();
    VV_CHECK(Load(image.data(), image.size()) == VV_OK, "as it was");
  }
}

/// The same for random bytes anywhere, several at once.
void TestHostileBytes() {
  uint32_t seed = 1;
  const auto random = [&seed] { return (seed = 1664525u * seed + 1013904223u) >> 8; };
  for (int turn = 0; turn < 2000; ++turn) {
    Image image = Small(turn % 2 == 0 ? 3 : 4);
    const size_t range = turn % 3 == 0 ? image.size() : 128 + 64 * 15;
    for (uint32_t i = 0; i < 1 + turn % 4u; ++i) image.data()[random() % range] = static_cast<char>(random());
    image.Seal();
    vv_model* model = vv_model_from_memory(image.data(), image.size(), nullptr);
    if (model != nullptr) {
      for (const float output : Run(*model, model->path)) VV_CHECK(output >= 0.f && output <= 1.f, "turn %d", turn);
    }
    vv_model_destroy(model);
  }
}

void TestRefusedBodies() {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (const float value : {nan, infinity, -infinity, 2e6f}) {
    for (const bool scale : {false, true}) {
      Image image = Small(4);
      const vivavoce::ImageTensor& tensor = image.tensors()[2];
      std::memcpy(image.data() + (scale ? tensor.scale : tensor.bias) + 8, &value, sizeof value);
      image.Seal();
      VV_CHECK(Load(image.data(), image.size()) == VV_ERROR_MODEL, "%g", static_cast<double>(value));
    }
  }
  Image image = Small(4);
  image.data()[image.tensors()[1].weights + 5] = -128;
  image.Seal();
  VV_CHECK(Load(image.data(), image.size()) == VV_ERROR_MODEL, "a weight of -128");

  for (const int change : {0, 1, 2}) {  // of the columns of sparse blocks: beyond the last, twice, falling
    Image sparse = Small(3);
    uint16_t* const columns = reinterpret_cast<uint16_t*>(sparse.data() + sparse.tensors()[3].block_columns);
    if (change == 0) columns[2] = 4;
    if (change == 1) columns[1] = columns[0];
    if (change == 2) columns[0] = columns[1] + 1u;
    sparse.Seal();
    VV_CHECK(Load(sparse.data(), sparse.size()) == VV_ERROR_MODEL, "change %d", change);
  }
}

void TestFiles() {
  Image image = Small(1);
  const char* const path = "test_model_image.vvm";
  std::FILE* file = std::fopen(path, "wb");
  VV_CHECK(file != nullptr, "cannot write %s", path);
  if (file == nullptr) return;
  std::fwrite(image.data(), 1, image.size(), file);
  std::fclose(file);
  vv_status status;
  vv_model* mapped = vv_model_load(path, &status);
  vv_model* viewed = vv_model_from_memory(image.data(), image.size(), nullptr);
  VV_CHECK(mapped != nullptr && status == VV_OK, "status %d", status);
  if (mapped != nullptr && viewed != nullptr) {
    VV_CHECK(Run(*mapped, mapped->path) == Run(*viewed, viewed->path), "mapped and viewed differ");
  }
  vv_model_destroy(mapped);
  vv_model_destroy(viewed);
  file = std::fopen(path, "wb");  // empty
  if (file != nullptr) std::fclose(file);
  VV_CHECK(vv_model_load(path, &status) == nullptr && status == VV_ERROR_FILE, "status %d", status);
  std::remove(path);
}

}  // namespace

int main() {
  TestGoodImages();
  TestArguments();
  TestEveryTruncation();
  TestEveryByteCounts();
  TestHostileFields();
  TestHostileBytes();
  TestRefusedBodies();
  TestFiles();
  return Report();
}
