// Payloads of deep redundancy that were damaged: most of those whose check is made right again reach the decoder, and
// nothing but a payload or an error comes of them. The format itself is tested against the reference in Python.
//
//   test_dred [COUNT]     so many damaged payloads
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "check.h"
#include "dred_payload.h"
#include "range_coder.h"

using namespace vivavoce;

namespace {

constexpr int kLatent = 24, kState = 48, kRoom = 600;

uint32_t seed = 1;

/// From 0 to `limit` - 1.
uint32_t Random(uint32_t limit) {
  seed ^= seed << 13;
  seed ^= seed >> 17;
  seed ^= seed << 5;
  return seed % limit;
}

/// Wide numbers at fine levels and narrow ones at coarse levels; every eighth dimension is not sent at coarse ones.
struct Tables {
  uint16_t zero[kDredLevels * kState], more[kDredLevels * kState];

  Tables() {
    for (int level = 0; level < kDredLevels; ++level) {
      for (int i = 0; i < kState; ++i) {
        const bool never = i % 8 == 7 && level > 8;
        zero[level * kState + i] = static_cast<uint16_t>(never ? kCertain : 2000 + 1900u * static_cast<uint32_t>(level));
        more[level * kState + i] = static_cast<uint16_t>(28000 - 1700 * level);
      }
    }
  }
};

int8_t Number(const SymbolTables& tables, int level, int i) {
  if (tables.zero[level * tables.dimensions + i] == kCertain || Random(3) == 0) return 0;
  const int limit = Random(40) == 0 ? kDredMaxMagnitude : 4;
  return static_cast<int8_t>(static_cast<int>(Random(2 * static_cast<uint32_t>(limit) + 1)) - limit);
}

/// The check of a payload, once more.
void Correct(uint8_t* data, int size) {
  uint32_t crc = 0xffff;
  for (int i = 0; i < size; ++i) {
    if (i == 2 || i == 3) continue;
    crc ^= static_cast<uint32_t>(data[i]) << 8;
    for (int bit = 0; bit < 8; ++bit) crc = ((crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021u : 0u)) & 0xffff;
  }
  data[2] = static_cast<uint8_t>(crc >> 8);
  data[3] = static_cast<uint8_t>(crc);
}

bool Same(const DredTables& tables, const DredPayload& a, const DredPayload& b) {
  bool same = a.offset == b.offset && a.chunks == b.chunks && std::memcmp(&a.levels, &b.levels, sizeof a.levels) == 0 &&
              std::memcmp(a.state, b.state, static_cast<size_t>(tables.state.dimensions)) == 0;
  for (int chunk = 0; same && chunk < a.chunks; ++chunk) {
    same = std::memcmp(a.latents[chunk], b.latents[chunk], static_cast<size_t>(tables.latent.dimensions)) == 0;
  }
  return same;
}

DredPayload Draw(const DredTables& tables) {
  DredPayload payload;
  payload.offset = kDredMinOffset + static_cast<int>(Random(kDredOffsets));
  payload.chunks = 1 + static_cast<int>(Random(kDredMaxChunks));
  DredLevels& levels = payload.levels;
  levels.first = static_cast<int>(Random(kDredLevels));
  levels.slope = static_cast<int>(Random(8));
  levels.last = levels.first;
  if (levels.slope > 0) levels.last += static_cast<int>(Random(static_cast<uint32_t>(kDredLevels - levels.first)));
  for (int i = 0; i < kState; ++i) payload.state[i] = Number(tables.state, levels.first, i);
  for (int chunk = 0; chunk < payload.chunks; ++chunk) {
    for (int i = 0; i < kLatent; ++i) payload.latents[chunk][i] = Number(tables.latent, levels.level(chunk), i);
  }
  return payload;
}

/// Reads what may be a payload; whether it is one.
bool Read(const DredTables& tables, const uint8_t* data, int size) {
  DredPayload read, again;
  if (ReadDred(tables, data, size, &read) != DredError::kNone) return false;
  VV_CHECK(read.chunks >= 1 && read.chunks <= kDredMaxChunks, "%d chunks", read.chunks);
  VV_CHECK(read.levels.valid(), "levels %d to %d, slope %d", read.levels.first, read.levels.last, read.levels.slope);
  VV_CHECK(read.offset >= kDredMinOffset && read.offset < kDredMinOffset + kDredOffsets, "offset %d", read.offset);
  uint8_t written[kDredMaxPayload];
  const int count = WriteDred(tables, read, written, sizeof written);
  VV_CHECK(count > 0 && ReadDred(tables, written, count, &again) == DredError::kNone, "%d bytes", count);
  VV_CHECK(Same(tables, read, again), "what was read is not read again from what is written of it");
  return true;
}

void TestDamage(int count) {
  static const Tables all;
  const DredTables tables = {3, {kLatent, all.zero, all.more}, {kState, all.zero, all.more}};
  int payloads = 0, reached = 0;
  for (int round = 0; round < count; ++round) {
    static DredPayload payload;
    static uint8_t valid[kDredMaxPayload];
    static int size;
    if (round % 16 == 0) {
      payload = Draw(tables);
      size = WriteDred(tables, payload, valid, sizeof valid);
      DredPayload read;
      VV_CHECK(size > 0 && ReadDred(tables, valid, size, &read) == DredError::kNone, "%d bytes", size);
      VV_CHECK(Same(tables, payload, read), "what is read is not what was written");
      VV_CHECK(WriteDred(tables, payload, valid, size - 1) == -1, "no room for a byte, and no error");
    }
    uint8_t data[kDredMaxPayload + kRoom];
    std::memcpy(data, valid, static_cast<size_t>(size));
    int length = size;
    for (uint32_t i = Random(4); i > 0; --i) data[Random(static_cast<uint32_t>(size))] = static_cast<uint8_t>(Random(256));
    if (Random(4) == 0) length = static_cast<int>(Random(static_cast<uint32_t>(size) + 1));
    if (Random(8) == 0) {
      for (uint32_t i = Random(kRoom); i > 0; --i) data[length++] = static_cast<uint8_t>(Random(256));
    }
    if (length >= 4 && Random(8) != 0) {
      data[0] = valid[0];
      data[1] = valid[1];
      Correct(data, length);
      ++reached;
    }
    payloads += Read(tables, data, length) ? 1 : 0;
  }
  std::printf("%d damaged, %d with a true check, %d still payloads\n", count, reached, payloads);
  VV_CHECK(payloads > count / 4 && payloads < count, "%d of %d", payloads, count);
}

}  // namespace

int main(int argc, char** argv) {
  TestDamage(argc > 1 ? std::max(16, std::atoi(argv[1])) : 200000);
  return Report();
}
