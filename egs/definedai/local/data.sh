#!/usr/bin/env bash
# Stage 1: data dirs of call-centre speech, and of SlideSpeech's domains where they are targets.
#   1  lists  no call trains in one set and tests in another
#   2  sets   <definedai_root>, <slidespeech_root> -> <work>/data/<set>/
set -euo pipefail

work=.                                 # folder in which data/ is made
definedai_root=downloads/definedai     # folder with lists/ and <domain>/{audio,transcripts}/ in it
slidespeech_root=downloads/slidespeech # folder with <domain>/audios/*.wav in it
splits=downloads/splits                # folder of SlideSpeech's published splits
target_audio=true                      # false: the targets' training sets are text alone
limit=0                                # at most so many utterances of each set; 0 is all
sets="source_train"                    # data dirs to make
stage=1                                # first of the two steps
stop_stage=2                           # last of the two steps
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh

[ -d "$definedai_root/lists" ] || die "there is no DefinedAI in '$definedai_root'.
  The corpus is commercial (https://defined.ai). Lay out what you have bought as README.md says, and
  give the folder with lists/ in it:
    ./run.sh --definedai_root /where/it/is"

wanted() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }

options=()
if ! $target_audio; then options=(--text_only); fi
prepare() {
    # shellcheck disable=SC2086  # words
    python3 local/prepare.py "$1" --definedai_root "$definedai_root" --data "$work/data" \
        --slidespeech_root "$slidespeech_root" --splits "$splits" --limit "$limit" \
        "${options[@]}" --sets $sets
}
if wanted 1; then prepare lists; fi
if wanted 2; then prepare sets; fi
