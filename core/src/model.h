// What C calls vv_model: the image of a model and the network that it holds.
#pragma once

#include "fargan.h"
#include "model_image.h"
#include "percepnet_network.h"
#include "predictor.h"

/// Read-only once created. Streams keep a pointer to it and, beside, a state of their own.
struct vv_model final {
  vivavoce::ModelImage image;
  vivavoce::PercepNetNetwork percepnet;  ///< of the networks, the one of the image's kind is bound
  vivavoce::FarganNetwork fargan;
  vivavoce::PredictorNetwork predictor;
  vivavoce::Int8Path path;  ///< the fastest, for all of its streams

  /// False: the image is of no network that is known, or malformed.
  bool Bind() { return percepnet.Bind(image) || fargan.Bind(image) || predictor.Bind(image); }
};
