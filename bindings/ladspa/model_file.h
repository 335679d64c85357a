// Where the plugin finds its model.
#pragma once

#include "vivavoce.h"

namespace vivavoce_ladspa {

/// The model of the environment variable VIVAVOCE_MODEL, the path of a .vvm file, where it is set; otherwise that which
/// was installed with the plugin, or lies beside it. One line on stderr and NULL where there is none, or it is no good.
vv_model* LoadModel();

}  // namespace vivavoce_ladspa
