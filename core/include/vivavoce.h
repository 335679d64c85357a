// vivavoce: the voice path of a live call. This is the only public header of its real-time core, and plain C.
//
// Rules that hold for every function
//   Memory      Only *_create allocates and only *_destroy frees. Nothing else allocates, locks, blocks or calls libm.
//   Threads     The library owns no thread and no global state; it is safe under fork. A plan (vv_fft) and a model
//               (vv_model) are read-only once created, so any number of threads may use one at the same time.
//   Modes       Calls that calculate flush subnormal numbers to zero and round to nearest, whatever modes the caller
//               has set, and restore the caller's modes and exception flags before they return.
//   Same bits   The same input gives the same bits on every processor and at every optimisation level.
//   Stack       A call needs at most 40 KiB of stack.
#ifndef VIVAVOCE_H_
#define VIVAVOCE_H_

#include <stddef.h>

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
  VV_ERROR_MEMORY = -2,    ///< Memory is short.
  VV_ERROR_FILE = -3,      ///< A file cannot be opened or mapped, is empty or no regular file.
  VV_ERROR_MODEL = -4,     ///< The bytes are no model image of this version, or damaged.
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

// ---- Resampling ----------------------------------------------------------------------------------------------------

/// Of the two numbers of the reduced ratio of rates: 11.025 to 48 kHz is 640/147.
#define VV_RESAMPLER_MAX_FACTOR 640

/// A stream of mono samples on its way to another rate, for one thread at a time. Linear phase; of half the lower rate,
/// 0.84 pass within 0.1 dB; images and aliases beyond 1 are 65 dB down. A tick is 1 / lcm(from_rate, to_rate) seconds:
/// an input sample lasts to_rate / gcd of them, an output sample from_rate / gcd, and delays are whole numbers of them.
typedef struct vv_resampler vv_resampler;

/// Makes a stream. The delay is 24 samples of the lower rate (none where the rates are equal) and `extra_ticks`, 0 to
/// VV_RESAMPLER_MAX_FACTOR. Returns NULL for a ratio that is not supported, or when memory is short.
VV_API vv_resampler* vv_resampler_create(int from_rate, int to_rate, int extra_ticks);

/// Frees a stream; NULL is allowed.
VV_API void vv_resampler_destroy(vv_resampler* resampler);

/// Back to the state of a new stream.
VV_API vv_status vv_resampler_reset(vv_resampler* resampler);

/// `resampler` goes on as `other` would. Both must have been created with the same arguments.
VV_API vv_status vv_resampler_copy(vv_resampler* resampler, const vv_resampler* other);

/// The exact delay in ticks, or 0 for NULL.
VV_API int vv_resampler_delay(const vv_resampler* resampler);

/// How many samples the next `count` samples, 0 or more, will give. After n in all there were ceil(n to_rate /
/// from_rate), whatever the blocks. More than INT_MAX is an error, as in vv_resampler_process.
VV_API int vv_resampler_output_count(const vv_resampler* resampler, int count);

/// Takes `count` samples and writes vv_resampler_output_count(count), which it returns, to `out`, which has room for
/// `capacity` and must not overlap `in`. NaN, infinity and what is beyond 1e30 count as 0.
VV_API int vv_resampler_process(vv_resampler* resampler, const float* in, int count, float* out, int capacity);

// ---- Models --------------------------------------------------------------------------------------------------------

/// A trained network: verified, and shared by all streams that use it, which must be destroyed before it.
typedef struct vv_model vv_model;

/// Maps a model image (*.vvm) into memory that all processes share. `path` is UTF-8 on Windows. The file must not be
/// changed while the model lives; it may be replaced by another of its name.
/// Returns NULL when that fails; `status`, which may be NULL, then tells why, and is VV_OK otherwise.
VV_API vv_model* vv_model_load(const char* path, vv_status* status);

/// The same from `size` bytes of memory, which must live as long as the model unless they are not aligned to 64 bytes:
/// then they are copied.
VV_API vv_model* vv_model_from_memory(const void* image, size_t size, vv_status* status);

/// Frees a model; NULL is allowed.
VV_API void vv_model_destroy(vv_model* model);

/// Name such as "percepnet-large-v1", which lives as long as the model; "" for NULL.
VV_API const char* vv_model_name(const vv_model* model);

/// Samples per second of the signals that the model was made for, or 0 for NULL.
VV_API int vv_model_sample_rate(const vv_model* model);

/// How many frames of the future the model hears before it judges one, or 0 for NULL.
VV_API int vv_model_lookahead_frames(const vv_model* model);

// ---- Noise suppression ---------------------------------------------------------------------------------------------

#define VV_DENOISER_FRAME_SIZE 480  ///< Samples of a frame: 10 ms at 48 kHz.
#define VV_DENOISER_BANDS 34        ///< Of the ERB scale, up to 20 kHz.
/// A stream of mono speech at 48 kHz that noise is taken out of, for one thread at a time.
typedef struct vv_denoiser vv_denoiser;

/// What a stream has made out of its newest 20 ms, which begin with the frame that it returned last.
typedef struct vv_denoiser_report {
  float gains[VV_DENOISER_BANDS];      ///< 0 to 1, before the post-filter.
  float strengths[VV_DENOISER_BANDS];  ///< Of the comb filter, 0 to 1.
  float pitch_period;                  ///< Samples, 60 to 768; 0 before the look-ahead is filled.
  float pitch_correlation;             ///< Of the noisy signal over that period, -1 to 1.
  float voice_probability;             ///< 0 to 1.
} vv_denoiser_report;

/// Makes a stream. Returns NULL for a model that is not of 48 kHz and 0 to 2 frames of look-ahead, or for short memory.
VV_API vv_denoiser* vv_denoiser_create(const vv_model* model);

/// Frees a stream; NULL is allowed.
VV_API void vv_denoiser_destroy(vv_denoiser* denoiser);

/// Back to the state of a new stream; its settings stay.
VV_API vv_status vv_denoiser_reset(vv_denoiser* denoiser);

/// `denoiser` goes on as `other` would, with its settings. Both must have been created with the same model.
VV_API vv_status vv_denoiser_copy(vv_denoiser* denoiser, const vv_denoiser* other);

/// Samples from input to output: 1440 with 2 frames of look-ahead, 480 with none; 0 for NULL.
VV_API int vv_denoiser_delay(const vv_denoiser* denoiser);

/// Takes one frame in [-1, 1) and returns another; `out` may be `in`. What is beyond +-4 is limited, NaN and infinity
/// count as 0. `voice_probability`, which may be NULL, gets that of vv_denoiser_report.
VV_API vv_status vv_denoiser_process(vv_denoiser* denoiser, const float* in, float* out, float* voice_probability);

/// At most `limit_db`, 0 or more, of the sound is taken away, by mixing the input back in; 0 returns it as it came,
/// delayed. INFINITY, as at first, is no limit. A change fades in over one frame.
VV_API vv_status vv_denoiser_set_attenuation_limit(vv_denoiser* denoiser, float limit_db);

/// 0: the input comes back as it came, at the same delay, while the stream goes on listening. Fades over one frame.
VV_API vv_status vv_denoiser_set_enabled(vv_denoiser* denoiser, int enabled);

/// Reads what the stream made out of its newest frame.
VV_API vv_status vv_denoiser_get_report(const vv_denoiser* denoiser, vv_denoiser_report* report);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // VIVAVOCE_H_
