#!/bin/sh
# What all recipes of networks do; each of them names its system.
#   sh recipes/train.sh SYSTEM DATA OUT [OPTIONS of vivavoce train SYSTEM]
set -eu
system=${1:?what is trained}
data=${2:?the folder with the corpora, see docs/data.md}
out=${3:?the folder for checkpoint, log and weights}
shift 3
verb="vivavoce train $system"
if [ "${PROCESSES:-1}" -gt 1 ]; then
    verb="torchrun --standalone --nproc-per-node $PROCESSES -m vivavoce train $system"
fi
exec $verb --data "$data" --out "$out" "$@"
