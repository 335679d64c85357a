// The core's networks for Python: models as files, and the networks alone, which tests hold to their definitions.
#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bind.h"
#include "denormals.h"
#include "model_handle.h"
#include "vivavoce.h"

using namespace binding;

namespace {

class PercepNetNetwork {
 public:
  PercepNetNetwork(const Model& model, const nb::object& path)
      : model_(model.shared()), path_(FindPath(*model_, path)) {
    CheckKind(model_->percepnet.state_bytes(), *model_, "PercepNet");
    state_.resize(model_->percepnet.state_bytes() / sizeof(float));
  }

  nb::tuple Step(const Array& array) {
    const Vector<float> features("features", array, vivavoce::kPercepNetFeatures);
    std::unique_ptr<float[]> strengths(new float[vivavoce::kPercepNetBands]);
    float voice;
    FloatVector gains = NewArray<FloatVector>(vivavoce::kPercepNetBands, [&](float* out) {
      Run(features.data(), 1, out, strengths.get(), &voice);
    });
    return nb::make_tuple(gains, Own<FloatVector>(std::move(strengths), {vivavoce::kPercepNetBands}), voice);
  }

  nb::tuple RunAll(const Array& array) {
    constexpr size_t kBands = vivavoce::kPercepNetBands;
    const std::vector<float> features = Rows("features", array, vivavoce::kPercepNetFeatures);
    const size_t frames = features.size() / vivavoce::kPercepNetFeatures;
    std::unique_ptr<float[]> gains(new float[frames * kBands]), strengths(new float[frames * kBands]);
    FloatVector voice = NewArray<FloatVector>(
        frames, [&](float* out) { Run(features.data(), frames, gains.get(), strengths.get(), out); });
    return nb::make_tuple(Own<FloatMatrix>(std::move(gains), {frames, kBands}),
                          Own<FloatMatrix>(std::move(strengths), {frames, kBands}), voice);
  }

  void Reset() { std::fill(state_.begin(), state_.end(), 0.f); }
  PercepNetNetwork Copy() const { return *this; }
  const char* path() const { return vivavoce::Int8PathName(path_); }

 private:
  void Run(const float* features, size_t frames, float* gains, float* strengths, float* voice) {
    const vivavoce::FlushDenormals modes;
    constexpr size_t kFeatures = vivavoce::kPercepNetFeatures, kBands = vivavoce::kPercepNetBands;
    for (size_t i = 0; i < frames; ++i) {
      model_->percepnet.Step(path_, state_.data(), features + i * kFeatures, gains + i * kBands, strengths + i * kBands,
                             voice + i);
    }
  }

  std::shared_ptr<vv_model> model_;
  vivavoce::Int8Path path_;
  std::vector<float> state_;
};

class VocoderNetwork {
 public:
  VocoderNetwork(const Model& model, const nb::object& path) : model_(model.shared()), path_(FindPath(*model_, path)) {
    CheckKind(Network().state_bytes(), *model_, "vocoder");
    state_.resize(Network().state_bytes() / sizeof(float));
    Reset();
  }

  void Begin(const Array& array) {
    const Vector<float> before("before", array, vivavoce::Vocoder::kBefore);
    Network().Begin(state_.data(), before.data());
  }

  void Feed(const Array& array) {
    const std::vector<float> features = Rows("features", array, kFeatures);
    const vivavoce::FlushDenormals modes;
    for (size_t i = 0; i < features.size(); i += kFeatures) Network().Feed(state_.data(), features.data() + i);
  }

  void Hear(const Array& features, const Array& samples) {
    ForFrames(features, samples, [this](const float* f, const float* x) { Network().Hear(state_.data(), f, x); });
  }

  void Follow(const Array& features, const Array& samples) {
    ForFrames(features, samples, [this](const float* f, const float* x) { Network().Follow(path_, state_.data(), f, x); });
  }

  FloatVector Synthesise(const Array& array) {
    const std::vector<float> features = Rows("features", array, kFeatures);
    const size_t frames = features.size() / kFeatures;
    return NewArray<FloatVector>(frames * kHop, [&](float* out) {
      const vivavoce::FlushDenormals modes;
      for (size_t i = 0; i < frames; ++i) {
        Network().Synthesise(path_, state_.data(), features.data() + i * kFeatures, out + i * kHop);
      }
    });
  }

  void Reset() {
    const float silence[vivavoce::Vocoder::kBefore] = {};
    Network().Begin(state_.data(), silence);
  }
  VocoderNetwork Copy() const { return *this; }
  int delay() const { return Network().delay(); }
  const char* path() const { return vivavoce::Int8PathName(path_); }

 private:
  /// Calls `one` with features and samples of each frame, without the GIL.
  template <class One>
  static void ForFrames(const Array& features_array, const Array& samples_array, One one) {
    const std::vector<float> features = Rows("features", features_array, kFeatures);
    const size_t frames = features.size() / kFeatures;
    const Vector<float> samples("samples", samples_array, frames * kHop);
    const nb::gil_scoped_release release;
    const vivavoce::FlushDenormals modes;
    for (size_t i = 0; i < frames; ++i) one(features.data() + i * kFeatures, samples.data() + i * kHop);
  }

  static constexpr size_t kFeatures = vivavoce::kSpeechFeatures, kHop = vivavoce::kSpeechHop;

  const vivavoce::Vocoder& Network() const { return model_->vocoder(); }

  std::shared_ptr<vv_model> model_;
  vivavoce::Int8Path path_;
  std::vector<float> state_;
};

class PredictorNetwork {
 public:
  PredictorNetwork(const Model& model, const nb::object& path) : model_(model.shared()), path_(FindPath(*model_, path)) {
    CheckKind(model_->predictor.state_bytes(), *model_, "predictor of lost features");
    state_.resize(model_->predictor.state_bytes() / sizeof(float));
  }

  FloatMatrix RunAll(const Array& array) {
    constexpr size_t kInputs = vivavoce::PredictorNetwork::kInputs, kFeatures = vivavoce::kSpeechFeatures;
    const std::vector<float> inputs = Rows("inputs", array, kInputs);
    const size_t frames = inputs.size() / kInputs;
    std::unique_ptr<float[]> features(new float[frames * kFeatures]);
    {
      const nb::gil_scoped_release release;
      const vivavoce::FlushDenormals modes;
      for (size_t i = 0; i < frames; ++i) {
        model_->predictor.Step(path_, state_.data(), inputs.data() + i * kInputs, features.get() + i * kFeatures);
      }
    }
    return Own<FloatMatrix>(std::move(features), {frames, kFeatures});
  }

  void Reset() { std::fill(state_.begin(), state_.end(), 0.f); }
  PredictorNetwork Copy() const { return *this; }

 private:
  std::shared_ptr<vv_model> model_;
  vivavoce::Int8Path path_;
  std::vector<float> state_;
};

nb::list Int8PathNames() {
  vivavoce::Int8Path paths[vivavoce::kInt8PathCount];
  const int count = vivavoce::Int8Paths(paths);
  nb::list names;
  for (int i = 0; i < count; ++i) names.append(vivavoce::Int8PathName(paths[i]));
  return names;
}

}  // namespace

void BindNeural(nb::module_& m) {
  m.def("int8_paths", &Int8PathNames, nb::sig("def int8_paths() -> list[str]"),
        "Instructions that this processor has for int8 products, slowest first; all give the same bits.");

  nb::class_<Model>(m, "Model",
                    R"(A trained network in a model image; read-only, so that any number of streams share it.

Args:
    path: A .vvm file, which is mapped into memory and must not be changed meanwhile.

Raises:
    OSError: The file cannot be read.
    ValueError: It is no model image of this version, or damaged.)")
      .def(nb::init<const nb::object&>(), "path"_a, nb::sig("def __init__(self, path: str | os.PathLike[str]) -> None"))
      .def_static(
          "from_bytes", [](const nb::bytes& image) { return Model(image); }, "image"_a,
          nb::sig("def from_bytes(image: bytes) -> Model"),
          R"(The model of an image in memory.

Args:
    image: What the `image.py` of its system makes, such as `vivavoce.vocoder.fargan_image.fargan_image`.

Raises:
    ValueError: It is no model image of this version, or damaged.)")
      .def_prop_ro("name", &Model::name, "Name such as \"percepnet-large-v1\".")
      .def_prop_ro("system", &Model::system, "\"percepnet\", \"fargan\", \"lpcnet\" or \"plc\".")
      .def_prop_ro("sample_rate", &Model::sample_rate, "Of the signals that it was made for, in Hz.")
      .def_prop_ro("lookahead_frames", &Model::lookahead_frames,
                   "Frames of the future that it hears before it judges one.")
      .def_prop_ro("sizes", &Model::sizes, nb::sig("def sizes(self) -> tuple[int, int, int, int]"),
                   "Widths of dense layer, convolutions, GRUs, GRU of the strengths.");

  nb::class_<PercepNetNetwork>(m, "PercepNetNetwork",
                               R"(The network alone, as one stream; for one thread at a time.

Args:
    model: The layers.
    path: One of `int8_paths()`, for tests; None is the fastest.

Raises:
    ValueError: This processor has no such path.)")
      .def(nb::init<const Model&, const nb::object&>(), "model"_a, "path"_a = nb::none(),
           nb::sig("def __init__(self, model: Model, path: str | None = None) -> None"))
      .def_prop_ro("path", &PercepNetNetwork::path, "The instructions that it uses.")
      .def("step", &PercepNetNetwork::Step, "features"_a.noconvert(),
           nb::sig("def step(self, features: " VV_FLOATS ") -> tuple[" VV_FLOATS ", " VV_FLOATS ", float]"),
           R"(One frame.

Args:
    features: Shape (70,), float32.

Returns:
    Gains and strengths, shape (34,) each, and the probability of voice; all in [0, 1].

Raises:
    TypeError: `features` is not float32.
    ValueError: `features` has another shape.)")
      .def("run", &PercepNetNetwork::RunAll, "features"_a.noconvert(),
           nb::sig("def run(self, features: " VV_FLOATS ") -> tuple[" VV_FLOATS ", " VV_FLOATS ", " VV_FLOATS "]"),
           R"(Frame after frame, without the GIL.

Args:
    features: Shape (frames, 70), float32.

Returns:
    Gains and strengths, shape (frames, 34) each, and probabilities of voice, shape (frames,).

Raises:
    TypeError: `features` is not float32.
    ValueError: `features` has another shape.)")
      .def("reset", &PercepNetNetwork::Reset, "Back to the beginning.")
      .def("copy", &PercepNetNetwork::Copy, "A stream that goes on as this one would.");

  nb::class_<VocoderNetwork>(m, "VocoderNetwork",
                             R"(A vocoder alone, as one stream at 16 kHz; for one thread at a time.

Frame k of the samples lies between the centres of features k and k + 1.

Args:
    model: The layers.
    path: One of `int8_paths()`, for tests; None is the fastest.

Raises:
    ValueError: The model is another system's, or this processor has no such path.)")
      .def(nb::init<const Model&, const nb::object&>(), "model"_a, "path"_a = nb::none(),
           nb::sig("def __init__(self, model: Model, path: str | None = None) -> None"))
      .def_prop_ro("path", &VocoderNetwork::path, "The instructions that it uses.")
      .def_prop_ro("delay", &VocoderNetwork::delay, "Frames by which what is made comes out later.")
      .def("begin", &VocoderNetwork::Begin, "before"_a.noconvert(),
           nb::sig("def begin(self, before: " VV_FLOATS ") -> None"),
           R"(Forget the stream.

Args:
    before: Samples before the first that is heard, followed or made, shape (17,), float32.

Raises:
    TypeError: `before` is not float32.
    ValueError: `before` has another shape.)")
      .def("feed", &VocoderNetwork::Feed, "features"_a.noconvert(),
           nb::sig("def feed(self, features: " VV_FLOATS ") -> None"),
           R"(Hear features up to the beginning of the first frame, and make nothing.

Args:
    features: Shape (frames, 20), float32.

Raises:
    TypeError: `features` is not float32.
    ValueError: `features` has another shape.)")
      .def("hear", &VocoderNetwork::Hear, "features"_a.noconvert(), "samples"_a.noconvert(),
           nb::sig("def hear(self, features: " VV_FLOATS ", samples: " VV_FLOATS ") -> None"),
           R"(Remember samples, without the GIL. Two frames of them are to precede what is followed or made.

Args:
    features: At the end of each frame, shape (frames, 20), float32.
    samples: Shape (160 * frames,), float32.

Raises:
    TypeError: An array is not float32.
    ValueError: An array has another shape.)")
      .def("follow", &VocoderNetwork::Follow, "features"_a.noconvert(), "samples"_a.noconvert(),
           nb::sig("def follow(self, features: " VV_FLOATS ", samples: " VV_FLOATS ") -> None"),
           R"(Go on as if these samples had been made, without the GIL.

Args:
    features: At the end of each frame, shape (frames, 20), float32.
    samples: Shape (160 * frames,), float32.

Raises:
    TypeError: An array is not float32.
    ValueError: An array has another shape.)")
      .def("synthesise", &VocoderNetwork::Synthesise, "features"_a.noconvert(),
           nb::sig("def synthesise(self, features: " VV_FLOATS ") -> " VV_FLOATS),
           R"(Make samples, without the GIL.

Args:
    features: At the end of each frame, shape (frames, 20), float32.

Returns:
    Those of `delay` frames before, shape (160 * frames,), float32 in [-1, 1].

Raises:
    TypeError: `features` is not float32.
    ValueError: `features` has another shape.)")
      .def("reset", &VocoderNetwork::Reset, "Back to the beginning, after silence.")
      .def("copy", &VocoderNetwork::Copy, "A stream that goes on as this one would.");

  nb::class_<PredictorNetwork>(m, "PredictorNetwork",
                               R"(The predictor of lost features alone, as one stream; for one thread at a time.

Args:
    model: The layers.
    path: One of `int8_paths()`, for tests; None is the fastest.

Raises:
    ValueError: The model is another system's, or this processor has no such path.)")
      .def(nb::init<const Model&, const nb::object&>(), "model"_a, "path"_a = nb::none(),
           nb::sig("def __init__(self, model: Model, path: str | None = None) -> None"))
      .def("run", &PredictorNetwork::RunAll, "inputs"_a.noconvert(),
           nb::sig("def run(self, inputs: " VV_FLOATS ") -> " VV_FLOATS),
           R"(Frame after frame, without the GIL.

Args:
    inputs: Of `vivavoce.concealment.features.predictor_inputs`, shape (frames, 78), float32.

Returns:
    Features, shape (frames, 20).

Raises:
    TypeError: `inputs` is not float32.
    ValueError: `inputs` has another shape.)")
      .def("reset", &PredictorNetwork::Reset, "Back to the beginning.")
      .def("copy", &PredictorNetwork::Copy, "A stream that goes on as this one would.");
}
