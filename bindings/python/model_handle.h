// A model as Python holds it: vivavoce._core.Model, which neural.cc binds and streams keep alive.
#pragma once

#include <memory>
#include <new>
#include <string>

#include "arrays.h"
#include "model.h"
#include "vivavoce.h"

namespace binding {

/// A model that several objects of Python hold.
class Model {
 public:
  explicit Model(const nb::object& path) {
    PyObject* encoded = nullptr;
    if (!PyUnicode_FSConverter(path.ptr(), &encoded)) throw nb::python_error();
    const nb::bytes name = nb::steal<nb::bytes>(encoded);
    vv_status status;
    vv_model* model;
    {
      const nb::gil_scoped_release release;
      model = vv_model_load(name.c_str(), &status);
    }
    const std::string shown = nb::str(path).c_str();
    if (status == VV_ERROR_FILE) {
      PyErr_SetString(PyExc_OSError, (shown + " is no file that can be read").c_str());
      throw nb::python_error();
    }
    Take(model, status, shown);
  }

  explicit Model(const nb::bytes& image) : bytes_(image) {
    vv_status status;
    vv_model* const model = vv_model_from_memory(image.c_str(), image.size(), &status);
    Take(model, status, "image of " + std::to_string(image.size()) + " bytes");
  }

  const char* name() const { return vv_model_name(model_.get()); }
  int sample_rate() const { return vv_model_sample_rate(model_.get()); }
  int lookahead_frames() const { return vv_model_lookahead_frames(model_.get()); }
  const char* system() const {
    switch (model_->image.header().kind) {
      case vivavoce::ModelKind::kPercepNet: return "percepnet";
      case vivavoce::ModelKind::kFargan: return "fargan";
      case vivavoce::ModelKind::kPredictor: return "plc";
      case vivavoce::ModelKind::kLpcnet: return "lpcnet";
      case vivavoce::ModelKind::kRdoVae: return "rdovae";
    }
    return "";
  }
  nb::tuple sizes() const {
    const auto& sizes = model_->percepnet.sizes();
    return nb::make_tuple(sizes[0], sizes[1], sizes[2], sizes[3]);
  }

  const std::shared_ptr<vv_model>& shared() const { return model_; }

 private:
  void Take(vv_model* model, vv_status status, const std::string& what) {
    if (status == VV_ERROR_MEMORY) throw std::bad_alloc();
    if (model == nullptr) throw nb::value_error((what + " is no model image of this version, or damaged").c_str());
    // The bytes go after the model that views them.
    model_ = std::shared_ptr<vv_model>(model, [bytes = bytes_](vv_model* unused) { vv_model_destroy(unused); });
  }

  nb::object bytes_;
  std::shared_ptr<vv_model> model_;
};

/// The path that the user names; that of the model where it is None.
inline vivavoce::Int8Path FindPath(const vv_model& model, const nb::object& path) {
  if (path.is_none()) return model.path;
  const std::string name = nb::str(path).c_str();
  vivavoce::Int8Path paths[vivavoce::kInt8PathCount];
  const int count = vivavoce::Int8Paths(paths);
  for (int i = 0; i < count; ++i) {
    if (name == vivavoce::Int8PathName(paths[i])) return paths[i];
  }
  throw nb::value_error(("path must be one of int8_paths(), got " + name).c_str());
}

/// Refuses a model of another system: its networks have no state.
inline void CheckKind(size_t state_bytes, const vv_model& model, const char* system) {
  if (state_bytes == 0) {
    throw nb::value_error((std::string("model must be a ") + system + ", got " + vv_model_name(&model)).c_str());
  }
}

}  // namespace binding
