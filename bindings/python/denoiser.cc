// The core's PercepNet for Python: its analysis for training, and the denoiser.
#include <nanobind/stl/unique_ptr.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "arrays.h"
#include "bind.h"
#include "denoiser.h"
#include "denormals.h"
#include "model_handle.h"
#include "percepnet_analysis.h"
#include "percepnet_targets.h"
#include "turn.h"
#include "vivavoce.h"

using namespace binding;
using vivavoce::kBands;
using vivavoce::kHop;
using vivavoce::PercepNetAnalysis;

namespace {

using FloatMatrix = nb::ndarray<nb::numpy, float, nb::ndim<2>>;
using IntVector = nb::ndarray<nb::numpy, int32_t, nb::ndim<1>>;

/// Rows of zeros that become a NumPy array.
template <class T>
class Table {
 public:
  Table(size_t rows, size_t columns) : rows_(rows), columns_(columns), data_(new T[rows * columns]()) {}

  T* row(size_t index) { return data_.get() + index * columns_; }

  FloatMatrix Matrix() { return Give<FloatMatrix>({rows_, columns_}); }
  IntVector Vector() { return Give<IntVector>({rows_}); }

 private:
  template <class Result>
  Result Give(std::initializer_list<size_t> shape) {
    T* const data = data_.get();
    const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    data_.release();
    return Result(data, shape, owner);
  }

  size_t rows_, columns_;
  std::unique_ptr<T[]> data_;
};

/// Hop after hop of a signal that is silent behind its end.
class Hops {
 public:
  explicit Hops(const Vector<float>& samples) : samples_(samples) {}

  const float* Next() {
    const size_t count = std::min<size_t>(samples_.size() - at_, kHop);
    std::fill(std::copy_n(samples_.data() + at_, count, hop_), hop_ + kHop, 0.f);
    at_ += count;
    return hop_;
  }

 private:
  const Vector<float>& samples_;
  size_t at_ = 0;
  float hop_[kHop];
};

/// The stream over a whole signal, as long as it takes to have all results of `frames` frames.
class Analysis {
 public:
  Analysis(int64_t frames, int64_t lookahead)
      : analysis_(Checked(frames, lookahead)), state_(new PercepNetAnalysis::State()) {
    if (!analysis_.ok()) throw std::bad_alloc();
    hops_ = static_cast<size_t>(frames + lookahead);
    frames_ = static_cast<size_t>(frames);
  }

  /// Calls `each(index)` after every hop, without the GIL.
  template <class Each>
  void Run(const Vector<float>& samples, Table<float>* features, Each each) {
    const nb::gil_scoped_release release;
    const vivavoce::FlushDenormals modes;
    Hops hops(samples);
    for (size_t t = 0; t < hops_; ++t) {
      analysis_.Advance(hops.Next(), state_.get());
      if (t < frames_) std::copy_n(state_->features, PercepNetAnalysis::kFeatures, features->row(t));
      each(analysis_.frame(*state_));
    }
  }

  const PercepNetAnalysis& operator*() const { return analysis_; }
  const PercepNetAnalysis::State& state() const { return *state_; }
  size_t frames() const { return frames_; }

 private:
  static int Checked(int64_t frames, int64_t lookahead) {
    if (frames < 0 || frames > (int64_t{1} << 31)) {
      throw nb::value_error(("frames must be from 0 to 2^31, got " + std::to_string(frames)).c_str());
    }
    if (lookahead < 0 || lookahead > vivavoce::kMaxLookahead) {
      throw nb::value_error(("lookahead must be from 0 to 2, got " + std::to_string(lookahead)).c_str());
    }
    return static_cast<int>(lookahead);
  }

  PercepNetAnalysis analysis_;
  std::unique_ptr<PercepNetAnalysis::State> state_;
  size_t hops_, frames_;
};

nb::tuple Analyse(const Array& array, int64_t frames, int64_t lookahead) {
  const Vector<float> samples("samples", array);
  Analysis analysis(frames, lookahead);
  Table<float> features(analysis.frames(), PercepNetAnalysis::kFeatures);
  Table<int32_t> periods(analysis.frames(), 1);
  analysis.Run(samples, &features, [&](int64_t frame) {
    if (frame >= 0) *periods.row(static_cast<size_t>(frame)) = analysis.state().pitch.period;
  });
  return nb::make_tuple(features.Matrix(), periods.Vector());
}

nb::tuple Targets(const Array& noisy_array, const Array& clean_array, int64_t frames, int64_t lookahead) {
  const Vector<float> noisy("noisy", noisy_array);
  const Vector<float> clean("clean", clean_array);
  Analysis analysis(frames, lookahead);
  Table<float> features(analysis.frames(), PercepNetAnalysis::kFeatures);
  enum { kGains, kStrengths, kAttenuations, kNoisy, kClean, kTables };
  std::unique_ptr<Table<float>> tables[kTables];
  for (auto& table : tables) table = std::make_unique<Table<float>>(analysis.frames(), kBands);
  auto speech = std::make_unique<vivavoce::CleanSpeech>();
  vivavoce::PercepNetTargets targets;
  Hops hops(clean);
  analysis.Run(noisy, &features, [&](int64_t frame) {
    speech->Advance(*analysis, analysis.state(), hops.Next(), &targets);
    if (frame < 0) return;
    const float* const rows[kTables] = {targets.gains, targets.strengths, targets.attenuations,
                                        (*analysis).energies(analysis.state()), targets.energies};
    for (int i = 0; i < kTables; ++i) std::copy_n(rows[i], kBands, tables[i]->row(static_cast<size_t>(frame)));
  });
  return nb::make_tuple(features.Matrix(), tables[kGains]->Matrix(), tables[kStrengths]->Matrix(),
                        tables[kNoisy]->Matrix(), tables[kClean]->Matrix(), tables[kAttenuations]->Matrix());
}

class Denoiser {
 public:
  explicit Denoiser(const Model& model) : model_(model.shared()), denoiser_(vv_denoiser_create(model_.get())) {
    if (denoiser_ != nullptr) return;
    if (!vivavoce::Denoiser::Supports(model.sample_rate(), model.lookahead_frames())) {
      throw nb::value_error(("model must be of 48000 Hz and 0 to 2 frames of look-ahead, got " +
                             std::to_string(model.sample_rate()) + " and " + std::to_string(model.lookahead_frames()))
                                .c_str());
    }
    throw std::bad_alloc();
  }

  int delay_samples() const { return vv_denoiser_delay(denoiser_.get()); }
  float attenuation_limit_db() const { return attenuation_limit_db_; }
  bool enabled() const { return enabled_; }
  float voice_probability() const { return voice_probability_; }

  // Settings may come from any thread; the next call of Process takes them up.

  void set_attenuation_limit_db(float limit_db) {
    if (!(limit_db >= 0.f)) {
      throw nb::value_error(("attenuation_limit_db must be 0 or more, got " + std::to_string(limit_db)).c_str());
    }
    attenuation_limit_db_ = limit_db;
  }

  void set_enabled(bool enabled) { enabled_ = enabled; }

  FloatVector Process(const Array& array) {
    const Vector<float> samples("samples", array);
    if (samples.size() % VV_DENOISER_FRAME_SIZE != 0) {
      throw nb::value_error(("samples must be whole frames of 480, got " + Describe(array)).c_str());
    }
    const Turn turn(busy_, kName);
    vv_denoiser_set_attenuation_limit(denoiser_.get(), attenuation_limit_db_);
    vv_denoiser_set_enabled(denoiser_.get(), enabled_);
    float voice = voice_probability_;
    FloatVector output = NewArray<FloatVector>(samples.size(), [&](float* out) {
      for (size_t at = 0; at < samples.size(); at += VV_DENOISER_FRAME_SIZE) {
        vv_denoiser_process(denoiser_.get(), samples.data() + at, out + at, &voice);
      }
    });
    voice_probability_ = voice;
    return output;
  }

  nb::tuple Report() {
    const Turn turn(busy_, kName);
    vv_denoiser_report report;
    vv_denoiser_get_report(denoiser_.get(), &report);
    const auto copy = [](const float* from) {
      return NewArray<FloatVector>(VV_DENOISER_BANDS, [&](float* to) { std::copy_n(from, VV_DENOISER_BANDS, to); });
    };
    return nb::make_tuple(copy(report.gains), copy(report.strengths), report.pitch_period, report.pitch_correlation,
                          report.voice_probability);
  }

  void Reset() {
    const Turn turn(busy_, kName);
    vv_denoiser_reset(denoiser_.get());
    voice_probability_ = kUnknown;
  }

  std::unique_ptr<Denoiser> Copy() {
    std::unique_ptr<Denoiser> copy(new Denoiser(model_));
    if (copy->denoiser_ == nullptr) throw std::bad_alloc();
    const Turn turn(busy_, kName);
    vv_denoiser_copy(copy->denoiser_.get(), denoiser_.get());
    copy->attenuation_limit_db_ = attenuation_limit_db_.load();
    copy->enabled_ = enabled_.load();
    copy->voice_probability_ = voice_probability_.load();
    return copy;
  }

 private:
  static constexpr const char* kName = "Denoiser";
  static constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

  explicit Denoiser(std::shared_ptr<vv_model> model)
      : model_(std::move(model)), denoiser_(vv_denoiser_create(model_.get())) {}

  struct Destroy {
    void operator()(vv_denoiser* denoiser) const { vv_denoiser_destroy(denoiser); }
  };

  std::shared_ptr<vv_model> model_;
  std::unique_ptr<vv_denoiser, Destroy> denoiser_;
  std::atomic<float> attenuation_limit_db_ = std::numeric_limits<float>::infinity();
  std::atomic<bool> enabled_ = true;
  std::atomic<float> voice_probability_ = kUnknown;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

#define VV_INTS "numpy.typing.NDArray[numpy.int32]"

void BindPercepNetTraining(nb::module_& m) {
  m.def("percepnet_analyse", &Analyse, "samples"_a.noconvert(), "frames"_a, "lookahead"_a = 2,
        nb::sig("def percepnet_analyse(samples: " VV_FLOATS ", frames: int, lookahead: int = 2) -> "
                "tuple[" VV_FLOATS ", " VV_INTS "]"),
        R"(The core's `vivavoce.enhancement.features.analyse_noisy`.

Args:
    samples: Shape (samples,), float32, 48 kHz; silent outside.
    frames: Number of frames; frame l is centred on sample 480 l.
    lookahead: Frames of look-ahead, 0 to 2.

Returns:
    What the network sees when frame l is the newest, shape (frames, 70), and the pitch period of frame l in samples,
    shape (frames,).

Raises:
    TypeError: `samples` is not float32.
    ValueError: `samples` has another shape, or a number is out of range.)");
  m.def("percepnet_targets", &Targets, "noisy"_a.noconvert(), "clean"_a.noconvert(), "frames"_a, "lookahead"_a = 2,
        nb::sig("def percepnet_targets(noisy: " VV_FLOATS ", clean: " VV_FLOATS ", frames: int, lookahead: int = 2) -> "
                "tuple[" VV_FLOATS ", " VV_FLOATS ", " VV_FLOATS ", " VV_FLOATS ", " VV_FLOATS ", " VV_FLOATS "]"),
        R"(What the network sees of noisy speech and is to find in it: the core's `vivavoce.enhancement.gains`.

Args:
    noisy: Shape (samples,), float32, 48 kHz; silent outside.
    clean: The speech in it, likewise; its comb filter has the pitch of `noisy`.
    frames: Number of frames; frame l is centred on sample 480 l.
    lookahead: Frames of look-ahead, 0 to 2.

Returns:
    Features as of `percepnet_analyse`, shape (frames, 70); and, of frame l and each of shape (frames, 34), gains
    |X| / |Y|, strengths of the comb filter, energies of the noisy and of the clean bands, attenuations where no
    strength suffices.

Raises:
    TypeError: An array is not float32.
    ValueError: An array has another shape, or a number is out of range.)");
}

}  // namespace

void BindDenoiser(nb::module_& m) {
  BindPercepNetTraining(m);
  nb::class_<Denoiser>(m, "Denoiser",
                       R"(One stream of mono speech at 48 kHz that noise is taken out of, for one thread at a time.

Settings and `voice_probability` serve any thread.

Args:
    model: Shared by all streams that use it.

Raises:
    ValueError: The model is not of 48 kHz, or looks ahead by more than 2 frames.)")
      .def(nb::init<const Model&>(), "model"_a, nb::sig("def __init__(self, model: Model) -> None"))
      .def_prop_ro("delay_samples", &Denoiser::delay_samples, "Of the output against the input.")
      .def_prop_rw("attenuation_limit_db", &Denoiser::attenuation_limit_db, &Denoiser::set_attenuation_limit_db,
                   "At most so much of the sound is taken away, in dB; infinity is no limit.")
      .def_prop_rw("enabled", &Denoiser::enabled, &Denoiser::set_enabled,
                   "Otherwise the input comes back, at the same delay. Changes fade in over one frame.")
      .def_prop_ro("voice_probability", &Denoiser::voice_probability, "Of the newest frame; NaN before the first.")
      .def("process", &Denoiser::Process, "samples"_a.noconvert(),
           nb::sig("def process(self, samples: " VV_FLOATS ") -> " VV_FLOATS),
           R"(Frame after frame, without the GIL.

Args:
    samples: Shape (480 frames,), float32.

Returns:
    As many samples, `delay_samples` late.

Raises:
    TypeError: `samples` is not float32.
    ValueError: `samples` has another shape.
    RuntimeError: Another thread is in a call of this stream.)")
      .def("report", &Denoiser::Report,
           nb::sig("def report(self) -> tuple[" VV_FLOATS ", " VV_FLOATS ", float, float, float]"),
           "Of the newest frame: gains and strengths, shape (34,) each, pitch period in samples (0 before the "
           "look-ahead is filled), pitch correlation, probability of voice.")
      .def("reset", &Denoiser::Reset, "Back to the state of a new stream; settings stay.")
      .def("copy", &Denoiser::Copy, "A stream that goes on as this one.");
}
