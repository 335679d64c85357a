#!/bin/sh
# Trains a PercepNet from the corpora of docs/data.md, on the CPU or a GPU, and goes on where it was stopped.
#   sh recipes/percepnet.sh DATA OUT [OPTIONS of vivavoce train percepnet]
#   PROCESSES=2 sh recipes/percepnet.sh DATA OUT --threads 1     as many processes as that, under torchrun
#   sh recipes/percepnet.sh DATA OUT --init src/vivavoce/models/percepnet-small-v1.safetensors     from shipped weights
exec sh "$(dirname "$0")/train.sh" percepnet "$@"
