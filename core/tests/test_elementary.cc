// exp, log and tanh against libm in double: special values, and the stated errors over every 997th float. The Python
// tests sweep more densely.
#include "elementary.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <vector>

#include "check.h"

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kSmallestNormal = std::numeric_limits<float>::min();
constexpr float kSmallestSubnormal = std::numeric_limits<float>::denorm_min();

using ArrayFunction = void (*)(const float*, float*, size_t);

float One(ArrayFunction function, float x) {
  function(&x, &x, 1);
  return x;
}

bool Same(float a, float b) { return a == b ? std::signbit(a) == std::signbit(b) : std::isnan(a) && std::isnan(b); }

struct Case {
  float in;
  float out;
};

void TestSpecial(const char* name, ArrayFunction function, std::initializer_list<Case> cases) {
  for (const Case& each : cases) {
    const float got = One(function, each.in);
    VV_CHECK(Same(got, each.out), "%s(%g) is %g, not %g", name, each.in, got, each.out);
  }
}

/// Largest error in units of the last place of the true value, over normal results.
double WorstUlp(ArrayFunction function, double (*truth)(double), float from, float to) {
  double worst = 0;
  uint32_t first, last;
  std::memcpy(&first, &from, sizeof first);
  std::memcpy(&last, &to, sizeof last);
  for (uint32_t bits = first; bits <= last; bits += 997) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    const double want = truth(x);
    if (std::fabs(want) < kSmallestNormal) continue;
    const double ulp = std::ldexp(1., std::ilogb(want) - 23);
    worst = std::fmax(worst, std::fabs(One(function, x) - want) / ulp);
  }
  return worst;
}

void TestErrors() {
  using namespace vivavoce;
  double (*const exp_of)(double) = std::exp;
  double (*const log_of)(double) = std::log;
  const double exp_up = WorstUlp(Exp, exp_of, kSmallestNormal, 88.72f);
  const double exp_down = WorstUlp(Exp, exp_of, -kSmallestNormal, -87.33f);
  const double log_all = WorstUlp(Log, log_of, kSmallestSubnormal, std::numeric_limits<float>::max());
  VV_CHECK(exp_up < 1.1 && exp_down < 1.1, "exp is off by %.3f and %.3f ulp", exp_up, exp_down);
  VV_CHECK(log_all < 1.1, "log is off by %.3f ulp", log_all);
  double worst = 0;
  for (float x = kSmallestNormal; x < 12.f; x *= 1.0003f) {
    worst = std::fmax(worst, std::fabs(One(Tanh, x) / std::tanh(static_cast<double>(x)) - 1));
    VV_CHECK(One(Tanh, -x) == -One(Tanh, x), "tanh is not odd at %g", x);
  }
  VV_CHECK(worst < 4e-7, "tanh is off by %.3g", worst);
}

/// An array of any length gives what its elements give one by one, and nothing past its end is written.
void TestLengths() {
  for (size_t count = 0; count < 10; ++count) {
    std::vector<float> values(count + 1, 0.f);
    for (size_t i = 0; i < count; ++i) values[i] = 0.3f * static_cast<float>(i) + 0.1f;
    values[count] = 5.f;
    std::vector<float> results(values);
    vivavoce::Log(results.data(), results.data(), count);
    for (size_t i = 0; i < count; ++i) VV_CHECK(results[i] == One(vivavoce::Log, values[i]), "%zu of %zu", i, count);
    VV_CHECK(results[count] == 5.f, "%zu values: wrote past the end", count);
  }
}

void TestSinCos() {
  constexpr double kPi = 3.14159265358979323846;  // the test's own angles are off by up to 1e-15
  for (int i = 0; i <= 7200; ++i) {
    const vivavoce::SinCos got = vivavoce::SinCosOfTurns(i / 7200.);
    VV_CHECK(std::fabs(got.sin - std::sin(i * kPi / 3600)) < 2e-15, "sin, %d", i);
    VV_CHECK(std::fabs(got.cos - std::cos(i * kPi / 3600)) < 2e-15, "cos, %d", i);
  }
  const vivavoce::SinCos quarter = vivavoce::SinCosOfTurns(0.25);
  VV_CHECK(quarter.sin == 1. && quarter.cos == 0., "a quarter of a turn");
}

}  // namespace

int main() {
  using namespace vivavoce;
  TestSpecial("exp", Exp,
              {{0.f, 1.f}, {-0.f, 1.f}, {kSmallestSubnormal, 1.f}, {kInfinity, kInfinity}, {-kInfinity, 0.f},
               {88.7228317f, 3.40279851e38f}, {88.7228394f, kInfinity}, {3e38f, kInfinity}, {-87.3365479f, 0.f}, {-3e38f, 0.f}, {kNan, kNan}});
  TestSpecial("log", Log,
              {{1.f, 0.f}, {0.f, -kInfinity}, {-0.f, -kInfinity}, {kInfinity, kInfinity}, {-kInfinity, kNan},
               {-1.f, kNan}, {-kSmallestSubnormal, kNan}, {kNan, kNan}});
  TestSpecial("tanh", Tanh,
              {{0.f, 0.f}, {-0.f, -0.f}, {kInfinity, 1.f}, {-kInfinity, -1.f}, {9.02f, 1.f}, {-3e38f, -1.f},
               {3e38f, 1.f}, {1e19f, 1.f}, {kNan, kNan}});
  TestErrors();
  TestLengths();
  TestSinCos();
  return Report();
}
