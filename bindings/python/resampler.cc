// The core's resampler for Python.
#include <nanobind/stl/unique_ptr.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "arrays.h"
#include "bind.h"
#include "turn.h"
#include "vivavoce.h"

using namespace binding;

namespace {

constexpr int64_t kMaxInt = std::numeric_limits<int>::max();

class Resampler {
 public:
  Resampler(int64_t from_rate, int64_t to_rate, int64_t extra_ticks)
      : from_rate_(from_rate), to_rate_(to_rate), extra_ticks_(extra_ticks) {
    if (InRange(from_rate) && InRange(to_rate) && InRange(extra_ticks)) {
      resampler_.reset(
          vv_resampler_create(static_cast<int>(from_rate), static_cast<int>(to_rate), static_cast<int>(extra_ticks)));
    }
    if (resampler_ != nullptr) return;
    const std::string limit = std::to_string(VV_RESAMPLER_MAX_FACTOR);
    throw nb::value_error(("rates must be positive with a reduced ratio of numbers up to " + limit +
                           ", and extra_ticks from 0 to " + limit + ", got from_rate " + std::to_string(from_rate) +
                           ", to_rate " + std::to_string(to_rate) + ", extra_ticks " + std::to_string(extra_ticks))
                              .c_str());
  }

  int64_t from_rate() const { return from_rate_; }
  int64_t to_rate() const { return to_rate_; }
  int delay_ticks() const { return vv_resampler_delay(resampler_.get()); }

  FloatVector Process(const Array& array) {
    const Vector<float> samples("samples", array);
    const Turn turn(busy_, kName);
    const int count = samples.size() <= kMaxInt ? static_cast<int>(samples.size()) : -1;
    const int output_count = vv_resampler_output_count(resampler_.get(), count);
    if (output_count < 0) {
      throw nb::value_error(("samples must be and become fewer than 2^31, got " + Describe(array)).c_str());
    }
    return NewArray<FloatVector>(static_cast<size_t>(output_count), [&](float* out) {
      vv_resampler_process(resampler_.get(), samples.data(), count, out, output_count);
    });
  }

  void Reset() {
    const Turn turn(busy_, kName);
    vv_resampler_reset(resampler_.get());
  }

  std::unique_ptr<Resampler> Copy() {
    auto copy = std::make_unique<Resampler>(from_rate_, to_rate_, extra_ticks_);
    const Turn turn(busy_, kName);
    vv_resampler_copy(copy->resampler_.get(), resampler_.get());
    return copy;
  }

 private:
  static constexpr const char* kName = "Resampler";

  struct Destroy {
    void operator()(vv_resampler* resampler) const { vv_resampler_destroy(resampler); }
  };

  static bool InRange(int64_t value) { return value >= 0 && value <= kMaxInt; }

  int64_t from_rate_;
  int64_t to_rate_;
  int64_t extra_ticks_;
  std::unique_ptr<vv_resampler, Destroy> resampler_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

}  // namespace

void BindResampler(nb::module_& m) {
  nb::class_<Resampler>(m, "Resampler",
                        R"(One stream of mono samples on its way to another rate, for one thread at a time.

Linear phase; of half the lower rate, 0.84 pass within 0.1 dB; images and aliases beyond 1 are 65 dB down. A tick is
1 / lcm(from_rate, to_rate) seconds: an input sample lasts to_rate / gcd of them and an output sample from_rate / gcd.

Args:
    from_rate: Hz.
    to_rate: Hz; to_rate / from_rate is a ratio of whole numbers up to 640. Equal rates pass samples on.
    extra_ticks: Added to the shortest delay, which is 24 samples of the lower rate; 0 to 640.

Raises:
    ValueError: Any other rate, ratio or delay.)")
      .def(nb::init<int64_t, int64_t, int64_t>(), "from_rate"_a, "to_rate"_a, "extra_ticks"_a = 0,
           nb::sig("def __init__(self, from_rate: int, to_rate: int, extra_ticks: int = 0) -> None"))
      .def_prop_ro("from_rate", &Resampler::from_rate, "Hz.")
      .def_prop_ro("to_rate", &Resampler::to_rate, "Hz.")
      .def_prop_ro("delay_ticks", &Resampler::delay_ticks, "The exact delay of the output against the input.")
      .def("process", &Resampler::Process, "samples"_a.noconvert(),
           nb::sig("def process(self, samples: " VV_FLOATS ") -> " VV_FLOATS),
           R"(The samples that are due: after n in all there were ceil(n to_rate / from_rate), whatever the blocks.

Args:
    samples: Shape (samples,), float32, any number of them. NaN, infinity and what is beyond 1e30 count as 0.

Returns:
    Shape (due,), float32.

Raises:
    TypeError: `samples` is not float32.
    ValueError: `samples` has another shape.
    RuntimeError: Another thread is in a call of this stream.)")
      .def("reset", &Resampler::Reset, "Back to the state of a new stream.")
      .def("copy", &Resampler::Copy, nb::sig("def copy(self) -> Resampler"), "A stream that goes on as this one would.")
      .def(
          "__deepcopy__", [](Resampler& resampler, const nb::dict&) { return resampler.Copy(); }, "memo"_a,
          nb::sig("def __deepcopy__(self, memo: dict) -> Resampler"), "The same, for what holds a stream.");
}
