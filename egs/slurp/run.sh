#!/usr/bin/env bash
# SLURP: spoken language understanding with little speech (2509.15389). A base model on read speech,
# as dictation, learns from SLURP's sentences with their meaning and from a share of their recordings.

# shellcheck disable=SC2034  # stage 1 hands the options below on to local/data.sh
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

librispeech_root=downloads/LibriSpeech # folder with train-clean-100/ and the like in it
slurp_root=downloads/slurp             # clone of pswietojanski/slurp, with audio/slurp_real/ in it
microphones=all                        # of training; headset: of twin recordings the close one alone
limit=0                                # at most so many utterances of each set; 0 is all

source_train="train_clean_100"
source_dev="dev_clean"
source_test="test_clean"
targets="slurp"

quick_settings() {
    work=quick
    limit=100
    base_opts="train.epochs=null train.steps=20 train.warmup_steps=5"
    adapt_opts="train.epochs=null train.steps=10 train.warmup_steps=2"
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
