#include "model_file.h"

#include <dlfcn.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace vivavoce_ladspa {
namespace {

// Relative to the plugin, so that an installation may be moved as a whole: where it is installed, and beside it.
constexpr const char* kPlaces[] = {VIVAVOCE_LADSPA_MODEL_FOLDER "/" VIVAVOCE_LADSPA_MODEL, VIVAVOCE_LADSPA_MODEL};

const char* Reason(vv_status status) {
  switch (status) {
    case VV_ERROR_FILE:
      return "cannot be read";
    case VV_ERROR_MEMORY:
      return "memory is short";
    default:
      return "is no model image of this version, or damaged";
  }
}

void Complain(const char* path, vv_status status) {
  std::fprintf(stderr, "vivavoce LADSPA plugin: the model %s %s\n", path, Reason(status));
}

/// Length of the folder's name, up to and with the last slash, in the path of this plugin; 0 where that is not known.
size_t FolderLength(const char** plugin) {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&LoadModel), &info) == 0 || info.dli_fname == nullptr) return 0;
  const char* const slash = std::strrchr(info.dli_fname, '/');
  *plugin = info.dli_fname;
  return slash == nullptr ? 0 : static_cast<size_t>(slash + 1 - info.dli_fname);
}

}  // namespace

vv_model* LoadModel() {
  vv_status status;
  const char* const chosen = std::getenv("VIVAVOCE_MODEL");
  if (chosen != nullptr && *chosen != '\0') {
    vv_model* const model = vv_model_load(chosen, &status);
    if (model == nullptr) Complain(chosen, status);
    return model;
  }
  const char* plugin = "";
  const int length = static_cast<int>(FolderLength(&plugin));
  char path[PATH_MAX];
  for (const char* place : kPlaces) {
    const int size = std::snprintf(path, sizeof path, "%.*s%s", length, plugin, place);
    if (size < 0 || size >= static_cast<int>(sizeof path)) continue;
    vv_model* const model = vv_model_load(path, &status);
    if (model != nullptr) return model;
    if (status == VV_ERROR_FILE) continue;  // perhaps it is in the other place
    Complain(path, status);
    return nullptr;
  }
  std::fprintf(stderr, "vivavoce LADSPA plugin: no model at %.*s{%s,%s}; VIVAVOCE_MODEL may name one\n", length, plugin,
               kPlaces[0], kPlaces[1]);
  return nullptr;
}

}  // namespace vivavoce_ladspa
