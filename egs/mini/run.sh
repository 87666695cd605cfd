#!/usr/bin/env bash
# Every stage, two CPU cores: a base model of a real encoder and a real LLM knows calls to a bank, an
# insurer and a health plan, and is adapted to dictated medicine in several ways. Speech is
# synthetic. Where the environment is missing, it is made first. --standins true: tiny models that
# are trained on the spot, and three target domains.
# shellcheck disable=SC2034  # stage 1 hands the options below on to local/data.sh
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

standins=false # tiny models instead, trained on the spot on speech and text of their own
general=12000 # sentences of everyday words that the real models' base hears
encoder_package="whisper-base"
llm_package="smollm2-135m-instruct"
whisper_alone=true
source_train="general_train source_train"
targets="medical" # agriculture, music: one or several
target_test="test natural"
extra_decode_configs="conf/decode/ngram.yaml" # further ways to decode, for target domains; bias_trie.yaml is one more
score_opts="--normalizer whisper-english plain"
report_opts="--normalizer whisper-english"

standin_settings() {
    targets="agriculture music medical"
    target_test="test"
    extra_decode_configs="conf/decode/*.yaml"
    score_opts="" report_opts=""
}

quick_settings() {
    standins=true
    work=quick
    targets="agriculture"
    data_opts="--quick true"
    base_opts="train.steps=20 train.warmup_steps=5 monitor.every=10 monitor.utterances=10"
    adapt_opts="train.steps=6 monitor.every=3 monitor.utterances=10"
    compare_opts="seeds=[42,43] budget=6"
    # The first of its two steps has a budget of its own.
    if grep -qs "^  soft_prompt:" "conf/standins/${compare#conf/}"; then
        compare_opts+=" methods.soft_prompt.set.prompt_train.steps=3"
    fi
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
