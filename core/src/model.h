// What C calls vv_model: the image of a model and the network that it holds.
#pragma once

#include "fargan.h"
#include "lpcnet.h"
#include "model_image.h"
#include "percepnet_network.h"
#include "predictor.h"
#include "rdovae.h"

/// Read-only once created. Streams keep a pointer to it and, beside, a state of their own.
struct vv_model final {
  vivavoce::ModelImage image;
  vivavoce::PercepNetNetwork percepnet;  ///< of the networks, the one of the image's kind is bound
  vivavoce::FarganNetwork fargan;
  vivavoce::LpcnetNetwork lpcnet;
  vivavoce::PredictorNetwork predictor;
  vivavoce::RdoVae rdovae;
  vivavoce::Int8Path path;  ///< the fastest, for all of its streams

  /// False: the image is of no network that is known, or malformed.
  bool Bind() {
    return percepnet.Bind(image) || fargan.Bind(image) || lpcnet.Bind(image) || predictor.Bind(image) ||
           rdovae.Bind(image);
  }

  /// Of the vocoders, the one that is bound; state_bytes() is 0 where none is.
  const vivavoce::Vocoder& vocoder() const {
    if (lpcnet.state_bytes() != 0) return lpcnet;
    return fargan;
  }
};
