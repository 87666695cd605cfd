#!/usr/bin/env bash
# Spoken language understanding with little speech, on stand-ins: the synthetic speech of
# run.sh --standins true, but the LLM answers with what is meant. A base model that understands calls
# (bank, insurance, health) and takes dictation is adapted to farming, of which there is text with its
# meaning, and little speech.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

work=slu
source_train="general_train source_train"
standins=true
targets="agriculture" # or music, medical
base_config=conf/slu/base.yaml
adapt_configs="conf/slu/adapt/*.yaml"
decode_config=conf/slu/decode.yaml
data_opts="--slu true"
extra_decode_configs="" # those of run.sh are for words

quick_settings() {
    work=quick_slu
    data_opts="--slu true --quick true"
    base_opts="train.steps=20 train.warmup_steps=5 monitor.every=10 monitor.utterances=10"
    adapt_opts="train.steps=6 monitor.every=3 monitor.utterances=10"
    compare_opts="seeds=[42,43] budget=6"
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
