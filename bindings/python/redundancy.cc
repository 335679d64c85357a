// Deep redundancy for Python: an encoder that follows speech, and what a payload says.
#include <nanobind/stl/unique_ptr.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "arrays.h"
#include "bind.h"
#include "denormals.h"
#include "dred_encoder.h"
#include "dred_payload.h"
#include "model_handle.h"
#include "rdovae.h"
#include "turn.h"

using namespace binding;

namespace {

const vivavoce::RdoVae& Vae(const vv_model& model) {
  if (model.rdovae.encoder_bytes() != 0) return model.rdovae;
  throw nb::value_error((std::string("model must be an RDO-VAE, got ") + vv_model_name(&model)).c_str());
}

class DredEncoder {
 public:
  explicit DredEncoder(const Model& model)
      : model_(model.shared()), encoder_(Vae(*model_), model_->path) {
    if (!encoder_.ok()) throw std::bad_alloc();
  }

  void Push(const Array& array) {
    constexpr size_t kHop = vivavoce::kSpeechHop;
    const Vector<float> samples("samples", array);
    if (samples.size() % kHop != 0) {
      throw nb::value_error(("samples must be whole hops of 160, got " + std::to_string(samples.size())).c_str());
    }
    const Turn turn(busy_, kName);
    const nb::gil_scoped_release release;
    const vivavoce::FlushDenormals modes;
    for (size_t i = 0; i < samples.size(); i += kHop) encoder_.Push(samples.data() + i);
  }

  float Loudness(int age) {
    const Turn turn(busy_, kName);
    if (age >= 0 && age < encoder_.kept()) return encoder_.Loudness(age);
    throw nb::value_error(("age must be below the " + std::to_string(encoder_.kept()) + " steps that are kept, got " +
                           std::to_string(age))
                              .c_str());
  }

  nb::bytes Write(int age, int offset, int first, int slope, int last, int chunks) {
    const Turn turn(busy_, kName);
    uint8_t out[vivavoce::kDredMaxPayload];
    int size;
    {
      const nb::gil_scoped_release release;
      const vivavoce::FlushDenormals modes;
      size = encoder_.Write(age, offset, {first, slope, last}, chunks, out, sizeof out);
    }
    if (size < 0) {
      throw nb::value_error(("no payload of age " + std::to_string(age) + ", offset " + std::to_string(offset) +
                             ", levels " + std::to_string(first) + " to " + std::to_string(last) + " by slope " +
                             std::to_string(slope) + ", " + std::to_string(chunks) + " chunks")
                                .c_str());
    }
    return nb::bytes(out, static_cast<size_t>(size));
  }

  int64_t hops() const { return encoder_.hops(); }
  void Reset() {
    const Turn turn(busy_, kName);
    encoder_.Reset();
  }

  std::unique_ptr<DredEncoder> Copy() {
    const Turn turn(busy_, kName);
    auto copy = std::make_unique<DredEncoder>(*this, 0);
    copy->encoder_.CopyState(encoder_);
    return copy;
  }

  DredEncoder(const DredEncoder& other, int) : model_(other.model_), encoder_(Vae(*model_), model_->path) {
    if (!encoder_.ok()) throw std::bad_alloc();
  }

 private:
  static constexpr const char* kName = "DredEncoder";

  std::shared_ptr<vv_model> model_;
  vivavoce::DredEncoder encoder_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

/// What a payload says, decoded as far as somebody asks.
class DredReader {
 public:
  DredReader(const Model& model, const nb::bytes& data) : model_(model.shared()) {
    const vivavoce::DredError error =
        vivavoce::ReadDred(Vae(*model_).tables(), static_cast<const uint8_t*>(data.data()),
                           static_cast<int>(std::min<size_t>(data.size(), vivavoce::kDredMaxPayload + 1)), &payload_);
    if (error != vivavoce::DredError::kNone) throw nb::value_error(Describe(error));
  }

  int offset() const { return payload_.offset; }
  int chunks() const { return payload_.chunks; }
  int level(int chunk) const { return payload_.levels.level(Checked(chunk)); }

  FloatMatrix Features(int chunk) {
    constexpr size_t kCount = vivavoce::kVaeChunkFeatures;
    Checked(chunk);
    const Turn turn(busy_, "DredReader");
    std::unique_ptr<float[]> features(new float[kCount]);
    {
      const nb::gil_scoped_release release;
      const vivavoce::FlushDenormals modes;
      Decode(chunk);
    }
    std::copy_n(decoded_.data() + static_cast<size_t>(chunk) * kCount, kCount, features.get());
    return Own<FloatMatrix>(std::move(features), {vivavoce::kVaeChunk, vivavoce::kSpeechFeatures});
  }

  nb::bytes Shortened(int chunks) const {
    uint8_t out[vivavoce::kDredMaxPayload];
    if (chunks < 1) throw nb::value_error(("chunks must be 1 or more, got " + std::to_string(chunks)).c_str());
    vivavoce::DredPayload shorter = payload_;
    shorter.chunks = std::min(chunks, payload_.chunks);
    const int size = vivavoce::WriteDred(model_->rdovae.tables(), shorter, out, sizeof out);
    return nb::bytes(out, static_cast<size_t>(std::max(size, 0)));
  }

 private:
  static const char* Describe(vivavoce::DredError error) {
    switch (error) {
      case vivavoce::DredError::kVersion: return "a DRED payload of another version";
      case vivavoce::DredError::kModel: return "a DRED payload of another model";
      case vivavoce::DredError::kCheck: return "a DRED payload whose check is wrong";
      case vivavoce::DredError::kShort: return "a DRED payload that ends before what it says";
      default: return "no DRED payload";
    }
  }

  int Checked(int chunk) const {
    if (chunk >= 0 && chunk < payload_.chunks) return chunk;
    throw nb::value_error(
        ("chunk must be from 0 to " + std::to_string(payload_.chunks - 1) + ", got " + std::to_string(chunk)).c_str());
  }

  void Decode(int last) {
    const vivavoce::RdoVae& vae = model_->rdovae;
    constexpr size_t kCount = vivavoce::kVaeChunkFeatures;
    if (state_.empty()) {
      state_.resize(vae.decoder_bytes() / sizeof(float));
      vae.BeginDecoding(model_->path, state_.data(), payload_.state, payload_.levels.first);
    }
    for (int chunk = static_cast<int>(decoded_.size() / kCount); chunk <= last; ++chunk) {
      decoded_.resize(decoded_.size() + kCount);
      vae.Decode(model_->path, state_.data(), payload_.latents[chunk], payload_.levels.level(chunk),
                 decoded_.data() + static_cast<size_t>(chunk) * kCount);
    }
  }

  std::shared_ptr<vv_model> model_;
  vivavoce::DredPayload payload_;
  std::vector<float> state_, decoded_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

}  // namespace

void BindRedundancy(nb::module_& m) {
  nb::class_<DredEncoder>(m, "DredEncoder",
                          R"(Speech at 16 kHz to payloads that describe its past; for one thread at a time.

A step is two hops of 160 samples, 20 ms; a chunk of a payload is two steps. What a step costs does not depend on what
is sent.

Args:
    model: An RDO-VAE.

Raises:
    ValueError: The model is another system's.)")
      .def(nb::init<const Model&>(), "model"_a, nb::sig("def __init__(self, model: Model) -> None"))
      .def_prop_ro("hops", &DredEncoder::hops, "Hops since the beginning.")
      .def("push", &DredEncoder::Push, "samples"_a.noconvert(),
           nb::sig("def push(self, samples: " VV_FLOATS ") -> None"),
           R"(Hear samples, without the GIL.

Args:
    samples: Whole hops, shape (160 * hops,), float32 in [-1, 1).

Raises:
    TypeError: `samples` is not float32.
    ValueError: `samples` are no whole hops.)")
      .def("loudness", &DredEncoder::Loudness, "age"_a = 0,
           R"(First cepstral coefficient of the louder frame of a step, so many steps before the newest whole one.)")
      .def("write", &DredEncoder::Write, "age"_a, "offset"_a, "first"_a, "slope"_a, "last"_a, "chunks"_a,
           R"(A payload, as `vivavoce.redundancy.payload` has them.

Args:
    age: Steps between the end of its newest chunk and the newest whole step.
    offset: From the end of its newest chunk to the packet's RTP timestamp, in units of 2.5 ms, from -64 to 191.
    first: Level of the newest chunk, from 0 to 15.
    slope: Index into `SLOPES`.
    last: The coarsest level.
    chunks: How many, at most 26; there are fewer where not so many were heard.

Raises:
    ValueError: A number is out of range, or nothing was heard.)")
      .def("reset", &DredEncoder::Reset, "Back to the beginning.")
      .def("copy", &DredEncoder::Copy, "An encoder that goes on as this one would.");

  nb::class_<DredReader>(m, "DredReader", R"(What a payload says, decoded as far as somebody asks; for one thread at a time.

Args:
    model: The RDO-VAE that made it.
    data: The payload.

Raises:
    ValueError: It is none, of another version or model, or damaged.)")
      .def(nb::init<const Model&, const nb::bytes&>(), "model"_a, "data"_a,
           nb::sig("def __init__(self, model: Model, data: bytes) -> None"))
      .def_prop_ro("offset", &DredReader::offset,
                   "From the end of the newest chunk to the packet's RTP timestamp, in units of 2.5 ms.")
      .def_prop_ro("chunks", &DredReader::chunks, "How many chunks of 40 ms it has.")
      .def("level", &DredReader::level, "chunk"_a, "Of the quantiser; 0 is the newest chunk.")
      .def("features", &DredReader::Features, "chunk"_a,
           nb::sig("def features(self, chunk: int) -> " VV_FLOATS),
           R"(Features of a chunk, 0 the newest: shape (4, 20), forward in time. Those after it are decoded too.)")
      .def("shortened", &DredReader::Shortened, "chunks"_a,
           "The payload with no more than so many chunks, the newest, as a relay may send it on.");
}
