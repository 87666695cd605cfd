#!/usr/bin/env bash
# CMU AN4: real speech, every stage, two CPU cores. A base model that knows names, addresses and
# numbers (cen*) is adapted in several ways to alphanumeric strings and commands (an*).

# shellcheck disable=SC2034  # stage 1 hands the options below on to local/data.sh
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

an4_root=downloads/an4 # folder of AN4, with etc/ and wav/ in it

source_train="source_train source_train_sp0.9 source_train_sp1.1"
encoder_package="whisper-base"
llm_package="smollm2-135m-instruct"
whisper_alone=true
report_opts="--normalizer english"
targets="alphanumeric"

# --standins true: the base, too, hears the stand-ins' general speech.
standin_settings() { source_train="general_train $source_train"; }

quick_settings() {
    work=quick standins=true
    data_opts="--quick true"
    base_opts="train.steps=20 train.warmup_steps=5 monitor.every=10 monitor.utterances=10"
    adapt_opts="train.steps=6 monitor.every=3 monitor.utterances=10"
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
