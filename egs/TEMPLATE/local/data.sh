#!/usr/bin/env bash
# Stage 1: <work>/data/<set>/ of every set's table, <corpus>/<set>.tsv. A table has a line for each
# utterance, columns divided by tabs, and a first line that names them:
#
#   id       the utterance; the speaker's name first sorts best, as in anna-0001
#   text     the transcript, as the model is to write it
#   audio    a file that soundfile reads, relative to the corpus folder (left out: a set of text)
#   speaker  may be left out; each utterance is then its own speaker
#   channel  of the audio, counted from 0; may be left out where files have one, or are to be mixed
#
# <set>.csv (cells with commas in double quotes) and <set>.jsonl (an object in each line) will do too.
# The sets are those of run.sh: source_train, source_dev, source_test and <target>_train,
# <target>_dev, <target>_test for each target. Where your corpus is laid out otherwise, replace
# local/prepare.py; what the later stages want is the data dirs.
set -euo pipefail

work=.             # folder in which data/ is made
corpus=corpus      # folder with the tables
sets=source_train  # data dirs to make
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh

# shellcheck disable=SC2086  # words
python3 local/prepare.py --corpus "$corpus" --data "$work/data" --sets $sets
