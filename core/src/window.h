// Windows for overlapping frames. The formulas and their properties stand at the public functions in vivavoce.h.
#pragma once

namespace vivavoce {

/// The Vorbis power-complementary window (Vorbis I specification, section 4.3.1). `size` is even.
void VorbisWindow(int size, float* window);

/// The periodic Hann window.
void HannWindow(int size, float* window);

}  // namespace vivavoce
