#!/bin/sh
# The table of README.md: Opus's own concealment, and neural with nothing, LBRR and RED at equal total rate.
#   sh recipes/call-table.sh VIVAVOCE DATA     (make table DATA=...; about 50 minutes on two cores; goes on where it stopped)
set -eu
vivavoce=${1:-vivavoce}
data=${2:-${VIVAVOCE_DATA:?the folder with the corpora, see docs/data.md}}
out=build/call-table
mkdir -p "$out"
rm -f "$out/table.png"
set --
for rate in 24000 32000 48000; do
    set -- "$@" --config "none/opus@$rate"
    for protect in none lbrr red:1 red:2; do
        set -- "$@" --config "$protect/neural@$rate"
    done
done
"$vivavoce" evaluate call --corpus librispeech-test-other-10x10 --data "$data" "$@" --config lbrr+red:2/neural@48000 \
    --loss "$data/loss/modelled-05pct.txt" --loss "$data/loss/modelled-10pct.txt" \
    --loss "$data/loss/modelled-20pct.txt" --loss "$data/loss/modelled-30pct.txt" \
    --loss "$data/loss/measured-1214.txt" \
    --playout-delay 1100 --out "$out/table.jsonl" --plot "$out/table.png" --markdown >"$out/table.md"
cat "$out/table.md"
