// Lane order, which every vector algorithm of the core builds on.
#include "simd.h"

#include <initializer_list>

#include "check.h"

namespace {

using vivavoce::F32x4;

bool Equal(F32x4 value, std::initializer_list<float> expected) {
  int lane = 0;
  for (const float want : expected) {
    if (value[lane++] != want) return false;
  }
  return lane == vivavoce::kLanes;
}

void TestShuffles() {
  const F32x4 low{0, 1, 2, 3};
  const F32x4 high{4, 5, 6, 7};
  F32x4 even, odd, back_low, back_high;
  vivavoce::Deinterleave(low, high, &even, &odd);
  VV_CHECK(Equal(even, {0, 2, 4, 6}) && Equal(odd, {1, 3, 5, 7}), "deinterleave");
  vivavoce::Interleave(even, odd, &back_low, &back_high);
  VV_CHECK(Equal(back_low, {0, 1, 2, 3}) && Equal(back_high, {4, 5, 6, 7}), "interleave");
  VV_CHECK(Equal(vivavoce::Reverse(low), {3, 2, 1, 0}), "reverse");
  F32x4 rows[4] = {{0, 1, 2, 3}, {10, 11, 12, 13}, {20, 21, 22, 23}, {30, 31, 32, 33}};
  vivavoce::Transpose(rows);
  VV_CHECK(Equal(rows[0], {0, 10, 20, 30}) && Equal(rows[3], {3, 13, 23, 33}), "transpose");
}

void TestSelect() {
  const F32x4 value{-1, 2, -3, 4};
  VV_CHECK(Equal(vivavoce::Select(value > 0.f, value, vivavoce::Splat<F32x4>(9)), {9, 2, 9, 4}), "select");
}

/// 2^24 swallows a 1 that is added to it: the order shows.
void TestSumOrder() {
  VV_CHECK(vivavoce::Sum(F32x4{16777216, 1, 1, 1}) == 16777218.f, "(0 + 2) + (1 + 3)");
  VV_CHECK(vivavoce::Sum(F32x4{1, 16777216, 1, -16777216}) == 2.f, "(0 + 2) + (1 + 3)");
}

}  // namespace

int main() {
  TestShuffles();
  TestSelect();
  TestSumOrder();
  return Report();
}
