#!/usr/bin/env bash
# DefinedAI call-centre speech: a base model on banking, insurance and healthcare, adapted to other
# calls of banking and insurance. With --targets "agriculture animation musical_instruments", it is
# adapted to SlideSpeech's domains instead: another corpus.

# shellcheck disable=SC2034  # stage 1 hands the options below on to local/data.sh
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

definedai_root=downloads/definedai     # folder with lists/ and <domain>/{audio,transcripts}/ in it
slidespeech_root=downloads/slidespeech # folder with <domain>/audios/*.wav in it
splits=downloads/splits                # folder of SlideSpeech's published splits
target_audio=true                      # false: the targets' training sets are text alone
limit=0                                # at most so many utterances of each set; 0 is all

targets="banking insurance"

quick_settings() {
    work=quick
    limit=100
    targets="banking"
    base_opts="train.epochs=null train.steps=20 train.warmup_steps=5"
    adapt_opts="train.epochs=null train.steps=10 train.warmup_steps=2"
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
