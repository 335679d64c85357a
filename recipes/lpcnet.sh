#!/bin/sh
# Trains an LPCNet from the corpora of docs/data.md, on the CPU or a GPU, and goes on where it was stopped.
#   sh recipes/lpcnet.sh DATA OUT [OPTIONS of vivavoce train lpcnet]
#   PROCESSES=2 sh recipes/lpcnet.sh DATA OUT --threads 1     as many processes as that, under torchrun
#   sh recipes/lpcnet.sh DATA OUT --init src/vivavoce/models/lpcnet-base-v1.safetensors     from shipped weights
set -eu
data=${1:?the folder with the corpora, see docs/data.md}
out=${2:?the folder for checkpoint, log and weights}
shift 2
verb="vivavoce train lpcnet"
if [ "${PROCESSES:-1}" -gt 1 ]; then
    verb="torchrun --standalone --nproc-per-node $PROCESSES -m vivavoce train lpcnet"
fi
$verb --data "$data" --out "$out" "$@"
