// One function for each room of the core that Python sees; core_module.cc calls them all.
#pragma once

#include <nanobind/nanobind.h>

void BindDenoiser(nanobind::module_& m);   // denoiser.cc
void BindNeural(nanobind::module_& m);     // neural.cc
void BindRedundancy(nanobind::module_& m);  // redundancy.cc
void BindResampler(nanobind::module_& m);  // resampler.cc
void BindSpeech(nanobind::module_& m);     // speech.cc
