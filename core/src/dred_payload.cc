#include "dred_payload.h"

#include <algorithm>
#include <cstdlib>

#include "range_coder.h"

namespace vivavoce {
namespace {

constexpr uint8_t kMagic = 'V';
constexpr int kVersion = 0, kModelBits = 5;
constexpr int kPrefix = 4, kHead = 2;  // bytes before those that are range coded, and before the check
constexpr int kSlopes[] = {0, 2, 3, 4, 6, 8, 12, 16};  // sixteenths of a level a chunk
constexpr int kSlopeCount = sizeof kSlopes / sizeof *kSlopes;

/// CRC-16 with the polynomial 0x1021, of each byte alone.
struct CrcTable {
  constexpr CrcTable() : of() {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      uint32_t crc = byte << 8;
      for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021 : 0);
      of[byte] = static_cast<uint16_t>(crc);
    }
  }
  uint16_t of[256];
};
constexpr CrcTable kCrc;

uint32_t Crc(uint32_t crc, const uint8_t* data, int size) {
  for (int i = 0; i < size; ++i) crc = (crc << 8 & 0xffff) ^ kCrc.of[crc >> 8 ^ data[i]];
  return crc;
}

uint32_t Check(const uint8_t* data, int size) {
  return Crc(Crc(0xffff, data, kHead), data + kPrefix, size - kPrefix);
}

/// False: a number cannot be sent.
bool WriteVector(RangeEncoder* encoder, const int8_t* numbers, const SymbolTables& tables, int level) {
  const uint16_t* const zeros = tables.zero + level * tables.dimensions;
  const uint16_t* const mores = tables.more + level * tables.dimensions;
  for (int i = 0; i < tables.dimensions; ++i) {
    const int magnitude = std::abs(numbers[i]);
    if (magnitude > (zeros[i] < kCertain ? kDredMaxMagnitude : 0)) return false;
    if (zeros[i] == kCertain) continue;
    encoder->EncodeBit(magnitude == 0, zeros[i]);
    if (magnitude == 0) continue;
    encoder->EncodeNumber(numbers[i] < 0 ? 1 : 0, 2);
    for (int step = 1; step <= std::min(magnitude, kDredMaxMagnitude - 1); ++step) {
      encoder->EncodeBit(magnitude > step, mores[i]);
    }
  }
  return true;
}

void ReadVector(RangeDecoder* decoder, const SymbolTables& tables, int level, int8_t* numbers) {
  const uint16_t* const zeros = tables.zero + level * tables.dimensions;
  const uint16_t* const mores = tables.more + level * tables.dimensions;
  for (int i = 0; i < tables.dimensions; ++i) {
    numbers[i] = 0;
    if (zeros[i] == kCertain || decoder->DecodeBit(zeros[i])) continue;
    const bool negative = decoder->DecodeNumber(2) == 1;
    int magnitude = 1;
    while (magnitude < kDredMaxMagnitude && decoder->DecodeBit(mores[i])) ++magnitude;
    numbers[i] = static_cast<int8_t>(negative ? -magnitude : magnitude);
  }
}

}  // namespace

int DredLevels::level(int chunk) const { return std::min(last, first + (kSlopes[slope] * chunk + 8) / 16); }

bool DredLevels::valid() const {
  return 0 <= first && first <= last && last < kDredLevels && 0 <= slope && slope < kSlopeCount;
}

int WriteDred(const DredTables& tables, const DredPayload& payload, uint8_t* out, int capacity) {
  const DredLevels& levels = payload.levels;
  const int offset = payload.offset - kDredMinOffset;
  if (capacity < kPrefix || !levels.valid() || offset < 0 || offset >= kDredOffsets) return -1;
  if (payload.chunks < 1 || payload.chunks > kDredMaxChunks) return -1;
  RangeEncoder encoder(out + kPrefix, std::min(capacity, kDredMaxPayload) - kPrefix);
  encoder.EncodeNumber(static_cast<uint32_t>(payload.chunks - 1), kDredMaxChunks);
  encoder.EncodeNumber(static_cast<uint32_t>(offset), kDredOffsets);
  encoder.EncodeNumber(static_cast<uint32_t>(levels.first), kDredLevels);
  encoder.EncodeNumber(static_cast<uint32_t>(levels.slope), kSlopeCount);
  if (levels.slope > 0) {
    encoder.EncodeNumber(static_cast<uint32_t>(levels.last - levels.first),
                         static_cast<uint32_t>(kDredLevels - levels.first));
  }
  if (!WriteVector(&encoder, payload.state, tables.state, levels.first)) return -1;
  for (int chunk = 0; chunk < payload.chunks; ++chunk) {
    if (!WriteVector(&encoder, payload.latents[chunk], tables.latent, levels.level(chunk))) return -1;
  }
  const int coded = encoder.Finish();
  if (coded < 0) return -1;
  out[0] = kMagic;
  out[1] = static_cast<uint8_t>(kVersion << kModelBits | tables.model);
  const uint32_t check = Check(out, kPrefix + coded);
  out[kHead] = static_cast<uint8_t>(check >> 8);
  out[kHead + 1] = static_cast<uint8_t>(check);
  return kPrefix + coded;
}

DredError ReadDred(const DredTables& tables, const uint8_t* data, int size, DredPayload* payload) {
  if (size < kPrefix || size > kDredMaxPayload || data[0] != kMagic) return DredError::kNoPayload;
  if (data[1] >> kModelBits != kVersion) return DredError::kVersion;
  if ((data[1] & ((1 << kModelBits) - 1)) != tables.model) return DredError::kModel;
  if (Check(data, size) != (static_cast<uint32_t>(data[kHead]) << 8 | data[kHead + 1])) return DredError::kCheck;
  RangeDecoder decoder(data + kPrefix, size - kPrefix);
  const int bits = 8 * (size - kPrefix) + 1;  // more are not there
  payload->chunks = 1 + static_cast<int>(decoder.DecodeNumber(kDredMaxChunks));
  payload->offset = kDredMinOffset + static_cast<int>(decoder.DecodeNumber(kDredOffsets));
  DredLevels& levels = payload->levels;
  levels.first = levels.last = static_cast<int>(decoder.DecodeNumber(kDredLevels));
  levels.slope = static_cast<int>(decoder.DecodeNumber(kSlopeCount));
  if (levels.slope > 0) {
    levels.last += static_cast<int>(decoder.DecodeNumber(static_cast<uint32_t>(kDredLevels - levels.first)));
  }
  ReadVector(&decoder, tables.state, levels.first, payload->state);
  for (int chunk = 0; chunk < payload->chunks && decoder.bits_read() <= bits; ++chunk) {
    ReadVector(&decoder, tables.latent, levels.level(chunk), payload->latents[chunk]);
  }
  return decoder.bits_read() > bits ? DredError::kShort : DredError::kNone;
}

}  // namespace vivavoce
