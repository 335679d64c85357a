// The range coder of src/vivavoce/redundancy/entropy.py (RFC 6716, section 4.1), without memory of its own.
#pragma once

#include <cstdint>

namespace vivavoce {

inline constexpr int kProbabilityBits = 15;  // of a binary decision
inline constexpr uint32_t kCertain = 1u << kProbabilityBits;

/// Symbols to bytes.
class RangeEncoder {
 public:
  /// Writes to `out`, which has room for `capacity` bytes.
  RangeEncoder(uint8_t* out, int capacity) : out_(out), capacity_(capacity) {}

  /// A symbol whose count, out of `total`, is `high - low`, and that of all below it `low`: low < high <= total <=
  /// kCertain.
  void Encode(uint32_t low, uint32_t high, uint32_t total);

  /// A decision whose being true has the probability, in 1 / kCertain, from 1 to kCertain - 1.
  void EncodeBit(bool bit, uint32_t probability) {
    const uint32_t above = (width_ >> kProbabilityBits) * probability;
    low_ += bit ? width_ - above : 0;
    width_ = bit ? above : width_ - above;
    while (width_ <= kMinWidth) Shift();
  }

  /// One of `total` numbers from 0 on, all as likely.
  void EncodeNumber(uint32_t number, uint32_t total) { Encode(number, number + 1, total); }

  /// How many bytes were written, the last symbols included; -1: there was no room for them.
  int Finish();

 private:
  static constexpr uint32_t kMinWidth = 1u << 23;

  void Shift();
  void Put(uint32_t value);
  void Append(uint32_t byte);

  uint8_t* out_;
  int capacity_, size_ = 0;
  uint32_t low_ = 0, width_ = 1u << 31;
  int kept_ = -1;  // a byte that a carry may still reach, and how many of 255 follow it
  int full_ = 0;
};

/// Bytes to symbols. Where the bytes end, zeros follow.
class RangeDecoder {
 public:
  RangeDecoder(const uint8_t* data, int size);

  /// What the symbols so far are worth, in whole bits, rounded up.
  int bits_read() const;

  /// Decodes what EncodeBit wrote.
  bool DecodeBit(uint32_t probability);

  /// Decodes what EncodeNumber wrote: below `total`, whatever the bytes.
  uint32_t DecodeNumber(uint32_t total);

 private:
  uint32_t Find(uint32_t total);
  void Accept(uint32_t low, uint32_t high, uint32_t total);
  void Normalise();
  uint32_t Next() { return at_ < size_ ? data_[at_++] : 0; }

  const uint8_t* data_;
  int size_, at_ = 0, bits_ = 9;
  uint32_t width_ = 128, below_ = 0, last_ = 0, unit_ = 0;
};

}  // namespace vivavoce
