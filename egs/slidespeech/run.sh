#!/usr/bin/env bash
# SlideSpeech: a base model on talks about life, talent and English, adapted to agriculture, animation
# and musical instruments in the published ways. ./run_l95.sh adapts from LibriSpeech instead.

# shellcheck disable=SC2034  # stage 1 hands the options below on to local/data.sh
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

slidespeech_root=downloads/slidespeech # folder with <domain>/audios/*.wav in it
splits=downloads/splits                # folder of the published splits; see README.md
target_audio=true                      # false: the targets' training sets are text alone
limit=0                                # at most so many utterances of each set; 0 is all

targets="agriculture animation musical_instruments"

quick_settings() {
    work=quick
    limit=100
    targets="agriculture"
    base_opts="train.epochs=null train.steps=20 train.warmup_steps=5"
    adapt_opts="train.epochs=null train.steps=10 train.warmup_steps=2"
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
