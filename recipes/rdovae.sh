#!/bin/sh
# Trains the RDO-VAE of deep redundancy from the corpora of docs/data.md, on the CPU or a GPU, and goes on where it was stopped.
#   sh recipes/rdovae.sh DATA OUT [OPTIONS of vivavoce train rdovae]
#   PROCESSES=2 sh recipes/rdovae.sh DATA OUT --threads 1     as many processes as that, under torchrun
#   sh recipes/rdovae.sh DATA OUT --init src/vivavoce/models/rdovae-base-v1.safetensors     from shipped weights
exec sh "$(dirname "$0")/train.sh" rdovae "$@"
