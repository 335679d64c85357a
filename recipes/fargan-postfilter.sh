#!/bin/sh
# Trains the spectral postfilter of a FARGAN, on the CPU or a GPU, and goes on where it was stopped.
#   sh recipes/fargan-postfilter.sh DATA OUT --init FARGAN.safetensors [OPTIONS of vivavoce train fargan-postfilter]
#   PROCESSES=2 sh recipes/fargan-postfilter.sh DATA OUT --init FARGAN.safetensors --threads 1     under torchrun
exec sh "$(dirname "$0")/train.sh" fargan-postfilter "$@"
