#!/usr/bin/env bash
# Coffee orders: what they mean, from real recordings of which there are few. A base model that
# understands synthetic orders in other shops learns from sentences with their meaning and from 10 to
# 100 % of 120 recordings, and is tested on 50 others. Two CPU cores.

# shellcheck disable=SC2034  # stage 1 hands the options below on to local/data.sh
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

barista_root=downloads/barista # folder with label/, speech/ and coffee_maker.yaml in it
librispeech_root=""            # folder with train-clean-5/ in it: real speech for the source
librispeech_split="train-clean-5" # or another one, of which 600 utterances are taken

source_train="dictation_train shop_train"
source_dev="shop_dev"
source_test="shop_test"
standins=false # train tiny models on the spot instead of those of the packages below
encoder_package="whisper-base"
llm_package="smollm2-135m-instruct"
whisper_alone=true
whisper_command="python3 local/whisper_alone.py" # whose transcripts a rule understands
targets="barista"
target_train="train text" # recordings without transcripts, and sentences without recordings

quick_settings() {
    work=quick
    standins=true
    data_opts="--quick true"
    base_opts="train.steps=20 train.warmup_steps=5 monitor.every=10 monitor.utterances=10"
    adapt_opts="train.steps=6 monitor.every=3 monitor.utterances=10"
    adapt_configs="conf/adapt/text_only.yaml conf/adapt/direct_mixing_10.yaml conf/adapt/synthetic_audio.yaml"
    compare_opts="seeds=[42,43] budget=6"
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
