#include "fft.h"

#include <cstddef>
#include <initializer_list>
#include <new>

#include "elementary.h"
#include "simd.h"

namespace vivavoce {
namespace {

constexpr int kMaxPoints = RealFft::kMaxSize / 2;

/// One complex number (V = float) or four (V = F32x4).
template <class V>
struct Complex {
  V re;
  V im;
};

template <class V>
inline Complex<V> operator+(Complex<V> a, Complex<V> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class V>
inline Complex<V> operator-(Complex<V> a, Complex<V> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class V>
inline Complex<V> operator*(Complex<V> a, Complex<V> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class V>
inline Complex<V> operator*(float a, Complex<V> b) {
  return {a * b.re, a * b.im};
}
/// -i z, a quarter turn back.
template <class V>
inline Complex<V> TurnBack(Complex<V> z) {
  return {z.im, -z.re};
}

/// An array of complex numbers as two arrays: the layout that the passes work in. T is float or const float.
template <class T>
struct Split {
  T* re;
  T* im;

  template <class V>
  Complex<V> Get(int i) const {
    return {Load<V>(re + i), Load<V>(im + i)};
  }
  template <class V>
  void Put(int i, Complex<V> z) const {
    Store(re + i, z.re);
    Store(im + i, z.im);
  }
};

/// An array of complex numbers as pairs (real, imaginary): the layout of users.
template <class T>
struct Interleaved {
  T* pairs;

  template <class V>
  Complex<V> Get(int i) const {
    Complex<V> z;
    if constexpr (sizeof(V) == sizeof(float)) {
      z = {pairs[2 * i], pairs[2 * i + 1]};
    } else {
      Deinterleave(Load<V>(pairs + 2 * i), Load<V>(pairs + 2 * i + kLanes), &z.re, &z.im);
    }
    return z;
  }
  template <class V>
  void Put(int i, Complex<V> z) const {
    if constexpr (sizeof(V) != sizeof(float)) Interleave(z.re, z.im, &z.re, &z.im);
    Store(pairs + 2 * i, z.re);
    Store(pairs + 2 * i + sizeof(V) / sizeof(float), z.im);
  }
};

// Butterflies: the transforms of 2, 3, 4 and 5 points, in place.

template <class V>
inline void Butterfly(Complex<V> (&z)[2]) {
  const Complex<V> sum = z[0] + z[1];
  z[1] = z[0] - z[1];
  z[0] = sum;
}

template <class V>
inline void Butterfly(Complex<V> (&z)[3]) {
  constexpr float kSin = 0.866025404f;  // of a third of a turn
  const Complex<V> sum = z[1] + z[2];
  const Complex<V> middle = z[0] - 0.5f * sum;
  const Complex<V> side = kSin * TurnBack(z[1] - z[2]);
  z[0] = z[0] + sum;
  z[1] = middle + side;
  z[2] = middle - side;
}

template <class V>
inline void Butterfly(Complex<V> (&z)[4]) {
  const Complex<V> even_sum = z[0] + z[2];
  const Complex<V> even_difference = z[0] - z[2];
  const Complex<V> odd_sum = z[1] + z[3];
  const Complex<V> odd_difference = TurnBack(z[1] - z[3]);
  z[0] = even_sum + odd_sum;
  z[1] = even_difference + odd_difference;
  z[2] = even_sum - odd_sum;
  z[3] = even_difference - odd_difference;
}

template <class V>
inline void Butterfly(Complex<V> (&z)[5]) {
  constexpr float kCos1 = 0.309016994f, kSin1 = 0.951056516f;   // of a fifth of a turn
  constexpr float kCos2 = -0.809016994f, kSin2 = 0.587785252f;  // of two fifths
  const Complex<V> outer_sum = z[1] + z[4];
  const Complex<V> inner_sum = z[2] + z[3];
  const Complex<V> outer = TurnBack(z[1] - z[4]);
  const Complex<V> inner = TurnBack(z[2] - z[3]);
  const Complex<V> middle1 = z[0] + kCos1 * outer_sum + kCos2 * inner_sum;
  const Complex<V> middle2 = z[0] + kCos2 * outer_sum + kCos1 * inner_sum;
  const Complex<V> side1 = kSin1 * outer + kSin2 * inner;
  const Complex<V> side2 = kSin2 * outer - kSin1 * inner;
  z[0] = z[0] + outer_sum + inner_sum;
  z[1] = middle1 + side1;
  z[2] = middle2 + side2;
  z[3] = middle2 - side2;
  z[4] = middle1 - side1;
}

// Passes. With s = stride and m = columns, a pass of radix R maps
//   out[q + s (R p + k)] = w^(p k) * sum over j of in[q + s (p + m j)] exp(-2 pi i j k / R),  w = exp(-2 pi i / (R m)).

/// One or four neighbouring q of one column p. Column 0 has no twiddles: the last pass has no other.
template <int R, bool kTwiddled, class V>
inline void Column(int p, int q, int m, int s, const float* twiddles, Split<const float> in, Split<float> out) {
  Complex<V> z[R];
  for (int j = 0; j < R; ++j) z[j] = in.Get<V>(q + s * (p + m * j));
  Butterfly(z);
  out.Put(q + s * R * p, z[0]);
  for (int k = 1; k < R; ++k) {
    if constexpr (kTwiddled) {
      const float* w = twiddles + 2 * m * (k - 1) + p;
      z[k] = z[k] * Complex<V>{Splat<V>(w[0]), Splat<V>(w[m])};
    }
    out.Put(q + s * (R * p + k), z[k]);
  }
}

template <int R, bool kTwiddled>
inline void Row(int p, int m, int s, const float* twiddles, Split<const float> in, Split<float> out) {
  int q = 0;
  for (; q + kLanes <= s; q += kLanes) Column<R, kTwiddled, F32x4>(p, q, m, s, twiddles, in, out);
  for (; q < s; ++q) Column<R, kTwiddled, float>(p, q, m, s, twiddles, in, out);
}

template <int R>
void RunPass(int m, int s, const float* twiddles, Split<const float> in, Split<float> out) {
  Row<R, false>(0, m, s, twiddles, in, out);
  for (int p = 1; p < m; ++p) Row<R, true>(p, m, s, twiddles, in, out);
}

/// The pass of radix 4 and stride 1, where lanes run over the columns and results are transposed into place.
void RunFirstPass(int m, const float* twiddles, Split<const float> in, Split<float> out) {
  int p = 0;
  for (; p + kLanes <= m; p += kLanes) {
    Complex<F32x4> z[4];
    for (int j = 0; j < 4; ++j) z[j] = in.Get<F32x4>(p + m * j);
    Butterfly(z);
    for (int k = 1; k < 4; ++k) {
      const float* w = twiddles + 2 * m * (k - 1) + p;
      z[k] = z[k] * Complex<F32x4>{Load<F32x4>(w), Load<F32x4>(w + m)};
    }
    F32x4 re[4] = {z[0].re, z[1].re, z[2].re, z[3].re};
    F32x4 im[4] = {z[0].im, z[1].im, z[2].im, z[3].im};
    Transpose(re);
    Transpose(im);
    for (int lane = 0; lane < 4; ++lane) out.Put(4 * (p + lane), Complex<F32x4>{re[lane], im[lane]});
  }
  for (; p < m; ++p) Column<4, true, float>(p, 0, m, 1, twiddles, in, out);
}

// Unfolding. With Z the transform of the pairs, E = (Z[k] + conj Z[n-k]) / 2 that of the even samples, and
// T = -i/2 exp(-2 pi i k / 2n) (Z[k] - conj Z[n-k]) that of the odd ones in its place,
//   X[k] = E + T and X[n-k] = conj(E - T).
// Folding, the way back, is the same with the conjugate factor.

/// Bins k and n - k, for one k or for four neighbouring ones.
template <bool kFold, class V, class From, class To>
inline void Unfold(int k, int n, const float* factors, From from, To to) {
  constexpr int kLast = static_cast<int>(sizeof(V) / sizeof(float)) - 1;
  const Complex<V> a = from.template Get<V>(k);
  const Complex<V> mirrored = from.template Get<V>(n - k - kLast);
  const Complex<V> b{Reverse(mirrored.re), -Reverse(mirrored.im)};
  Complex<V> factor{Load<V>(factors + k), Load<V>(factors + n / 2 + 1 + k)};
  if constexpr (kFold) factor.im = -factor.im;
  const Complex<V> even = 0.5f * (a + b);
  const Complex<V> odd = factor * (a - b);
  const Complex<V> difference = even - odd;
  to.Put(k, even + odd);
  to.Put(n - k - kLast, Complex<V>{Reverse(difference.re), -Reverse(difference.im)});
}

/// All bins but 0 and n.
template <bool kFold, class From, class To>
inline void UnfoldAll(int n, const float* factors, From from, To to) {
  int k = 1;
  for (; 2 * (k + kLanes - 1) < n; k += kLanes) Unfold<kFold, F32x4>(k, n, factors, from, to);
  for (; 2 * k < n; ++k) Unfold<kFold, float>(k, n, factors, from, to);
  if (2 * k == n) {
    const Complex<float> z = from.template Get<float>(k);
    to.Put(k, Complex<float>{z.re, -z.im});
  }
}

/// Copies complex numbers from one layout into the other, scaled.
template <class From, class To>
inline void Copy(int count, float scale, From from, To to) {
  int i = 0;
  for (; i + kLanes <= count; i += kLanes) to.Put(i, scale * from.template Get<F32x4>(i));
  for (; i < count; ++i) to.Put(i, scale * from.template Get<float>(i));
}

}  // namespace

bool RealFft::Supports(int size) {
  if (size < 2 || size > kMaxSize || size % 2 != 0) return false;
  for (const int prime : {2, 3, 5}) {
    while (size % prime == 0) size /= prime;
  }
  return size == 1;
}

RealFft::RealFft(int size) {
  const int n = size / 2;
  // The twiddles of all passes add up to n - 1 complex numbers, the factors of unfolding to n / 2 + 1.
  tables_.reset(new (std::nothrow) float[static_cast<size_t>(2 * (n - 1) + 2 * (n / 2 + 1))]);
  if (tables_ == nullptr) return;
  size_ = size;
  float* unfold = tables_.get();
  for (int k = 0; k <= n / 2; ++k) {
    const SinCos angle = SinCosOfTurns(static_cast<double>(k) / size);
    unfold[k] = static_cast<float>(-0.5 * angle.sin);
    unfold[n / 2 + 1 + k] = static_cast<float>(-0.5 * angle.cos);
  }
  unfold_ = unfold;
  PlanPasses(unfold + 2 * (n / 2 + 1));
}

void RealFft::PlanPasses(float* twiddles) {
  // Fours first: the first pass then has lanes of its own, and all later ones a stride that lanes divide.
  int rest = size_ / 2;
  int stride = 1;
  for (const int radix : {4, 5, 3, 2}) {
    for (; rest % radix == 0; rest /= radix, stride *= radix) {
      const int m = rest / radix;
      passes_[pass_count_++] = Pass{radix, m, stride, twiddles};
      for (int k = 1; k < radix; ++k, twiddles += 2 * m) {
        for (int p = 0; p < m; ++p) {
          const SinCos angle = SinCosOfTurns(static_cast<double>(p * k) / rest);
          twiddles[p] = static_cast<float>(angle.cos);
          twiddles[m + p] = static_cast<float>(-angle.sin);
        }
      }
    }
  }
}

/// Transforms the size/2 complex numbers that `scratch` begins with (all real parts, then all imaginary parts), and
/// returns where in `scratch`, of twice that size, the result stands in the same layout.
const float* RealFft::Transform(float* scratch, bool inverse) const {
  const int n = size_ / 2;
  // Exchanging real and imaginary parts before and after turns the transform into its inverse.
  const int re = inverse ? n : 0;
  const int im = inverse ? 0 : n;
  float* from = scratch;
  float* to = scratch + 2 * n;
  for (int i = 0; i < pass_count_; ++i) {
    const Pass& pass = passes_[i];
    const Split<const float> in{from + re, from + im};
    const Split<float> out{to + re, to + im};
    switch (pass.radix) {
      case 2: RunPass<2>(pass.columns, pass.stride, pass.twiddles, in, out); break;
      case 3: RunPass<3>(pass.columns, pass.stride, pass.twiddles, in, out); break;
      case 4:
        if (pass.stride == 1) {
          RunFirstPass(pass.columns, pass.twiddles, in, out);
        } else {
          RunPass<4>(pass.columns, pass.stride, pass.twiddles, in, out);
        }
        break;
      default: RunPass<5>(pass.columns, pass.stride, pass.twiddles, in, out);
    }
    float* const swap = from;
    from = to;
    to = swap;
  }
  return from;
}

void RealFft::Forward(const float* samples, float* spectrum) const {
  const int n = size_ / 2;
  float scratch[4 * kMaxPoints];
  Copy(n, 1.f, Interleaved<const float>{samples}, Split<float>{scratch, scratch + n});
  const float* z = Transform(scratch, false);
  UnfoldAll<false>(n, unfold_, Split<const float>{z, z + n}, Interleaved<float>{spectrum});
  spectrum[0] = z[0] + z[n];
  spectrum[1] = 0.f;
  spectrum[2 * n] = z[0] - z[n];
  spectrum[2 * n + 1] = 0.f;
}

void RealFft::Inverse(const float* spectrum, float* samples) const {
  const int n = size_ / 2;
  float scratch[4 * kMaxPoints];
  scratch[0] = 0.5f * (spectrum[0] + spectrum[2 * n]);
  scratch[n] = 0.5f * (spectrum[0] - spectrum[2 * n]);
  UnfoldAll<true>(n, unfold_, Interleaved<const float>{spectrum}, Split<float>{scratch, scratch + n});
  const float* z = Transform(scratch, true);
  Copy(n, 1.f / static_cast<float>(n), Split<const float>{z, z + n}, Interleaved<float>{samples});
}

}  // namespace vivavoce
