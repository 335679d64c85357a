#!/bin/sh
# Trains the predictor of lost features from the corpora of docs/data.md, on the CPU or a GPU, and goes on where it was stopped.
#   sh recipes/plc.sh DATA OUT [OPTIONS of vivavoce train plc]
#   PROCESSES=2 sh recipes/plc.sh DATA OUT --threads 1     as many processes as that, under torchrun
#   sh recipes/plc.sh DATA OUT --init src/vivavoce/models/plc-base-v1.safetensors     from shipped weights
exec sh "$(dirname "$0")/train.sh" plc "$@"
