// The core's resampler for Python.
#include "arrays.h"
#include "bind.h"
#include "vivavoce.h"

using namespace binding;

void BindResampler(nb::module_& m) { (void)m; }
