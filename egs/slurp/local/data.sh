#!/usr/bin/env bash
# Stage 1: data dirs of SLURP, of languages of Speech-MASSIVE and MASSIVE, and of LibriSpeech's splits,
# whose meaning is their words, dictated.
#   1  sets  -> <work>/data/{slurp_train,...,fr-FR_train,fr-FR_text,...,train_clean_100,...}
set -euo pipefail

work=.                                 # folder in which data/ is made
librispeech_root=downloads/LibriSpeech # folder with train-clean-100/ and the like in it
slurp_root=downloads/slurp             # clone of pswietojanski/slurp, with audio/slurp_real/ in it
massive_root=downloads/Speech-MASSIVE  # folder with fr-FR/train_115-*.parquet and the like in it
massive_test_root=""                   # that of fr-FR/test-*.parquet; if empty, it is the same
massive_text=downloads/massive/data    # folder of MASSIVE's text, with fr-FR.jsonl in it
massive_speech=train_115               # split of spoken training utterances; train, where there is one
microphones=all                        # of training; headset: of twin recordings the close one alone
limit=0                                # at most so many utterances of each set; 0 is all
sets="slurp_train"                     # data dirs to make
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh

# need FOLDER WHAT WHERE OPTION
need() {
    [ -d "$1" ] || die "there is no $2 in '$1'.
  $3, and give the folder:
    ./${5:-run.sh} --$4 /where/it/is"
}

for set in $sets; do
    case $set in
        slurp_*) need "$slurp_root" SLURP "Clone https://github.com/pswietojanski/slurp and run its
  scripts/download_audio.sh there" slurp_root ;;
        ??-??_text) need "$massive_text" "text of MASSIVE" "Unpack the archive that
  https://github.com/alexa/massive names" massive_text run_massive.sh ;;
        ??-??_*) need "$massive_root" Speech-MASSIVE "Download the sets FBK-MT/Speech-MASSIVE and
  FBK-MT/Speech-MASSIVE-test of the Hugging Face hub" massive_root run_massive.sh ;;
        *) need "$librispeech_root" LibriSpeech "Get it from https://www.openslr.org/12" librispeech_root ;;
    esac
done

# shellcheck disable=SC2086  # words
python3 local/prepare.py --data "$work/data" --limit "$limit" --slurp_root "$slurp_root" \
    --microphones "$microphones" --librispeech_root "$librispeech_root" \
    --massive_roots "$massive_root" ${massive_test_root:+"$massive_test_root"} \
    --massive_text "$massive_text" --massive_speech "$massive_speech" --sets $sets
