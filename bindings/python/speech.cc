// What the core knows of speech at 16 kHz, for Python: whole signals, as training and tests need them.
#include <algorithm>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bind.h"
#include "burg.h"
#include "cepstrum.h"
#include "denormals.h"
#include "sane.h"

using namespace binding;

namespace {

FloatMatrix SpeechFeatures(const Array& array, size_t frames) {
  constexpr size_t kHop = vivavoce::kSpeechHop, kFeatures = vivavoce::kSpeechFeatures;
  const Vector<float> samples("samples", array);
  std::unique_ptr<float[]> features(new float[frames * kFeatures]);
  const auto analysis = std::make_unique<vivavoce::SpeechAnalysis>();
  const auto state = std::make_unique<vivavoce::SpeechAnalysis::State>();
  if (!analysis->ok()) throw std::bad_alloc();
  {
    const nb::gil_scoped_release release;
    const vivavoce::FlushDenormals modes;
    for (size_t i = 0; i < frames; ++i) {
      float hop[kHop] = {};
      const size_t start = std::min(i * kHop, samples.size());
      std::copy_n(samples.data() + start, std::min(kHop, samples.size() - start), hop);
      analysis->Advance(hop, state.get(), features.get() + i * kFeatures);
    }
  }
  return Own<FloatMatrix>(std::move(features), {frames, kFeatures});
}

FloatMatrix BurgFeatures(const Array& array, size_t frames) {
  constexpr size_t kHop = vivavoce::kSpeechHop, kFeatures = vivavoce::kBurgFeatures;
  const Vector<float> samples("samples", array);
  std::unique_ptr<float[]> features(new float[frames * kFeatures]);
  std::vector<float> padded(frames * kHop + 1);
  const size_t count = std::min(samples.size(), frames * kHop);
  for (size_t i = 0; i < count; ++i) padded[i + 1] = vivavoce::Sane(vivavoce::Splat<vivavoce::F32x4>(samples.data()[i]))[0];
  const auto analysis = std::make_unique<vivavoce::SpeechAnalysis>();
  if (!analysis->ok()) throw std::bad_alloc();
  {
    const nb::gil_scoped_release release;
    const vivavoce::FlushDenormals modes;
    for (size_t i = 0; i < frames; ++i) {
      vivavoce::BurgFeatures(*analysis, padded.data() + 1 + (i + 1) * kHop, features.get() + i * kFeatures);
    }
  }
  return Own<FloatMatrix>(std::move(features), {frames, kFeatures});
}

}  // namespace

void BindSpeech(nb::module_& m) {
  m.def("speech_features", &SpeechFeatures, "samples"_a.noconvert(), "frames"_a,
        nb::sig("def speech_features(samples: " VV_FLOATS ", frames: int) -> " VV_FLOATS),
        R"(Cepstrum, pitch and voicing of every 10 ms, as `vivavoce.signal.cepstrum` has them; the GIL is released.

Args:
    samples: Shape (samples,), float32 in [-1, 1), 16 kHz; silent outside.
    frames: How many.

Returns:
    Shape (frames, 20).

Raises:
    TypeError: `samples` is not float32.
    ValueError: `samples` has another shape.)");

  m.def("burg_features", &BurgFeatures, "samples"_a.noconvert(), "frames"_a,
        nb::sig("def burg_features(samples: " VV_FLOATS ", frames: int) -> " VV_FLOATS),
        R"(Burg cepstra of every 10 ms, as `vivavoce.signal.burg` has them; the GIL is released.

Args:
    samples: Shape (samples,), float32 in [-1, 1), 16 kHz; silent outside.
    frames: How many.

Returns:
    Shape (frames, 36).

Raises:
    TypeError: `samples` is not float32.
    ValueError: `samples` has another shape.)");
}
