// Deep redundancy for Python: an encoder that follows speech, what a payload says, and the networks alone.
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>
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
  CheckKind(model.rdovae.encoder_bytes(), model, "RDO-VAE");
  return model.rdovae;
}

/// Numbers of one sign or the other, one row for each chunk.
using NumberMatrix = nb::ndarray<nb::numpy, int8_t, nb::ndim<2>>;
using Numbers = nb::ndarray<const int8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

class RdoVaeNetwork {
 public:
  RdoVaeNetwork(const Model& model, const nb::object& path) : model_(model.shared()), path_(FindPath(*model_, path)) {
    state_.resize(::Vae(*model_).encoder_bytes() / sizeof(float));
  }

  nb::tuple Encode(const Array& array) {
    const std::vector<float> features = Rows("features", array, vivavoce::kVaeStepInputs);
    const size_t steps = features.size() / vivavoce::kVaeStepInputs, latent = Latent(), state = State();
    std::unique_ptr<float[]> latents(new float[steps * latent]), states(new float[steps * state]);
    const Turn turn(busy_, kName);
    {
      const nb::gil_scoped_release release;
      const vivavoce::FlushDenormals modes;
      for (size_t i = 0; i < steps; ++i) {
        Vae().Encode(path_, state_.data(), features.data() + i * vivavoce::kVaeStepInputs, latents.get() + i * latent,
                     states.get() + i * state);
      }
    }
    return nb::make_tuple(Own<FloatMatrix>(std::move(latents), {steps, latent}),
                          Own<FloatMatrix>(std::move(states), {steps, state}));
  }

  NumberMatrix RoundLatents(const Array& latents, int level) const {
    return Round(Rows("latents", latents, Latent()), Latent(), level, [this](const float* from, int at, int8_t* out) {
      Vae().RoundLatent(from, at, out);
    });
  }

  NumberMatrix RoundStates(const Array& states, int level) const {
    return Round(Rows("states", states, State()), State(), level, [this](const float* from, int at, int8_t* out) {
      Vae().RoundState(from, at, out);
    });
  }

  FloatMatrix Decode(const Numbers& state, const Numbers& latents, const std::vector<int>& levels) const {
    const size_t chunks = latents.shape(0);
    if (state.shape(0) != 1 || state.shape(1) != State() || latents.shape(1) != Latent() || levels.size() != chunks) {
      throw nb::value_error("state, latents and levels do not go together, or with the model");
    }
    for (const int level : levels) CheckLevel(level);
    std::unique_ptr<float[]> features(new float[chunks * vivavoce::kVaeChunkFeatures]);
    {
      const nb::gil_scoped_release release;
      const vivavoce::FlushDenormals modes;
      std::vector<float> memory(Vae().decoder_bytes() / sizeof(float));
      if (chunks > 0) Vae().BeginDecoding(path_, memory.data(), state.data(), levels[0]);
      for (size_t i = 0; i < chunks; ++i) {
        Vae().Decode(path_, memory.data(), latents.data() + i * Latent(), levels[i],
                     features.get() + i * vivavoce::kVaeChunkFeatures);
      }
    }
    return Own<FloatMatrix>(std::move(features), {chunks, vivavoce::kVaeChunkFeatures});
  }

  void Reset() {
    const Turn turn(busy_, kName);
    std::fill(state_.begin(), state_.end(), 0.f);
  }

  std::unique_ptr<RdoVaeNetwork> Copy() {
    const Turn turn(busy_, kName);
    return std::make_unique<RdoVaeNetwork>(*this, 0);
  }

  RdoVaeNetwork(const RdoVaeNetwork& other, int) : model_(other.model_), path_(other.path_), state_(other.state_) {}

 private:
  static constexpr const char* kName = "RdoVaeNetwork";

  static void CheckLevel(int level) {
    if (level >= 0 && level < vivavoce::kDredLevels) return;
    throw nb::value_error(("level must be from 0 to 15, got " + std::to_string(level)).c_str());
  }

  template <class One>
  static NumberMatrix Round(const std::vector<float>& values, size_t count, int level, One one) {
    CheckLevel(level);
    const vivavoce::FlushDenormals modes;
    std::unique_ptr<int8_t[]> numbers(new int8_t[values.size()]);
    for (size_t i = 0; i < values.size(); i += count) one(values.data() + i, level, numbers.get() + i);
    return Own<NumberMatrix>(std::move(numbers), {values.size() / count, count});
  }

  const vivavoce::RdoVae& Vae() const { return model_->rdovae; }
  size_t Latent() const { return static_cast<size_t>(Vae().latent()); }
  size_t State() const { return static_cast<size_t>(Vae().state()); }

  std::shared_ptr<vv_model> model_;
  vivavoce::Int8Path path_;
  std::vector<float> state_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

class DredEncoder {
 public:
  explicit DredEncoder(const Model& model)
      : model_(model.shared()), encoder_(Vae(*model_), model_->path) {
    if (!encoder_.ok()) throw std::bad_alloc();
  }

  void Push(const Array& array) {
    const Vector<float> samples("samples", array);
    const Turn turn(busy_, kName);
    const nb::gil_scoped_release release;
    const vivavoce::FlushDenormals modes;
    encoder_.Push(samples.data(), samples.size());
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

  int64_t hops() {
    const Turn turn(busy_, kName);
    return encoder_.hops();
  }

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
      .def_prop_ro("hops", &DredEncoder::hops, "Whole hops since the beginning.")
      .def("push", &DredEncoder::Push, "samples"_a.noconvert(),
           nb::sig("def push(self, samples: " VV_FLOATS ") -> None"),
           R"(Hear samples, without the GIL.

Args:
    samples: Any number, shape (n,), float32 in [-1, 1).

Raises:
    TypeError: `samples` is not float32.
    ValueError: It has not one dimension.)")
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

  nb::class_<RdoVaeNetwork>(m, "RdoVaeNetwork",
                            R"(The networks of an RDO-VAE alone, the encoder as one stream; for one thread at a time.

Args:
    model: The layers.
    path: One of `int8_paths()`, for tests; None is the fastest.

Raises:
    ValueError: The model is another system's, or this processor has no such path.)")
      .def(nb::init<const Model&, const nb::object&>(), "model"_a, "path"_a = nb::none(),
           nb::sig("def __init__(self, model: Model, path: str | None = None) -> None"))
      .def("encode", &RdoVaeNetwork::Encode, "features"_a.noconvert(),
           nb::sig("def encode(self, features: " VV_FLOATS ") -> tuple[" VV_FLOATS ", " VV_FLOATS "]"),
           R"(Step after step, without the GIL.

Args:
    features: Two frames a step, shape (steps, 40), float32.

Returns:
    Latent vectors, shape (steps, latent), and states, shape (steps, state), not rounded.

Raises:
    TypeError: `features` is not float32.
    ValueError: `features` has another shape.)")
      .def("round_latents", &RdoVaeNetwork::RoundLatents, "latents"_a.noconvert(), "level"_a,
           nb::sig("def round_latents(self, latents: " VV_FLOATS ", level: int) -> " VV_NUMBERS),
           R"(What is sent of latent vectors, shape (steps, latent), at a level from 0 to 15.)")
      .def("round_states", &RdoVaeNetwork::RoundStates, "states"_a.noconvert(), "level"_a,
           nb::sig("def round_states(self, states: " VV_FLOATS ", level: int) -> " VV_NUMBERS),
           R"(What is sent of states, shape (steps, state), at a level from 0 to 15.)")
      .def("decode", &RdoVaeNetwork::Decode, "state"_a.noconvert(), "latents"_a.noconvert(), "levels"_a,
           nb::sig("def decode(self, state: " VV_NUMBERS ", latents: " VV_NUMBERS
                   ", levels: collections.abc.Sequence[int]) -> " VV_FLOATS),
           R"(Go back in time, without the GIL.

Args:
    state: What was sent of it at the newest chunk, shape (1, state), int8.
    latents: The newest first, shape (chunks, latent), int8.
    levels: Of each chunk; that of the newest is the state's too.

Returns:
    Features of the chunks, the newest first, shape (chunks, 80): four frames each, forward in time.

Raises:
    ValueError: A shape or a level is not what it must be.)")
      .def("reset", &RdoVaeNetwork::Reset, "Back to the beginning.")
      .def("copy", &RdoVaeNetwork::Copy, "A stream that goes on as this one would.");
}
