// vivavoce._core: the C functions of vivavoce.h for Python. No algorithm lives here: arguments are checked, arrays made,
// and the GIL is released while the core calculates.
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "arrays.h"
#include "bind.h"
#include "denormals.h"
#include "elementary.h"
#include "vivavoce.h"

using namespace binding;

namespace {

class RealFft {
 public:
  explicit RealFft(int64_t size) : fft_(InRange(size) ? vv_fft_create(static_cast<int>(size)) : nullptr) {
    if (fft_ != nullptr) return;
    throw nb::value_error(("size must be even, from 2 to " + std::to_string(VV_FFT_MAX_SIZE) +
                           ", with no prime factor but 2, 3 and 5, got " + std::to_string(size))
                              .c_str());
  }

  int size() const { return vv_fft_size(fft_.get()); }

  ComplexVector Forward(const Array& array) const {
    const size_t size = static_cast<size_t>(this->size());
    const Vector<float> samples("samples", array, size);
    return NewArray<ComplexVector>(size / 2 + 1, [&](std::complex<float>* spectrum) {
      vv_fft_forward(fft_.get(), samples.data(), reinterpret_cast<float*>(spectrum));
    });
  }

  FloatVector Inverse(const Array& array) const {
    const size_t size = static_cast<size_t>(this->size());
    const Vector<std::complex<float>> spectrum("spectrum", array, size / 2 + 1);
    return NewArray<FloatVector>(size, [&](float* samples) {
      vv_fft_inverse(fft_.get(), reinterpret_cast<const float*>(spectrum.data()), samples);
    });
  }

  static bool InRange(int64_t size) { return size > 0 && size <= std::numeric_limits<int>::max(); }

 private:
  struct Destroy {
    void operator()(vv_fft* fft) const { vv_fft_destroy(fft); }
  };
  std::unique_ptr<vv_fft, Destroy> fft_;
};

FloatVector Window(vv_status (*function)(int, float*), int64_t size, const char* rule) {
  const bool in_range = RealFft::InRange(size);
  vv_status status = VV_ERROR_ARGUMENT;
  FloatVector window = NewArray<FloatVector>(in_range ? static_cast<size_t>(size) : 0, [&](float* data) {
    if (in_range) status = function(static_cast<int>(size), data);
  });
  if (status == VV_OK) return window;
  throw nb::value_error(("size must be " + std::string(rule) + ", got " + std::to_string(size)).c_str());
}

FloatVector Map(void (*function)(const float*, float*, size_t), const Array& array) {
  const Vector<float> x("x", array);
  return NewArray<FloatVector>(x.size(), [&](float* y) {
    const vivavoce::FlushDenormals modes;
    function(x.data(), y, x.size());
  });
}

void BindTransforms(nb::module_& m) {
  nb::class_<RealFft>(m, "RealFft",
                      R"(Fourier transform of real samples; read-only once made, so that threads may share it.

Args:
    size: Samples; even, from 2 to 4096, with no prime factor but 2, 3 and 5.

Raises:
    ValueError: Any other size.)")
      .def(nb::init<int64_t>(), "size"_a, nb::sig("def __init__(self, size: int) -> None"))
      .def_prop_ro("size", &RealFft::size, "Samples of a transform.")
      .def("forward", &RealFft::Forward, "samples"_a.noconvert(),
           nb::sig("def forward(self, samples: " VV_FLOATS ") -> " VV_COMPLEX),
           R"(Spectrum of real samples, as `numpy.fft.rfft` has it: not scaled.

Args:
    samples: Shape (size,), float32.

Returns:
    Bins 0 to size/2, shape (size/2 + 1,), complex64.

Raises:
    TypeError: `samples` is not float32.
    ValueError: `samples` has another shape.)")
      .def("inverse", &RealFft::Inverse, "spectrum"_a.noconvert(),
           nb::sig("def inverse(self, spectrum: " VV_COMPLEX ") -> " VV_FLOATS),
           R"(Samples of a spectrum: the inverse of `forward`, scaled by 1/size.

Args:
    spectrum: Shape (size/2 + 1,), complex64; imaginary parts of the first and the last bin are ignored.

Returns:
    Shape (size,), float32.

Raises:
    TypeError: `spectrum` is not complex64.
    ValueError: `spectrum` has another shape.)");
}

void BindWindows(nb::module_& m) {
  m.def(
      "vorbis_window", [](int64_t size) { return Window(vv_window_vorbis, size, "even and from 2 to 2^31 - 2"); }, "size"_a,
      nb::sig("def vorbis_window(size: int) -> " VV_FLOATS),
      "The core's `vivavoce.signal.vorbis_window`, shape (size,).");
  m.def(
      "hann_window", [](int64_t size) { return Window(vv_window_hann, size, "from 1 to 2^31 - 1"); }, "size"_a,
      nb::sig("def hann_window(size: int) -> " VV_FLOATS),
      "The core's `vivavoce.signal.hann_window`, shape (size,).");
}

void BindElementary(nb::module_& m) {
  m.def(
      "exp", [](const Array& x) { return Map(vivavoce::Exp, x); }, "x"_a.noconvert(),
      nb::sig("def exp(x: " VV_FLOATS ") -> " VV_FLOATS), "The core's own exponential, shape (count,).");
  m.def(
      "log", [](const Array& x) { return Map(vivavoce::Log, x); }, "x"_a.noconvert(),
      nb::sig("def log(x: " VV_FLOATS ") -> " VV_FLOATS), "The core's own natural logarithm, shape (count,).");
  m.def(
      "tanh", [](const Array& x) { return Map(vivavoce::Tanh, x); }, "x"_a.noconvert(),
      nb::sig("def tanh(x: " VV_FLOATS ") -> " VV_FLOATS), "The core's own hyperbolic tangent, shape (count,).");
}

void BindFloatMode(nb::module_& m) {
  m.def(
      "float_mode", [] { return vivavoce::GetFloatMode(); }, nb::sig("def float_mode() -> int"),
      "Floating-point modes of this thread: MXCSR on x86, FPCR on arm64, 0 elsewhere. For tests.");
  m.def(
      "set_float_mode", [](vivavoce::FloatMode mode) { vivavoce::SetFloatMode(mode); }, "mode"_a,
      nb::sig("def set_float_mode(mode: int) -> None"),
      "Sets what `float_mode` reads, for this thread. For tests that show that calls restore it.");
  m.def(
      "real_time_float_mode", [] { return vivavoce::kRealTimeMode; }, nb::sig("def real_time_float_mode() -> int"),
      "What the core sets during a call; 0 on a processor whose modes it does not know. For tests.");
}

}  // namespace

NB_MODULE(_core, m) {
  m.doc() = "The real-time core of vivavoce, as thin as a binding can be. Arrays must have the exact type that is stated.";
#if defined(NDEBUG)
  // Objects that a program still holds at its end are no leak, and no reason to write on its stderr.
  nb::set_leak_warnings(false);
#endif
  m.def("abi_version", &vv_abi_version, nb::sig("def abi_version() -> int"), "VV_ABI_VERSION of vivavoce.h.");
  m.def("version", &vv_version, nb::sig("def version() -> str"), "Version of the package that the core belongs to.");
  BindTransforms(m);
  BindWindows(m);
  BindElementary(m);
  BindFloatMode(m);
  BindDenoiser(m);
  BindNeural(m);
  BindRedundancy(m);
  BindResampler(m);
  BindSpeech(m);
}
