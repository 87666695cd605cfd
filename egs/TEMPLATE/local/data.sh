#!/usr/bin/env bash
# Stage 1: <work>/data/<set>/ of every <corpus>/<set>.tsv. A .tsv file has a line for each
# utterance, columns divided by tabs, and a first line that names them:
#
#   id       the utterance; the speaker's name first sorts best, as in anna-0001
#   text     the transcript, as the model is to write it
#   audio    a file that soundfile reads, relative to the corpus folder (none: a set of text)
#   speaker  optional; without it each utterance is its own speaker
#
# The sets are those of run.sh: source_train, source_dev, source_test and <target>_train,
# <target>_dev, <target>_test for each target. Where your corpus is laid out otherwise, replace
# local/tsv_to_data_dirs.py; what the later stages want is the data dirs.
set -euo pipefail

work=.        # folder in which data/ is made
corpus=corpus # folder with the .tsv files
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh

python3 local/tsv_to_data_dirs.py "$corpus" "$work/data"
