// vivavoce: the voice path of a live call. This is the only public header of its real-time core, and plain C.
//
// Rules that hold for every function
//   Memory      Only *_create allocates and only *_destroy frees. Nothing else allocates, locks, blocks or calls libm.
//   Threads     The library owns no thread and no global state; it is safe under fork. A plan (vv_fft) is read-only
//               once created, so any number of threads may use one at the same time.
//   Modes       Calls that calculate flush subnormal numbers to zero and round to nearest, whatever modes the caller
//               has set, and restore the caller's modes and exception flags before they return.
//   Same bits   The same input gives the same bits on every processor and at every optimisation level.
//   Stack       A call needs at most 40 KiB of stack.
#ifndef VIVAVOCE_H_
#define VIVAVOCE_H_

#if defined(VV_STATIC)  // defined by those who link the static library
#define VV_API
#elif defined(_WIN32)
#if defined(VV_BUILDING)
#define VV_API __declspec(dllexport)
#else
#define VV_API __declspec(dllimport)
#endif
#else
#define VV_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// Counts up whenever a change to this header breaks programs that were compiled against the one before.
#define VV_ABI_VERSION 1

/// The VV_ABI_VERSION that the library was compiled with. A program compares it with its own once, at the start.
VV_API int vv_abi_version(void);

/// Version of the package, such as "0.1.0". The string lives as long as the library is loaded.
VV_API const char* vv_version(void);

/// What a call returns. Errors are negative, and leave every output untouched.
typedef enum vv_status {
  VV_OK = 0,
  VV_ERROR_ARGUMENT = -1,  ///< A pointer is NULL, or a number is out of the range that the function states.
} vv_status;

// ---- Real Fourier transform ----------------------------------------------------------------------------------------

#define VV_FFT_MAX_SIZE 4096

/// A plan for real transforms of one size: factors and twiddles.
typedef struct vv_fft vv_fft;

/// Makes a plan. `size` is in samples: even, at most VV_FFT_MAX_SIZE, with no prime factor but 2, 3 and 5.
/// Returns NULL for any other size, or when memory is short.
VV_API vv_fft* vv_fft_create(int size);

/// Frees a plan; NULL is allowed. No other call may be using the plan.
VV_API void vv_fft_destroy(vv_fft* fft);

/// The size in samples that the plan was made for, or 0 for NULL.
VV_API int vv_fft_size(const vv_fft* fft);

/// X[k] = sum over n of x[n] exp(-2 pi i k n / size), not scaled.
///
/// `samples` holds `size` floats. `spectrum` gets size/2 + 1 complex numbers as pairs (real, imaginary), bins 0 to
/// size/2; the imaginary parts of the first and the last are 0. The two may overlap. No alignment is needed.
/// The norm of the error is below 1e-6 of the norm of the result.
VV_API vv_status vv_fft_forward(const vv_fft* fft, const float* samples, float* spectrum);

/// The inverse of vv_fft_forward, scaled by 1/size, so that one after the other gives back the samples.
///
/// Layout as above. The imaginary parts of the first and the last bin are ignored.
VV_API vv_status vv_fft_inverse(const vv_fft* fft, const float* spectrum, float* samples);

// ---- Windows -------------------------------------------------------------------------------------------------------

/// The Vorbis window, w[n] = sin(pi/2 sin^2(pi (n + 1/2) / size)), for analysis and synthesis at a hop of size/2:
/// w[n]^2 + w[n + size/2]^2 = 1. `size` is even and at least 2; `window` gets `size` floats.
VV_API vv_status vv_window_vorbis(int size, float* window);

/// The periodic Hann window, w[n] = 1/2 - 1/2 cos(2 pi n / size), whose copies at a hop of size/2 sum to 1.
/// `size` is at least 1; `window` gets `size` floats.
VV_API vv_status vv_window_hann(int size, float* window);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // VIVAVOCE_H_
