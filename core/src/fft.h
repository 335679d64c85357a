// Fourier transform of real samples, for the even sizes 2^a 3^b 5^c up to 4096.
//
// Even and odd samples are taken as real and imaginary parts of half as many complex numbers. Their transform is a
// Stockham autosort FFT (W. T. Cochran et al., "What is the fast Fourier transform?", Proc. IEEE 55, 1967) of radices
// 4, 5, 3 and 2, without bit reversal and with long contiguous rows for the lanes. It is then unfolded into the
// spectrum of the real samples.
#pragma once

#include <memory>

namespace vivavoce {

/// The plan of one size. It is read-only once constructed: transforms work on the stack.
class RealFft {
 public:
  static constexpr int kMaxSize = 4096;

  /// True for the sizes that can be transformed.
  static bool Supports(int size);

  /// `size` must be one that Supports() accepts. size() is 0 afterwards if memory was short.
  explicit RealFft(int size);

  int size() const { return size_; }

  /// Real samples to bins 0 ... size/2 as pairs (real, imaginary), not scaled. The arrays may overlap.
  void Forward(const float* samples, float* spectrum) const;

  /// The inverse of Forward, scaled by 1/size.
  void Inverse(const float* spectrum, float* samples) const;

 private:
  static constexpr int kMaxPasses = 8;  // 2048 = 4^5 * 2 takes 6, and 1458 = 3^6 * 2 takes 7

  /// One factor of the transform: `columns` butterflies of `radix` points for each of `stride` interleaved sequences.
  struct Pass {
    int radix;
    int columns;
    int stride;
    const float* twiddles;  // for k = 1 ... radix - 1: `columns` real parts, then as many imaginary parts
  };

  void PlanPasses(float* twiddles);
  const float* Transform(float* scratch, bool inverse) const;

  int size_ = 0;
  int pass_count_ = 0;
  Pass passes_[kMaxPasses];
  const float* unfold_ = nullptr;  // -i/2 exp(-2 pi i k / size) for k = 0 ... size/4: real parts, then imaginary parts
  std::unique_ptr<float[]> tables_;
};

}  // namespace vivavoce
