#!/usr/bin/env bash
# Stage 1: synthetic speech of a source domain and three target domains. With --standins true also a
# general part and, from it alone, two small models that stand in for a pretrained encoder and LLM.
# What is there is kept; a run that was killed goes on where it stopped.
#   1  text      sentences by local/grammars -> <work>/data/<set>/{text,semantics,biasing}
#   2  speech    espeak-ng, many voices, noise; Piper -> <work>/data/audio/<set>/*.flac, wav.scp
#   3  standins  -> <work>/pretrained/{encoder,llm}
set -euo pipefail

work=.          # folder in which data/ and pretrained/ are made
sets=""         # those that are spoken; empty: all
standins=false  # make the small models, and what they learn from
quick=false     # tiny sizes, to see that all works
nj=2            # processes that synthesise
general=12000   # sentences of everyday words for the base of the real models
stage=1         # first of the three steps
stop_stage=3    # last of the three steps
slu=false       # for run_slu.sh: an LLM that has seen JSON
encoder_opts="" # further options of speechllm standin encoder
llm_opts=""     # further options of speechllm standin llm
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh
# shellcheck source=../../../utils/standins.sh
. ../../utils/standins.sh

data=$work/data
natural=$work/pretrained/piper-joe
sizes=(--clear --general "$general" --source 2000 --target 400 --dev 50 --test 100 --natural 50)
if $standins; then
    sets="" # the stand-ins' too
    sizes=(--general 9000 --general_dev 200 --general_text 60000)
    sizes+=(--source 3000 --target 1000 --dev 100 --test 150)
fi
if $quick; then
    sizes=(--general 300 --general_dev 40 --general_text 2000)
    sizes+=(--source 60 --target 40 --dev 10 --test 12)
    encoder_opts="--steps 40 $encoder_opts"
    llm_opts="--steps 40 $llm_opts"
fi

wanted() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }

if wanted 1; then
    python3 local/make_text.py --data "$data" "${sizes[@]}"
    python3 local/make_bias_lists.py --data "$data"
fi
if wanted 2; then
    case ${sizes[*]} in *--natural*) ../../utils/pretrained.sh piper-joe "$natural" ;; esac
    # shellcheck disable=SC2086  # names
    python3 local/make_speech.py --data "$data" --nj "$nj" --natural "$natural" --sets $sets
fi
if wanted 3 && $standins; then
    text=$data/general_text/text
    if $slu; then
        text=$data/llm_text/text
        python3 local/make_llm_text.py --text "$data/general_text/text" --out "$text"
        llm_opts="--task slu --vocab_size 512 $llm_opts"
        # That of run.sh has learnt from the same sets, which are a function of their sizes.
        if ! $quick && [ -e pretrained/encoder/config.json ] && ! [ -e "$work/pretrained/encoder" ]; then
            mkdir -p "$work/pretrained" && cp -r pretrained/encoder "$work/pretrained/encoder"
        fi
    fi
    # shellcheck disable=SC2086  # words
    standin encoder speechllm standin encoder --data "$data/general_train" \
        --dev "$data/general_dev" --width 128 --steps 600 $encoder_opts
    # shellcheck disable=SC2086  # words
    standin llm speechllm standin llm --text "$text" $llm_opts
fi
