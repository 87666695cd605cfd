#!/usr/bin/env bash
# Stage 1: data dirs of SlideSpeech, by the published splits of its domains, and for run_l95.sh of
# LibriSpeech and of SlideSpeech's L95 part.
set -euo pipefail

work=.                                 # folder in which data/ is made
slidespeech_root=downloads/slidespeech # folder with <domain>/audios/*.wav in it
splits=downloads/splits                # folder of the published splits
librispeech_root=downloads/LibriSpeech # folder with train-clean-100/ and the like in it
l95=downloads/l95                      # folder of {train,dev,test}.jsonl or {train,dev,test}.text
target_audio=true                      # false: the targets' training sets are text alone
limit=0                                # at most so many utterances of each set; 0 is all
sets="source_train"                    # data dirs to make
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh

[ -d "$slidespeech_root" ] || die "there is no SlideSpeech in '$slidespeech_root'.
  It is free (CC BY-SA 4.0): audio from https://www.openslr.org/144, the rest from
  https://slidespeech.github.io. Cut it into utterances, <domain>/audios/<key>.wav, and give the folder:
    ./run.sh --slidespeech_root /where/it/is --splits /where/the/splits/are
  README.md says where the splits are published."

options=()
if ! $target_audio; then options=(--text_only); fi
# shellcheck disable=SC2086  # words
python3 local/prepare.py --slidespeech_root "$slidespeech_root" --splits "$splits" --l95 "$l95" \
    --librispeech_root "$librispeech_root" --data "$work/data" --limit "$limit" \
    "${options[@]}" --sets $sets
