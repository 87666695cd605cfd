#!/usr/bin/env bash
# Across languages (2509.15389): a base model that understands English speech (SLURP) learns from
# sentences of other languages with their meaning (MASSIVE), and from a little of their speech
# (Speech-MASSIVE). A language is a target: --targets "fr-FR de-DE".

# shellcheck disable=SC2034  # stage 1 hands the options below on to local/data.sh
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

slurp_root=downloads/slurp               # clone of pswietojanski/slurp, with audio/slurp_real/ in it
massive_root=downloads/Speech-MASSIVE    # folder with fr-FR/train_115-*.parquet and the like in it
massive_test_root=""                     # that of fr-FR/test-*.parquet; if empty, it is the same
massive_text=downloads/massive/data      # folder of MASSIVE's text, with fr-FR.jsonl in it
massive_speech=train_115                 # split of spoken training utterances; train, where there is one
microphones=all                          # of training; headset: of twin recordings the close one alone
limit=0                                  # at most so many utterances of each set; 0 is all

work=massive
source_train="slurp_train"
source_dev="slurp_dev"
source_test="slurp_test"
targets="fr-FR"
target_train="train text"
base_config=conf/massive/base.yaml
adapt_configs="conf/massive/adapt/*.yaml"

quick_settings() {
    work=quick_massive
    limit=100
    base_opts="train.epochs=null train.steps=20 train.warmup_steps=5"
    adapt_opts="train.epochs=null train.steps=10 train.warmup_steps=2"
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
