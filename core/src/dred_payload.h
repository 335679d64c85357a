// The payload of deep redundancy: src/vivavoce/redundancy/payload.py, and docs/dred-payload.md for the format.
#pragma once

#include <cstdint>

namespace vivavoce {

inline constexpr int kDredLevels = 16;
inline constexpr int kDredMaxChunks = 26;
inline constexpr int kDredMaxDimensions = 128;
inline constexpr int kDredMaxMagnitude = 63;
inline constexpr int kDredMaxPayload = 4096;
inline constexpr int kDredMinOffset = -64, kDredOffsets = 256;  // units of 2.5 ms

/// Probabilities of numbers by level and dimension, in 1 / kCertain: kDredLevels rows of `dimensions`.
struct SymbolTables {
  int dimensions;        ///< at most kDredMaxDimensions
  const uint16_t* zero;  ///< of being 0, from 1 on; kCertain: it always is, and is not sent
  const uint16_t* more;  ///< of a magnitude being above another, from 1 to kCertain - 1
};

/// What payloads of one model are written and read with.
struct DredTables {
  int model;  ///< 0 to 31
  SymbolTables latent, state;
};

/// Levels of the quantiser: `first` for the newest chunk, and so many sixteenths coarser with each.
struct DredLevels {
  int first, slope, last;

  int level(int chunk) const;
  bool valid() const;
};

/// What a payload says; the newest latent vector first.
struct DredPayload {
  int offset;  ///< from the end of the newest chunk to the packet's RTP timestamp
  DredLevels levels;
  int chunks;
  int8_t state[kDredMaxDimensions];
  int8_t latents[kDredMaxChunks][kDredMaxDimensions];
};

/// How many bytes were written; -1: a number is out of range, or there is no room.
int WriteDred(const DredTables& tables, const DredPayload& payload, uint8_t* out, int capacity);

/// What was wrong with bytes.
enum class DredError { kNone, kNoPayload, kVersion, kModel, kCheck, kShort };

/// Reads a payload; what was read is of use only where nothing was wrong.
DredError ReadDred(const DredTables& tables, const uint8_t* data, int size, DredPayload* payload);

}  // namespace vivavoce
