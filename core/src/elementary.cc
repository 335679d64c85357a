#include "elementary.h"

#include <limits>

namespace vivavoce {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// ln 2 in two parts. The first has 9 significant bits, so that its product with any exponent is exact.
constexpr float kLn2High = 0.693359375f;
constexpr float kLn2Low = -2.12194440e-4f;

// Adding and subtracting it rounds a float below 2^22 to the nearest integer, which then stands in the low bits.
constexpr float kRounder = 12582912.f;  // 1.5 * 2^23

constexpr int kMantissaBits = 23;
constexpr int kExponentBias = 127;

/// c[0] + c[1] x + c[2] x^2 ... by Horner's rule.
template <int kCount>
inline F32x4 Polynomial(const float (&c)[kCount], F32x4 x) {
  F32x4 sum = Splat<F32x4>(c[kCount - 1]);
  for (int i = kCount - 2; i >= 0; --i) sum = sum * x + c[i];
  return sum;
}

/// Applies a vector function to an array; the last lanes are filled with ones, which no function minds.
template <F32x4 (*kFunction)(F32x4)>
inline void Map(const float* in, float* out, size_t count) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(out + i, kFunction(Load<F32x4>(in + i)));
  if (i == count) return;
  float rest[kLanes] = {1.f, 1.f, 1.f, 1.f};
  std::memcpy(rest, in + i, (count - i) * sizeof(float));
  Store(rest, kFunction(Load<F32x4>(rest)));
  std::memcpy(out + i, rest, (count - i) * sizeof(float));
}

}  // namespace

F32x4 Exp(F32x4 x) {
  // x = n ln 2 + r, |r| <= ln 2 / 2; e^r = 1 + r + r^2 P(r), with P the minimax polynomial (relative error 3.1e-9).
  static constexpr float kP[] = {0.499999934f, 0.166665203f, 0.0416683918f, 0.00836875595f, 0.00138145175f};
  constexpr float kLargest = 88.7228317f;    // the last x whose result is finite
  constexpr float kSmallest = -87.3365402f;  // the last x whose result is normal
  constexpr float kLog2E = 1.44269504f;

  // Limited first, so that the exponent below cannot overflow; comparisons with NaN are false and let it pass.
  F32x4 limited = Select(x > kLargest, Splat<F32x4>(kLargest), x);
  limited = Select(limited < kSmallest, Splat<F32x4>(kSmallest), limited);
  const F32x4 shifted = limited * kLog2E + kRounder;
  const F32x4 n = shifted - kRounder;
  const F32x4 r = (limited - n * kLn2High) - n * kLn2Low;
  const F32x4 power = 1.f + (r + r * r * Polynomial(kP, r));
  // 2^n for n up to 128 has no float of its own: half of the exponent at a time.
  const I32x4 exponent = Bits(shifted) - Bits(Splat<F32x4>(kRounder));
  const I32x4 half = exponent >> 1;
  const F32x4 scaled = power * FromBits((half + kExponentBias) << kMantissaBits) *
                       FromBits((exponent - half + kExponentBias) << kMantissaBits);
  const F32x4 above = Select(x > kLargest, Splat<F32x4>(kInfinity), scaled);
  return Select(x < kSmallest, Splat<F32x4>(0.f), above);
}

F32x4 Log(F32x4 x) {
  // x = 2^e (1 + f), with 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) = f - f^2/2 + f^3 P(f), minimax (error 5.8e-9).
  static constexpr float kP[] = {0.333333317f,  -0.25000821f,  0.200012269f, -0.166233573f,
                                 0.142017582f, -0.131601831f, 0.127615756f, -0.0763449302f};
  constexpr int32_t kRootHalf = 0x3f3504f3;  // bits of sqrt(1/2)
  constexpr int32_t kSmallestNormal = 1 << kMantissaBits;

  // A subnormal x is its mantissa times 2^-149; as an integer it survives processors that flush subnormal operands.
  I32x4 bits = Bits(x);
  const I32x4 subnormal = bits < kSmallestNormal;  // negative numbers too: they end as NaN
  bits = (subnormal & Bits(ToFloat(bits))) | (~subnormal & bits);
  // Counted from sqrt(1/2), the exponent field steps where 1 + f leaves its interval.
  const I32x4 steps = (bits - kRootHalf) >> kMantissaBits;
  const F32x4 f = FromBits(bits - (steps << kMantissaBits)) - 1.f;
  const F32x4 e = ToFloat(steps - (subnormal & 149));
  const F32x4 square = f * f;
  const F32x4 tail = square * f * Polynomial(kP, f) + e * kLn2Low;
  const F32x4 log = (f + (tail - 0.5f * square)) + e * kLn2High;

  const I32x4 magnitude = Bits(x) & 0x7fffffff;
  const I32x4 infinite = Bits(x) == Bits(Splat<F32x4>(kInfinity));
  const I32x4 invalid = (magnitude > Bits(Splat<F32x4>(kInfinity))) | ((Bits(x) < 0) & (magnitude != 0));
  F32x4 result = Select(magnitude == 0, Splat<F32x4>(-kInfinity), log);
  result = Select(infinite, x, result);
  return Select(invalid, Splat<F32x4>(kNan), result);
}

F32x4 Tanh(F32x4 x) {
  // x P(x^2) / Q(x^2), the minimax rational of relative error 2.1e-8 up to kOne. All coefficients are positive: nothing
  // cancels, and rounding adds little.
  static constexpr float kP[] = {0.999999979f, 0.133797082f, 0.00349402295f, 2.05832908e-5f, 1.33188144e-8f};
  static constexpr float kQ[] = {1.f, 0.467130235f, 0.0258710291f, 3.28307384e-4f, 7.76191242e-7f};
  constexpr float kOne = 9.02f;

  const I32x4 sign = Bits(x) & Bits(Splat<F32x4>(-0.f));
  const F32x4 one = FromBits(Bits(Splat<F32x4>(1.f)) | sign);
  const F32x4 square = x * x;
  const F32x4 ratio = x * Polynomial(kP, square) / Polynomial(kQ, square);
  // Far out, where the ratio is infinity over infinity, this is what counts; NaN compares false and stays.
  const I32x4 saturated = (x >= kOne) | (x <= -kOne) | (ratio > 1.f) | (ratio < -1.f);
  return Select(saturated, one, ratio);
}

void Exp(const float* in, float* out, size_t count) { Map<Exp>(in, out, count); }
void Log(const float* in, float* out, size_t count) { Map<Log>(in, out, count); }
void Tanh(const float* in, float* out, size_t count) { Map<Tanh>(in, out, count); }

SinCos SinCosOfTurns(double turns) {
  constexpr double kHalfPi = 1.5707963267948966;
  // Coefficients 1/k!, alternating: the series end far below double precision, as |x| <= pi/4.
  static constexpr double kSin[] = {1.,         -1. / 6,       1. / 120,         -1. / 5040,
                                    1. / 362880, -1. / 39916800, 1. / 6227020800., -1. / 1307674368000.};
  static constexpr double kCos[] = {1.,          -1. / 2,       1. / 24,         -1. / 720,        1. / 40320,
                                    -1. / 3628800, 1. / 479001600, -1. / 87178291200., 1. / 20922789888000.};
  const double quarters = 4 * turns;
  const int quarter = static_cast<int>(quarters + 0.5);
  const double x = (quarters - quarter) * kHalfPi;
  const double square = x * x;
  double sin = kSin[7];
  for (int i = 6; i >= 0; --i) sin = sin * square + kSin[i];
  sin *= x;
  double cos = kCos[8];
  for (int i = 7; i >= 0; --i) cos = cos * square + kCos[i];
  switch (quarter & 3) {
    case 0: return {sin, cos};
    case 1: return {cos, -sin};
    case 2: return {-sin, -cos};
    default: return {-cos, sin};
  }
}

}  // namespace vivavoce
