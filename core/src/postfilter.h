// What turns gains and strengths into sound, as src/vivavoce/enhancement/postfilter.py has it: mixing, the envelope
// post-filter, the limit on decay. Arrays of bands have kPaddedBands, those of bins kPaddedBins numbers.
#pragma once

#include "bands.h"

namespace vivavoce {

/// Z = (1 - r) Y + r P. `scales` gets what each band must be scaled by to have the energy of Y again.
void Mix(const ErbBands& bands, const float* noisy, const float* noisy_energies, const float* comb,
         const float* strengths, float* mixed, float* scales);

/// Multiplies each bin by what the bands say, interpolated.
void Scale(const ErbBands& bands, const float* scales, float* spectrum);

/// Bands that are noisy still go down further; the frame as a whole keeps nearly its loudness. `out` may be `gains`.
void EnvelopePostfilter(const float* gains, const float* energies, float* out);

/// No gain falls faster than a room of 100 ms reverberation time. `previous` are those of the frame before, limited,
/// and become those of this frame.
void LimitDecay(float* gains, float* previous);

}  // namespace vivavoce
