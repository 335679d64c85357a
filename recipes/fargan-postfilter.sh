#!/bin/sh
# Trains the spectral postfilter of a FARGAN, on the CPU or a GPU, and goes on where it was stopped.
#   sh recipes/fargan-postfilter.sh DATA OUT --init FARGAN.safetensors [OPTIONS of vivavoce train fargan-postfilter]
#   PROCESSES=2 sh recipes/fargan-postfilter.sh DATA OUT --init FARGAN.safetensors --threads 1     under torchrun
set -eu
data=${1:?the folder with the corpora, see docs/data.md}
out=${2:?the folder for checkpoint, log and weights}
shift 2
verb="vivavoce train fargan-postfilter"
if [ "${PROCESSES:-1}" -gt 1 ]; then
    verb="torchrun --standalone --nproc-per-node $PROCESSES -m vivavoce train fargan-postfilter"
fi
$verb --data "$data" --out "$out" "$@"
