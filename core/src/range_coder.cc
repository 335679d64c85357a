#include "range_coder.h"

#include <algorithm>

namespace vivavoce {
namespace {

constexpr int kWidthBits = 32;
constexpr uint32_t kMinWidth = 1u << 23, kLowMask = (1u << 31) - 1, kByte = 255;

int BitLength(uint32_t value) {
  int bits = 0;
  for (; value != 0; value >>= 1) ++bits;
  return bits;
}

}  // namespace

void RangeEncoder::Encode(uint32_t low, uint32_t high, uint32_t total) {
  const uint32_t unit = width_ / total;
  if (low > 0) {
    low_ += width_ - unit * (total - low);
    width_ = unit * (high - low);
  } else {
    width_ -= unit * (total - high);
  }
  while (width_ <= kMinWidth) Shift();
}

void RangeEncoder::Shift() {
  Put(low_ >> 23);
  low_ = (low_ << 8) & kLowMask;
  width_ <<= 8;
}

void RangeEncoder::Append(uint32_t byte) {
  if (size_ < capacity_) out_[size_] = static_cast<uint8_t>(byte);
  size_ += size_ <= capacity_ ? 1 : 0;
}

/// Eight bits, and a ninth that goes into those before.
void RangeEncoder::Put(uint32_t value) {
  if (value == kByte) {
    ++full_;
    return;
  }
  const uint32_t carry = value >> 8;
  if (kept_ >= 0) Append(static_cast<uint32_t>(kept_) + carry);
  for (; full_ > 0; --full_) Append(kByte + carry);
  kept_ = static_cast<int>(value & kByte);
}

int RangeEncoder::Finish() {
  int bits = kWidthBits - BitLength(width_);
  uint32_t mask = kLowMask >> bits;
  uint32_t end = (low_ + mask) & ~mask;
  if ((end | mask) >= low_ + width_) {  // one bit more makes sure
    ++bits;
    mask >>= 1;
    end = (low_ + mask) & ~mask;
  }
  for (; bits > 0; bits -= 8) {
    Put(end >> 23);
    end = (end << 8) & kLowMask;
  }
  if (kept_ >= 0 || full_ > 0) Put(0);
  return size_ <= capacity_ ? size_ : -1;
}

RangeDecoder::RangeDecoder(const uint8_t* data, int size) : data_(data), size_(size) {
  last_ = Next();
  below_ = 127 - (last_ >> 1);
  Normalise();
}

int RangeDecoder::bits_read() const { return bits_ - BitLength(width_); }

uint32_t RangeDecoder::Find(uint32_t total) {
  unit_ = width_ / total;
  return total - std::min(below_ / unit_ + 1, total);
}

void RangeDecoder::Accept(uint32_t low, uint32_t high, uint32_t total) {
  const uint32_t above = unit_ * (total - high);
  below_ -= above;
  width_ = low > 0 ? unit_ * (high - low) : width_ - above;
  Normalise();
}

void RangeDecoder::Normalise() {
  while (width_ <= kMinWidth) {
    bits_ += 8;
    width_ <<= 8;
    const uint32_t before = last_;
    last_ = Next();
    const uint32_t symbol = (before << 7 | last_ >> 1) & kByte;
    below_ = ((below_ << 8) + (kByte - symbol)) & kLowMask;
  }
}

bool RangeDecoder::DecodeBit(uint32_t probability) {
  const uint32_t border = kCertain - probability;
  const bool bit = Find(kCertain) >= border;
  Accept(bit ? border : 0, bit ? kCertain : border, kCertain);
  return bit;
}

uint32_t RangeDecoder::DecodeNumber(uint32_t total) {
  const uint32_t number = Find(total);
  Accept(number, number + 1, total);
  return number;
}

}  // namespace vivavoce
