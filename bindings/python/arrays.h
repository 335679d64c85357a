// Arrays across the binding: checked on the way in, made without a copy on the way out, the GIL released in between.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace nb = nanobind;
using namespace nb::literals;

namespace binding {

using Array = nb::ndarray<nb::ro, nb::device::cpu>;
using FloatVector = nb::ndarray<nb::numpy, float, nb::ndim<1>>;
using FloatMatrix = nb::ndarray<nb::numpy, float, nb::ndim<2>>;
using ComplexVector = nb::ndarray<nb::numpy, std::complex<float>, nb::ndim<1>>;

/// What the user gave, as he would write it: "float64 of shape (2, 3)".
inline std::string Describe(const Array& array) {
  const nb::dlpack::dtype type = array.dtype();
  static constexpr const char* kNames[] = {"int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
  std::string text = type.code < std::size(kNames) ? kNames[type.code] : "unknown";
  text += std::to_string(type.bits) + " of shape (";
  for (size_t i = 0; i < array.ndim(); ++i) text += (i > 0 ? ", " : "") + std::to_string(array.shape(i));
  return text + (array.ndim() == 1 ? ",)" : ")");
}

/// A one-dimensional argument as contiguous numbers, copied only where it has strides.
template <class T>
class Vector {
 public:
  /// `count` is the length it must have.
  Vector(const char* name, const Array& array, size_t count) : Vector(name, array) {
    if (size_ != count) {
      throw nb::value_error(
          (std::string(name) + " must have shape (" + std::to_string(count) + ",), got " + Describe(array)).c_str());
    }
  }

  Vector(const char* name, const Array& array) {
    if (array.dtype() != nb::dtype<T>()) {
      const char* wanted = std::is_same_v<T, float> ? "float32" : "complex64";
      throw nb::type_error((std::string(name) + " must be " + wanted + ", got " + Describe(array)).c_str());
    }
    if (array.ndim() != 1) {
      throw nb::value_error((std::string(name) + " must have one dimension, got " + Describe(array)).c_str());
    }
    size_ = array.shape(0);
    data_ = static_cast<const T*>(array.data());
    if (array.stride(0) != 1 && size_ > 1) {
      copy_.resize(size_);
      for (size_t i = 0; i < size_; ++i) copy_[i] = data_[static_cast<ptrdiff_t>(i) * array.stride(0)];
      data_ = copy_.data();
    }
  }

  const T* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  const T* data_;
  size_t size_;
  std::vector<T> copy_;
};

/// Rows of so many numbers each, contiguous.
inline std::vector<float> Rows(const char* name, const Array& array, size_t columns) {
  if (array.dtype() != nb::dtype<float>()) {
    throw nb::type_error((std::string(name) + " must be float32, got " + Describe(array)).c_str());
  }
  if (array.ndim() != 2 || array.shape(1) != columns) {
    const std::string wanted = " must have shape (frames, " + std::to_string(columns) + "), got ";
    throw nb::value_error((name + wanted + Describe(array)).c_str());
  }
  std::vector<float> rows(array.shape(0) * columns);
  const float* const data = static_cast<const float*>(array.data());
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = data[static_cast<ptrdiff_t>(i / columns) * array.stride(0) +
                   static_cast<ptrdiff_t>(i % columns) * array.stride(1)];
  }
  return rows;
}

/// A NumPy array that owns `data`.
template <class Result>
Result Own(std::unique_ptr<typename Result::Scalar[]> data, std::initializer_list<size_t> shape) {
  using T = typename Result::Scalar;
  T* const pointer = data.get();
  nb::capsule owner(pointer, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  data.release();
  return Result(pointer, shape, owner);
}

/// A new NumPy vector that owns its memory. `fill` writes it, without the GIL.
template <class Result, class Fill>
Result NewArray(size_t count, Fill fill) {
  using T = typename Result::Scalar;
  std::unique_ptr<T[]> data(new T[count]);
  {
    const nb::gil_scoped_release release;
    fill(data.get());
  }
  return Own<Result>(std::move(data), {count});
}

// Types as users read them: nanobind's own signatures do not know what the arguments must be.
#define VV_FLOATS "numpy.typing.NDArray[numpy.float32]"
#define VV_NUMBERS "numpy.typing.NDArray[numpy.int8]"
#define VV_COMPLEX "numpy.typing.NDArray[numpy.complex64]"

}  // namespace binding
