#!/usr/bin/env bash
# Stage 1: synthetic speech of a general part, a source domain and three target domains, and, from
# the general part alone, two small models that stand in for a pretrained encoder and LLM.
# What is there is kept; a run that was killed goes on where it stopped.
#   1  text      sentences by local/grammars -> <work>/data/<set>/{text,semantics,biasing}
#   2  speech    espeak-ng, many voices, noise -> <work>/data/audio/<set>/*.flac, wav.scp
#   3  standins  -> <work>/pretrained/{encoder,llm}
set -euo pipefail

work=.          # folder in which data/ and pretrained/ are made
quick=false     # tiny sizes, to see that all works
nj=2            # processes that synthesise
stage=1         # first of the three steps
stop_stage=3    # last of the three steps
slu=false       # for run_slu.sh: an LLM that has seen JSON
encoder_opts="" # further options of speechllm standin_encoder
llm_opts=""     # further options of speechllm standin_llm
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh
# shellcheck source=../../../utils/standins.sh
. ../../utils/standins.sh

data=$work/data
sizes=(--general 9000 --general_dev 200 --general_text 60000)
sizes+=(--source 3000 --target 1000 --dev 100 --test 150)
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
if wanted 2; then python3 local/make_speech.py --data "$data" --nj "$nj"; fi
if wanted 3; then
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
    standin encoder speechllm standin_encoder --data "$data/general_train" \
        --dev "$data/general_dev" --width 128 --steps 600 $encoder_opts
    # shellcheck disable=SC2086  # words
    standin llm speechllm standin_llm --text "$text" $llm_opts
fi
