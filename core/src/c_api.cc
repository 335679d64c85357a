// The public C functions: arguments are checked here, and floating-point modes set, once for each call.
#include <new>

#include "denormals.h"
#include "fft.h"
#include "vivavoce.h"
#include "window.h"

/// The type that C sees is the class itself: vv_fft only gives it a name without a namespace.
struct vv_fft final : vivavoce::RealFft {
  using RealFft::RealFft;
};

using vivavoce::FlushDenormals;

static_assert(VV_FFT_MAX_SIZE == vivavoce::RealFft::kMaxSize, "the header tells the limit of fft.h");

int vv_abi_version(void) { return VV_ABI_VERSION; }

const char* vv_version(void) { return VIVAVOCE_VERSION; }

vv_fft* vv_fft_create(int size) {
  if (!vivavoce::RealFft::Supports(size)) return nullptr;
  const FlushDenormals modes;
  vv_fft* fft = new (std::nothrow) vv_fft(size);
  if (fft != nullptr && fft->size() == 0) {
    delete fft;
    return nullptr;
  }
  return fft;
}

void vv_fft_destroy(vv_fft* fft) { delete fft; }

int vv_fft_size(const vv_fft* fft) { return fft == nullptr ? 0 : fft->size(); }

vv_status vv_fft_forward(const vv_fft* fft, const float* samples, float* spectrum) {
  if (fft == nullptr || samples == nullptr || spectrum == nullptr) return VV_ERROR_ARGUMENT;
  const FlushDenormals modes;
  fft->Forward(samples, spectrum);
  return VV_OK;
}

vv_status vv_fft_inverse(const vv_fft* fft, const float* spectrum, float* samples) {
  if (fft == nullptr || samples == nullptr || spectrum == nullptr) return VV_ERROR_ARGUMENT;
  const FlushDenormals modes;
  fft->Inverse(spectrum, samples);
  return VV_OK;
}

vv_status vv_window_vorbis(int size, float* window) {
  if (size < 2 || size % 2 != 0 || window == nullptr) return VV_ERROR_ARGUMENT;
  const FlushDenormals modes;
  vivavoce::VorbisWindow(size, window);
  return VV_OK;
}

vv_status vv_window_hann(int size, float* window) {
  if (size < 1 || window == nullptr) return VV_ERROR_ARGUMENT;
  const FlushDenormals modes;
  vivavoce::HannWindow(size, window);
  return VV_OK;
}
