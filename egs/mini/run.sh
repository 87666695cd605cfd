#!/usr/bin/env bash
# Synthetic speech, every stage, two CPU cores: a base model on three source domains, adapted to
# three target domains in several ways. Where the environment is missing, it is made first.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

source_train="general_train source_train"
standins=true
targets="agriculture music medical"

quick_settings() {
    work=quick
    targets="agriculture"
    data_opts="--quick true"
    base_opts="train.steps=20 train.warmup_steps=5 monitor.every=10 monitor.utterances=10"
    adapt_opts="train.steps=6 monitor.every=3 monitor.utterances=10"
    compare_opts="seeds=[42,43] budget=6"
    # The first of its two steps has a budget of its own.
    if grep -qs "^  soft_prompt:" "$compare"; then
        compare_opts+=" methods.soft_prompt.set.prompt_train.steps=3"
    fi
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
