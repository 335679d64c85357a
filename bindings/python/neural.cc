// The core's neural for Python.
#include "arrays.h"
#include "bind.h"
#include "vivavoce.h"

using namespace binding;

void BindNeural(nb::module_& m) { (void)m; }
