#!/usr/bin/env bash
# Stage 1: data dirs of LibriSpeech's splits, each named after its split: train_clean_100, ...
#   1  download  OpenSLR 12 -> <librispeech_root>/<split>/, where it is not there; only with --download
#   2  sets      <librispeech_root> -> <work>/data/<set>/; <set>_dev is three speakers of a set
#             <books> -> <work>/data/books_train/, text alone; books_said/, which espeak-ng says
#   3  speeds    <work>/data/<set>/ -> <work>/data/<set>_sp0.9/ and the like
set -euo pipefail

work=.                                 # folder in which data/ is made
librispeech_root=downloads/LibriSpeech # folder with train-clean-100/ and the like in it
download=false                         # fetch what is not there
limit=0                                # at most so many utterances of each set; 0 is all
biasing=""                             # folder of <split>.biasing_<size>.tsv of fbai-speech: bias lists
biasing_size=100                       # distractors of a list: 100, 500, 1000 or 2000
books=""                               # folder of books (*.txt), for the sets books_train, books_said
lower_case=false                       # transcripts in small letters
nj=2                                   # processes that synthesise
sets="dev_clean"                       # data dirs to make
stage=1                                # first of the three steps
stop_stage=3                           # last of the three steps
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh

if ! $download && ! [ -d "$librispeech_root" ]; then
    die "there is no LibriSpeech in '$librispeech_root'.
  It is free (60 GB in all). Give the folder with train-clean-100/ and the like in it:
    ./run.sh --librispeech_root /where/it/is/LibriSpeech
  or let it be fetched from https://www.openslr.org/12 into $librispeech_root:
    ./run.sh --download"
fi

[ -z "$biasing" ] || [ -d "$biasing" ] || die "--biasing: there is no folder '$biasing'"

wanted() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }

spoken=() perturbed=() from_books=() case=()
! $lower_case || case=(--lower_case)
for set in $sets; do
    case $set in
        *_sp[0-9]*) perturbed+=("$set") ;;
        books_*) from_books+=("$set") ;;
        *) spoken+=("$set") ;;
    esac
done

if wanted 1 && $download; then
    python3 local/download.py --librispeech_root "$librispeech_root" --sets "${spoken[@]}"
fi
if wanted 2; then
    if [ ${#from_books[@]} -gt 0 ]; then
        [ -d "$books" ] || die "--books: there is no folder '$books'"
        python3 local/prepare_books.py --books "$books" --data "$work/data" \
            --nj "$nj" --limit "$limit" "${case[@]}" --sets "${from_books[@]}"
    fi
    [ ${#spoken[@]} -eq 0 ] || python3 local/prepare.py --librispeech_root "$librispeech_root" --data "$work/data" \
        --limit "$limit" ${biasing:+--biasing "$biasing"} --biasing_size "$biasing_size" "${case[@]}" --sets "${spoken[@]}"
fi
if wanted 3; then
    for set in "${perturbed[@]}"; do
        speechllm data perturb "${set##*_sp}" "$work/data/${set%_sp*}" "$work/data/$set"
    done
fi
