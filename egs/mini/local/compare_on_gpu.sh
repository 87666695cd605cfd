#!/usr/bin/env bash
# The comparison on a machine with a GPU that is lent for minutes and has no network: base, cells side
# by side, decoding, tables. What needs a network or a CPU's time is done before, anywhere:
#
#   ./run.sh --stop_stage features             # data, pretrained/, dump/: to be carried there
#   local/compare_on_gpu.sh --out results      # there; what is missing after a limit is for a next time
set -euo pipefail

out=gpu_results           # folder for tables, figures, logs and a note of the machine
grid=conf/compare.yaml    # the comparison
budget=180                # optimiser steps of a cell: a GPU has time for more than conf/compare.yaml's
seconds=450               # stop after so many
nj=12                     # cells at once on the one GPU
options=""                # further options of run.sh, as --quick true to try this out on a CPU
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh
# shellcheck source=/dev/null
. ./path.sh

mkdir -p "$out"
python3 - >"$out/machine.txt" <<'END'
import platform

import torch

name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
print(f"{name}; {platform.machine()}; torch {torch.__version__}; python {platform.python_version()}")
END
cat "$out/machine.txt"

status=0
# shellcheck disable=SC2086  # words
timeout --signal=INT "$seconds" ./run.sh --compare "$grid" --compare_opts "budget=$budget" \
    --stage base --stop_stage report --nj "$nj" $options >"$out/run.log" 2>&1 || status=$?
tail -n 3 "$out/run.log"
name=$(basename "$grid" .yaml)
for made in {,quick/}RESULTS*."$name"{,.md}; do # not those that were there before
    [ ! "$made" -nt "$out/machine.txt" ] || cp -r "$made" "$out"
done
[ "$status" -ne 124 ] || echo "the time was up; the same command goes on where it stopped"
exit "$status"
