#!/usr/bin/env bash
# LibriSpeech: base models on read speech, from which other recipes start. It has no target domain
# of its own; README.md says how to take a part of the training data, or other backbones.

# shellcheck disable=SC2034  # stage 1 hands the options below on to local/data.sh
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

librispeech_root=downloads/LibriSpeech # folder with train-clean-100/ and the like in it
download=false                         # fetch the splits that are wanted and not there from OpenSLR
limit=0                                # at most so many utterances of each set; 0 is all
biasing=""                             # folder of <split>.biasing_<size>.tsv of fbai-speech: bias lists
biasing_size=100                       # distractors of a list: 100, 500, 1000 or 2000
books=""                               # folder of books (*.txt), for --source_train "... books_train books_said"
lower_case=false                       # transcripts in small letters

source_train="train_clean_100 train_clean_360 train_other_500"
source_dev="dev_other"
source_test="test_clean test_other"

quick_settings() {
    work=quick
    limit=100
    base_opts="train.epochs=null train.steps=20 train.warmup_steps=5"
}

# train-clean-5 of Mini LibriSpeech, or single utterances of it; three speakers of train are dev.
sample_settings() {
    work=sample
    source_train="train_clean_5 train_clean_5_sp0.9 train_clean_5_sp1.1"
    source_train+="${books:+ books_said books_train}"
    lower_case=true
    source_dev="train_clean_5_dev dev_clean"
    encoder_package="whisper-base"
    llm_package="smollm2-135m-instruct"
    base_config=conf/sample/base.yaml
    decode_config=conf/sample/decode.yaml
    whisper_alone=true
    score_opts="--normalizer whisper-english plain" # Whisper alone writes figures and commas
    report_opts="--normalizer whisper-english"
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
