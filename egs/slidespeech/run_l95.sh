#!/usr/bin/env bash
# LibriSpeech -> SlideSpeech L95 (2506.05671): a base model on read speech, adapted to talks of every
# domain. All that it makes is below l95/.

# shellcheck disable=SC2034  # stage 1 hands the options below on to local/data.sh
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

librispeech_root=downloads/LibriSpeech # folder with train-clean-100/ and the like in it
slidespeech_root=downloads/slidespeech # folder with <domain>/audios/*.wav in it
l95=downloads/l95                      # folder of {train,dev,test}.jsonl, or of Kaldi tables {train,dev,test}.text
target_audio=true                      # false: the target's training set is text alone
limit=0                                # at most so many utterances of each set; 0 is all

work=l95
source_train="train_clean_100 train_clean_360 train_other_500"
source_dev="dev_other"
source_test="test_clean test_other"
targets="l95"
base_config="conf/l95/base.yaml"
adapt_configs="conf/l95/adapt/*.yaml"

quick_settings() {
    work=l95/quick
    limit=100
    base_opts="train.epochs=null train.steps=20 train.warmup_steps=5"
    adapt_opts="train.epochs=null train.steps=10 train.warmup_steps=2"
}

# shellcheck source=../../utils/recipe.sh
. ../../utils/recipe.sh "$@"
