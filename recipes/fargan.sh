#!/bin/sh
# Trains a FARGAN from the corpora of docs/data.md, on the CPU or a GPU, and goes on where it was stopped.
#   sh recipes/fargan.sh DATA OUT [OPTIONS of vivavoce train fargan]
#   PROCESSES=2 sh recipes/fargan.sh DATA OUT --threads 1     as many processes as that, under torchrun
#   sh recipes/fargan.sh DATA OUT --init src/vivavoce/models/fargan-base-v1.safetensors     from shipped weights
exec sh "$(dirname "$0")/train.sh" fargan "$@"
