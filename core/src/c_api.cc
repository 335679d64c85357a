// The public C functions: arguments are checked here, and floating-point modes set, once for each call.
#include <algorithm>
#include <climits>
#include <cstdint>
#include <new>

#include "denoiser.h"
#include "denormals.h"
#include "fft.h"
#include "model.h"
#include "resampler.h"
#include "vivavoce.h"
#include "window.h"

/// The type that C sees is the class itself: vv_fft only gives it a name without a namespace.
struct vv_fft final : vivavoce::RealFft {
  using RealFft::RealFft;
};

struct vv_resampler final : vivavoce::Resampler {
  using Resampler::Resampler;
};

struct vv_denoiser final : vivavoce::Denoiser {
  using Denoiser::Denoiser;
};

using vivavoce::FlushDenormals;

static_assert(VV_FFT_MAX_SIZE == vivavoce::RealFft::kMaxSize, "the header tells the limit of fft.h");
static_assert(VV_DENOISER_FRAME_SIZE == vivavoce::kHop && VV_DENOISER_BANDS == vivavoce::kBands,
              "the header tells the sizes of bands.h and pitch.h");
static_assert(VV_RESAMPLER_MAX_FACTOR == vivavoce::Resampler::kMaxFactor, "the header tells the limit of resampler.h");

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

vv_resampler* vv_resampler_create(int from_rate, int to_rate, int extra_ticks) {
  if (!vivavoce::Resampler::Supports(from_rate, to_rate, extra_ticks)) return nullptr;
  const FlushDenormals modes;
  vv_resampler* resampler = new (std::nothrow) vv_resampler(from_rate, to_rate, extra_ticks);
  if (resampler != nullptr && resampler->delay_ticks() < 0) {
    delete resampler;
    return nullptr;
  }
  return resampler;
}

void vv_resampler_destroy(vv_resampler* resampler) { delete resampler; }

vv_status vv_resampler_reset(vv_resampler* resampler) {
  if (resampler == nullptr) return VV_ERROR_ARGUMENT;
  resampler->Reset();
  return VV_OK;
}

vv_status vv_resampler_copy(vv_resampler* resampler, const vv_resampler* other) {
  if (resampler == nullptr || other == nullptr) return VV_ERROR_ARGUMENT;
  return resampler->CopyState(*other) ? VV_OK : VV_ERROR_ARGUMENT;
}

int vv_resampler_delay(const vv_resampler* resampler) { return resampler == nullptr ? 0 : resampler->delay_ticks(); }

int vv_resampler_output_count(const vv_resampler* resampler, int count) {
  if (resampler == nullptr || count < 0) return VV_ERROR_ARGUMENT;
  const int64_t output_count = resampler->OutputCount(count);
  return output_count > INT_MAX ? int{VV_ERROR_ARGUMENT} : static_cast<int>(output_count);
}

int vv_resampler_process(vv_resampler* resampler, const float* in, int count, float* out, int capacity) {
  const int output_count = vv_resampler_output_count(resampler, count);
  if (output_count < 0 || output_count > capacity) return VV_ERROR_ARGUMENT;
  if ((count > 0 && in == nullptr) || (output_count > 0 && out == nullptr)) return VV_ERROR_ARGUMENT;
  const FlushDenormals modes;
  resampler->Process(in, count, out);
  return output_count;
}

namespace {

/// A model whose image `read` gets.
template <class Read>
vv_model* NewModel(vv_status* status, Read read) {
  vv_model* model = new (std::nothrow) vv_model();
  vv_status result = model == nullptr ? VV_ERROR_MEMORY : read(&model->image);
  if (result == VV_OK && !model->Bind()) result = VV_ERROR_MODEL;
  if (result != VV_OK) {
    delete model;
    model = nullptr;
  } else {
    model->path = vivavoce::BestInt8Path();
  }
  if (status != nullptr) *status = result;
  return model;
}

}  // namespace

vv_model* vv_model_load(const char* path, vv_status* status) {
  return NewModel(status, [path](vivavoce::ModelImage* image) {
    return path == nullptr ? VV_ERROR_ARGUMENT : image->Open(path);
  });
}

vv_model* vv_model_from_memory(const void* data, size_t size, vv_status* status) {
  return NewModel(status, [data, size](vivavoce::ModelImage* image) {
    return data == nullptr ? VV_ERROR_ARGUMENT : image->Read(data, size);
  });
}

void vv_model_destroy(vv_model* model) { delete model; }

const char* vv_model_name(const vv_model* model) { return model == nullptr ? "" : model->image.header().name; }

int vv_model_sample_rate(const vv_model* model) {
  return model == nullptr ? 0 : static_cast<int>(model->image.header().sample_rate);
}

int vv_model_lookahead_frames(const vv_model* model) {
  return model == nullptr ? 0 : static_cast<int>(model->image.header().lookahead_frames);
}

vv_denoiser* vv_denoiser_create(const vv_model* model) {
  const int lookahead = vv_model_lookahead_frames(model);
  if (!vivavoce::Denoiser::Supports(vv_model_sample_rate(model), lookahead)) return nullptr;
  const FlushDenormals modes;
  vv_denoiser* denoiser = new (std::nothrow) vv_denoiser(model->percepnet, model->path, lookahead);
  if (denoiser != nullptr && !denoiser->ok()) {
    delete denoiser;
    return nullptr;
  }
  return denoiser;
}

void vv_denoiser_destroy(vv_denoiser* denoiser) { delete denoiser; }

vv_status vv_denoiser_reset(vv_denoiser* denoiser) {
  if (denoiser == nullptr) return VV_ERROR_ARGUMENT;
  denoiser->Reset();
  return VV_OK;
}

vv_status vv_denoiser_copy(vv_denoiser* denoiser, const vv_denoiser* other) {
  if (denoiser == nullptr || other == nullptr) return VV_ERROR_ARGUMENT;
  return denoiser->CopyState(*other) ? VV_OK : VV_ERROR_ARGUMENT;
}

int vv_denoiser_delay(const vv_denoiser* denoiser) { return denoiser == nullptr ? 0 : denoiser->delay(); }

vv_status vv_denoiser_process(vv_denoiser* denoiser, const float* in, float* out, float* voice_probability) {
  if (denoiser == nullptr || in == nullptr || out == nullptr) return VV_ERROR_ARGUMENT;
  const FlushDenormals modes;
  const float voice = denoiser->Process(in, out);
  if (voice_probability != nullptr) *voice_probability = voice;
  return VV_OK;
}

vv_status vv_denoiser_set_attenuation_limit(vv_denoiser* denoiser, float limit_db) {
  if (denoiser == nullptr || !(limit_db >= 0.f)) return VV_ERROR_ARGUMENT;
  const FlushDenormals modes;
  denoiser->set_attenuation_limit(limit_db);
  return VV_OK;
}

vv_status vv_denoiser_set_enabled(vv_denoiser* denoiser, int enabled) {
  if (denoiser == nullptr) return VV_ERROR_ARGUMENT;
  denoiser->set_enabled(enabled != 0);
  return VV_OK;
}

vv_status vv_denoiser_get_report(const vv_denoiser* denoiser, vv_denoiser_report* report) {
  if (denoiser == nullptr || report == nullptr) return VV_ERROR_ARGUMENT;
  std::copy_n(denoiser->gains(), VV_DENOISER_BANDS, report->gains);
  std::copy_n(denoiser->strengths(), VV_DENOISER_BANDS, report->strengths);
  report->pitch_period = static_cast<float>(denoiser->pitch().period);
  report->pitch_correlation = denoiser->pitch().correlation;
  report->voice_probability = denoiser->voice();
  return VV_OK;
}
