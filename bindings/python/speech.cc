// What the core knows of speech at 16 kHz, for Python: whole signals, as training and tests need them.
#include <nanobind/stl/unique_ptr.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bind.h"
#include "burg.h"
#include "cepstrum.h"
#include "concealer.h"
#include "denormals.h"
#include "lpc.h"
#include "model_handle.h"
#include "sane.h"
#include "turn.h"

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

/// Linear prediction of each row of cepstra.
nb::tuple LpcOfCepstrum(const Array& array) {
  constexpr size_t kBands = vivavoce::kBarkBands, kOrder = vivavoce::kLpcOrder;
  const std::vector<float> cepstra = Rows("cepstra", array, kBands);
  const size_t frames = cepstra.size() / kBands;
  const auto lpc = std::make_unique<vivavoce::CepstralLpc>();
  if (!lpc->ok()) throw std::bad_alloc();
  std::unique_ptr<float[]> predictions(new float[frames * kOrder]);
  FloatVector levels = NewArray<FloatVector>(frames, [&](float* out) {
    const vivavoce::FlushDenormals modes;
    for (size_t i = 0; i < frames; ++i) out[i] = lpc->Predict(cepstra.data() + i * kBands, predictions.get() + i * kOrder);
  });
  return nb::make_tuple(Own<FloatMatrix>(std::move(predictions), {frames, kOrder}), levels);
}

class Concealer {
 public:
  Concealer(const Model& predictor, const Model& vocoder, int sample_rate)
      : predictor_(predictor.shared()),
        vocoder_(vocoder.shared()),
        sample_rate_((Check(sample_rate), sample_rate)),
        concealer_(predictor_->predictor, predictor_->path, vocoder_->vocoder(), vocoder_->path, sample_rate) {
    if (!concealer_.ok()) throw std::bad_alloc();
  }

  FloatVector Receive(const Array& array, bool joined) {
    const Vector<float> samples("samples", array);
    CheckCount(samples.size());
    const Turn turn(busy_, kName);
    return NewArray<FloatVector>(samples.size(), [&](float* out) {
      const vivavoce::FlushDenormals modes;
      concealer_.Receive(samples.data(), static_cast<int>(samples.size()), joined, out);
    });
  }

  FloatVector Conceal(size_t count) {
    CheckCount(count);
    const Turn turn(busy_, kName);
    return NewArray<FloatVector>(count, [&](float* out) {
      const vivavoce::FlushDenormals modes;
      concealer_.Conceal(out, static_cast<int>(count));
    });
  }

  void Foresee(const Array& array, int gap) {
    const Vector<float> samples("samples", array);
    CheckCount(samples.size());
    if (gap < 0) throw nb::value_error(("gap must not be negative, got " + std::to_string(gap)).c_str());
    const Turn turn(busy_, kName);
    const vivavoce::FlushDenormals modes;
    concealer_.Foresee(samples.data(), static_cast<int>(samples.size()), gap);
  }

  void Tell(const Array& array, int64_t gap) {
    const std::vector<float> features = Rows("features", array, vivavoce::kSpeechFeatures);
    const Turn turn(busy_, kName);
    const vivavoce::FlushDenormals modes;
    concealer_.Tell(features.data(), static_cast<int>(features.size() / vivavoce::kSpeechFeatures), gap);
  }

  FloatVector Ahead(size_t count) {
    CheckCount(count, vivavoce::Concealer::kMaxAhead);
    const Turn turn(busy_, kName);
    return NewArray<FloatVector>(count, [&](float* out) {
      const vivavoce::FlushDenormals modes;
      concealer_.Ahead(out, static_cast<int>(count));
    });
  }

  FloatVector Played(size_t count) {
    CheckCount(count, static_cast<size_t>(concealer_.history()));
    const Turn turn(busy_, kName);
    return NewArray<FloatVector>(count, [&](float* out) { concealer_.Played(out, static_cast<int>(count)); });
  }

  void Reset() {
    const Turn turn(busy_, kName);
    concealer_.Reset();
  }

  std::unique_ptr<Concealer> Copy() {
    const Turn turn(busy_, kName);
    auto copy = std::make_unique<Concealer>(*this, 0);
    copy->concealer_.CopyState(concealer_);
    return copy;
  }

  Concealer(const Concealer& other, int)
      : predictor_(other.predictor_),
        vocoder_(other.vocoder_),
        sample_rate_(other.sample_rate_),
        concealer_(predictor_->predictor, predictor_->path, vocoder_->vocoder(), vocoder_->path, sample_rate_) {
    if (!concealer_.ok()) throw std::bad_alloc();
  }

 private:
  static constexpr const char* kName = "Concealer";

  static void CheckCount(size_t count, size_t most = size_t{1} << 24) {
    if (count > most) {
      const std::string text = "at most " + std::to_string(most) + " samples at a time, got " + std::to_string(count);
      throw nb::value_error(text.c_str());
    }
  }

  void Check(int sample_rate) const {
    if (!vivavoce::Concealer::Supports(sample_rate)) {
      const std::string got = std::to_string(sample_rate);
      throw nb::value_error(("sample_rate must be 8000, 12000, 16000, 24000 or 48000, got " + got).c_str());
    }
    if (predictor_->predictor.state_bytes() == 0) {
      throw nb::value_error((std::string("no predictor of lost features: ") + vv_model_name(predictor_.get())).c_str());
    }
    if (vocoder_->vocoder().state_bytes() == 0) {
      throw nb::value_error((std::string("no vocoder: ") + vv_model_name(vocoder_.get())).c_str());
    }
  }

  std::shared_ptr<vv_model> predictor_, vocoder_;
  int sample_rate_;
  vivavoce::Concealer concealer_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

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

  m.def("lpc_of_cepstrum", &LpcOfCepstrum, "cepstra"_a.noconvert(),
        nb::sig("def lpc_of_cepstrum(cepstra: " VV_FLOATS ") -> tuple[" VV_FLOATS ", " VV_FLOATS "]"),
        R"(Linear prediction, as `vivavoce.signal.cepstrum` has it; the GIL is released.

Args:
    cepstra: Shape (frames, 18), float32.

Returns:
    Predictions, shape (frames, 16), and levels of what they leave, shape (frames,).

Raises:
    TypeError: `cepstra` is not float32.
    ValueError: `cepstra` has another shape.)");

  nb::class_<Concealer>(m, "Concealer",
                        R"(Neural packet-loss concealment of one stream; for one thread at a time.

Args:
    predictor: A model of the system "plc".
    vocoder: A model of the system "fargan" or "lpcnet".
    sample_rate: 8, 12, 16, 24 or 48 kHz. Above 8 kHz, noise with the spectrum of what was there is put in.

Raises:
    ValueError: A model is of another system, or the rate is another.)")
      .def(nb::init<const Model&, const Model&, int>(), "predictor"_a, "vocoder"_a, "sample_rate"_a = 16000,
           nb::sig("def __init__(self, predictor: Model, vocoder: Model, sample_rate: int = 16000) -> None"))
      .def("receive", &Concealer::Receive, "samples"_a.noconvert(), "joined"_a = false,
           nb::sig("def receive(self, samples: " VV_FLOATS ", joined: bool = False) -> " VV_FLOATS),
           R"(Take samples that arrived, without the GIL.

Args:
    samples: Shape (samples,), float32 in [-1, 1). What is beyond +-4 is limited, NaN and infinity count as 0.
    joined: They go on from what was made, if there was a gap before them.

Returns:
    What is to be played for them: after a gap that they are not joined to, the first 5 ms go over from what was made.

Raises:
    TypeError: `samples` is not float32.
    ValueError: `samples` has another shape.)")
      .def("conceal", &Concealer::Conceal, "count"_a, nb::sig("def conceal(self, count: int) -> " VV_FLOATS),
           R"(Make samples where none arrived, without the GIL.

Args:
    count: How many.

Returns:
    Shape (count,), float32 in [-1, 1].)")
      .def("foresee", &Concealer::Foresee, "samples"_a.noconvert(), "gap"_a,
           nb::sig("def foresee(self, samples: " VV_FLOATS ", gap: int) -> None"),
           R"(Tell what follows the gap that is next, or that lasts, so that what is made goes over to it.

Args:
    samples: Shape (samples,), float32; from 20 ms on, and of them the first 60.
    gap: Samples from the beginning of the gap to the first of them.

Raises:
    TypeError: `samples` is not float32.
    ValueError: `samples` has another shape, or `gap` is negative.)")
      .def("tell", &Concealer::Tell, "features"_a.noconvert(), "gap"_a,
           nb::sig("def tell(self, features: " VV_FLOATS ", gap: int) -> None"),
           R"(Tell features of the gap that is next, or that lasts: what is made has them.

Args:
    features: Of frames of 10 ms, shape (frames, 20), float32; those of the past are of no use.
    gap: Samples from the beginning of the gap to the centre of the first of them.

Raises:
    TypeError: `features` is not float32.
    ValueError: `features` has another shape.)")
      .def("ahead", &Concealer::Ahead, "count"_a, nb::sig("def ahead(self, count: int) -> " VV_FLOATS),
           R"(What `conceal` would make next in the gap that it began, without going on and without the GIL.

Args:
    count: Up to 480.

Returns:
    Shape (count,), float32; between gaps silence.)")
      .def("played", &Concealer::Played, "count"_a, nb::sig("def played(self, count: int) -> " VV_FLOATS),
           R"(The last samples that were played.

Args:
    count: Up to 260 ms of them.

Returns:
    Shape (count,), float32, oldest first.)")
      .def("reset", &Concealer::Reset, "Back to the beginning, after silence.")
      .def("copy", &Concealer::Copy, "A stream that goes on as this one would.");
}
