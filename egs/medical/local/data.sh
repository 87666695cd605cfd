#!/usr/bin/env bash
# Stage 1: data dirs of LibriSpeech's splits, of PriMock57 (speech), of MTS-Dialog (text), and of your
# own pairs of audio and transcript.
#   1  source   <librispeech_root> -> <work>/data/train_clean_100/, ...
#               <books> -> <work>/data/books_train/, text alone; books_said/, which espeak-ng says
#   2  targets  <primock57_root>, <mts_dialog_root>, <pairs_root> -> <work>/data/<target>_{train,dev,test}/
#   3  spoken   MTS-Dialog's sentences, said by espeak-ng and Piper -> <work>/data/mts_spoken_{dev,test,natural}/
set -euo pipefail

work=.                                 # folder in which data/ is made
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
books=""                               # folder of books (*.txt), for the sets books_train, books_said
lower_case=false                       # transcripts in small letters
limit=0                                # at most so many utterances of each set; 0 is all
sets="primock57_train"                 # data dirs to make
nj=2                                   # processes that synthesise
stage=1                                # first of the three steps
stop_stage=3                           # last of the three steps
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh

source_sets=() perturbed=() from_books=() target_sets=() spoken_sets=() case=()
! $lower_case || case=(--lower_case)
for set in $sets; do
    case $set in
        *_sp[0-9]*) perturbed+=("$set") ;;
        books_*) from_books+=("$set") ;;
        mts_spoken_*) spoken_sets+=("$set") ;;
        primock57_* | mts_dialog_* | pairs_*) target_sets+=("$set") ;;
        *) source_sets+=("$set") ;;
    esac
done

# need FOLDER WHAT WHERE OPTION
need() {
    [ -d "$1" ] || die "there is no $2 in '$1'.
  $3, and give the folder:
    ./run.sh --$4 /where/it/is"
}

need_mts_dialog() {
    need "$mts_dialog_root" MTS-Dialog \
        "Take Main-Dataset/ of https://github.com/abachaa/MTS-Dialog" mts_dialog_root
}

wanted() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }

common=(--data "$work/data" --limit "$limit" "${case[@]}" --sets)
if wanted 1 && [ ${#source_sets[@]} -gt 0 ]; then
    need "$librispeech_root" LibriSpeech "Get it from https://www.openslr.org/12" librispeech_root
    python3 local/prepare_source.py --librispeech_root "$librispeech_root" \
        "${common[@]}" "${source_sets[@]}"
fi
if wanted 1; then
    if [ ${#from_books[@]} -gt 0 ]; then
        [ -d "$books" ] || die "--books: there is no folder '$books'"
        python3 ../librispeech/local/prepare_books.py --books "$books" --data "$work/data" \
            --nj "$nj" --limit "$limit" "${case[@]}" --sets "${from_books[@]}"
    fi
    for set in "${perturbed[@]}"; do
        speechllm data perturb "${set##*_sp}" "$work/data/${set%_sp*}" "$work/data/$set"
    done
fi
if wanted 2 && [ ${#target_sets[@]} -gt 0 ]; then
    case " $sets" in
        *" primock57_"* | *" mts_dialog_"*) need "$primock57_root" PriMock57 \
            "Clone https://github.com/babylonhealth/primock57 with Git LFS" primock57_root ;;
    esac
    case " $sets" in *" mts_dialog_"*) need_mts_dialog ;; esac
    case " $sets" in
        *" pairs_"*) need "$pairs_root" "table of pairs" "Put train, dev and test there" pairs_root ;;
    esac
    options=(--pairs_root "$pairs_root" --columns "$text_column" "$audio_column" "$id_column" "$speaker_column")
    if ! $target_audio; then options+=(--text_only); fi
    if $keep_unintelligible; then options+=(--keep_unintelligible); fi
    python3 local/prepare_targets.py --primock57_root "$primock57_root" --days "$days" \
        --mts_dialog_root "$mts_dialog_root" "${options[@]}" "${common[@]}" "${target_sets[@]}"
fi
if wanted 3 && [ ${#spoken_sets[@]} -gt 0 ]; then
    need_mts_dialog
    natural=$work/pretrained/piper-joe
    case " $sets" in *" mts_spoken_natural"*) ../../utils/pretrained.sh piper-joe "$natural" ;; esac
    python3 local/prepare_spoken.py --mts_dialog_root "$mts_dialog_root" "${common[@]}" "${spoken_sets[@]}"
    python3 ../mini/local/make_speech.py --data "$work/data" --nj "$nj" --natural "$natural" \
        --sets "${spoken_sets[@]}"
fi
