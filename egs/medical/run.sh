#!/usr/bin/env bash
# LibriSpeech -> medical: a base model on read speech, adapted to consultations between doctor and
# patient. `primock57` has speech and text; `mts_dialog` has text alone and is tested on primock57's
# speech; your own pairs of audio and transcript are a third (--targets pairs --pairs_root ...).

# shellcheck disable=SC2034  # stage 1 hands the options below on to local/data.sh
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

librispeech_root=downloads/LibriSpeech # folder with train-clean-100/ and the like in it
primock57_root=downloads/primock57     # folder with audio/ and transcripts/ in it
mts_dialog_root=downloads/mts_dialog   # folder with the MTS-Dialog-*.csv in it
pairs_root=""                          # folder with {train,dev,test}.{csv,tsv,jsonl} of your own
text_column=text                       # their column of transcripts
audio_column=audio                     # their column of files, relative to pairs_root
id_column=""                           # their column of ids; if empty, the files' names
speaker_column=""                      # their column of speakers; if empty, there is none
days="1,2,3/4/5"                       # PriMock57's days of train/dev/test
keep_unintelligible=false              # take stretches that the transcriber did not understand whole
target_audio=true                      # false: the targets' training sets are text alone
limit=0                                # at most so many utterances of each set; 0 is all
books=""                               # folder of books (*.txt), for --source_train "... books_train books_said"
lower_case=false                       # transcripts in small letters

source_train="train_clean_100 train_clean_360 train_other_500"
source_dev="dev_other"
source_test="test_clean test_other"
targets="primock57 mts_dialog"

quick_settings() {
    work=quick
    limit=100
    base_opts="train.epochs=null train.steps=20 train.warmup_steps=5"
    adapt_opts="train.epochs=null train.steps=10 train.warmup_steps=2"
}

# train-clean-5 of Mini LibriSpeech, or single utterances of it, and MTS-Dialog as text; its test
# sentences are said by synthesisers, since no recording of such a conversation is at hand.
sample_settings() {
    work=sample
    source_train="train_clean_5 train_clean_5_sp0.9 train_clean_5_sp1.1"
    source_train+="${books:+ books_said books_train}"
    lower_case=true
    source_dev="train_clean_5_dev dev_clean"
    source_test="test_clean"
    targets="mts_spoken"
    target_test="test natural"
    encoder_package="whisper-base"
    llm_package="smollm2-135m-instruct"
    base_config=conf/sample/base.yaml
    adapt_configs="conf/sample/adapt/*.yaml"
    decode_config=conf/sample/decode.yaml
    whisper_alone=true
    score_opts="--normalizer whisper-english plain" # Whisper alone writes figures and commas
    report_opts="--normalizer whisper-english"
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
