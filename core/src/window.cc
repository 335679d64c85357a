#include "window.h"

#include "elementary.h"

namespace vivavoce {

void VorbisWindow(int size, float* window) {
  for (int i = 0; i < size / 2; ++i) {
    const double sine = SinCosOfTurns((i + 0.5) / (2. * size)).sin;
    // The outer sine has its argument in quarters of a turn. Mirrored, so that the halves are equal to the bit.
    window[i] = window[size - 1 - i] = static_cast<float>(SinCosOfTurns(0.25 * sine * sine).sin);
  }
}

void HannWindow(int size, float* window) {
  for (int i = 0; i < size; ++i) {
    // sin^2 instead of 1/2 - 1/2 cos: no cancellation near the ends, where the window is almost 0.
    const double sine = SinCosOfTurns(i / (2. * size)).sin;
    window[i] = static_cast<float>(sine * sine);
  }
}

}  // namespace vivavoce
