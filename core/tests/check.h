// The least that a native test needs: a condition that is printed where it fails, and the exit status.
#pragma once

#include <cstdio>

namespace vivavoce::testing {

inline int failures = 0;

}  // namespace vivavoce::testing

/// Goes on after a failure, so that one run shows all of them. The rest is a message as printf takes it.
#define VV_CHECK(condition, ...)                                        \
  do {                                                                  \
    if (!(condition)) {                                                 \
      ++vivavoce::testing::failures;                                    \
      std::printf("%s:%d: %s is false: ", __FILE__, __LINE__, #condition); \
      std::printf(__VA_ARGS__);                                         \
      std::printf("\n");                                                \
    }                                                                   \
  } while (false)

/// What main returns.
inline int Report() {
  std::printf("%d failed checks\n", vivavoce::testing::failures);
  return vivavoce::testing::failures == 0 ? 0 : 1;
}
