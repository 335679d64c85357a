#!/bin/sh
# Trains an LPCNet from the corpora of docs/data.md, on the CPU or a GPU, and goes on where it was stopped.
#   sh recipes/lpcnet.sh DATA OUT [OPTIONS of vivavoce train lpcnet]
#   PROCESSES=2 sh recipes/lpcnet.sh DATA OUT --threads 1     as many processes as that, under torchrun
#   sh recipes/lpcnet.sh DATA OUT --init src/vivavoce/models/lpcnet-base-v1.safetensors     from shipped weights
exec sh "$(dirname "$0")/train.sh" lpcnet "$@"
