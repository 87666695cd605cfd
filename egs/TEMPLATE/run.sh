#!/usr/bin/env bash
# A recipe for a new domain: put your data into corpus/ as local/data.sh describes, name your domains
# below and the models in conf/base.yaml, and run it.

# shellcheck disable=SC2034  # stage 1 hands corpus on to local/data.sh
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

corpus=corpus # folder with a <set>.tsv for each set; see local/data.sh
targets="target"

quick_settings() {
    work=quick
    [ -n "$speech_llm" ] || base_opts="train.steps=20 train.warmup_steps=5"
    adapt_opts="train.steps=10 train.warmup_steps=2"
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
