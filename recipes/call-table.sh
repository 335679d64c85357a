#!/bin/sh
# The table of README.md: PLC, LBRR and RED at equal total rate over lossy networks.
#   sh recipes/call-table.sh VIVAVOCE DATA     (make table DATA=...; about 40 minutes on two cores; goes on where it stopped)
set -eu
vivavoce=${1:-vivavoce}
data=${2:-${VIVAVOCE_DATA:?the folder with the corpora, see docs/data.md}}
out=build/call-table
mkdir -p "$out"
rm -f "$out/table.png"
"$vivavoce" evaluate call --corpus librispeech-test-other-10x10 --data "$data" \
    --bitrate 24000,32000,48000 --protect none --protect lbrr --protect red:1 --protect red:2 --config lbrr+red:2@48000 \
    --loss "$data/loss/modelled-05pct.txt" --loss "$data/loss/modelled-10pct.txt" \
    --loss "$data/loss/modelled-20pct.txt" --loss "$data/loss/modelled-30pct.txt" \
    --loss "$data/loss/measured-1214.txt" \
    --playout-delay 1100 --out "$out/table.jsonl" --plot "$out/table.png" --markdown >"$out/table.md"
cat "$out/table.md"
