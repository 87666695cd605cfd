#!/usr/bin/env bash
# Stage 1: data dirs of AN4, and with --standins true two small models that stand in for a pretrained
# encoder and LLM. README.md says what they are trained on. What is there is kept.
#   1  sets      AN4 -> <work>/data/{source,alphanumeric}_{train,dev,test}
#   2  general   speed perturbation, synthetic general speech, text for the LLM -> <work>/data/
#   3  standins  -> <work>/pretrained/{encoder,llm}
set -euo pipefail

work=.                 # folder in which data/ and pretrained/ are made
an4_root=downloads/an4 # folder of AN4, with etc/ and wav/ in it
standins=false         # train the small models, and make what they are trained on
quick=false            # tiny sizes, to see that all works
stage=1                # first of the three steps
stop_stage=3           # last of the three steps
encoder_opts=""        # further options of speechllm standin encoder
llm_opts=""            # further options of speechllm standin llm
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh
# shellcheck source=../../../utils/standins.sh
. ../../utils/standins.sh

if ! [ -e "$an4_root/etc/an4_train.fileids" ]; then
    die "there is no AN4 in '$an4_root'.
  AN4 is free (64 MB). From http://www.speech.cs.cmu.edu/databases/an4/ take an4_sphere.tar.gz
  (or a copy of its folder an4/), unpack it, and give the folder that has etc/ and wav/ in it:
    ./run.sh --an4_root /where/it/is/an4"
fi

data=$work/data
general=2000    # synthetic utterances of letters and numbers
words=1200      # synthetic utterances with made-up words among them
sentences=12000 # of the LLM's text
encoder_steps=450
llm_steps=1000
if $quick; then
    general=60 words=40 sentences=600 encoder_steps=10 llm_steps=10
fi

wanted() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }

if wanted 1; then
    # A pretrained LLM has read `nine` a thousand times as often as `NINE`, which is two tokens to it.
    case=()
    $standins || case=(--lower_case)
    python3 local/prepare.py --an4_root "$an4_root" --data "$data" "${case[@]}"
fi
if wanted 2; then
    for speed in 0.9 1.1; do
        speechllm data perturb "$speed" "$data/source_train" "$data/source_train_sp$speed"
    done
fi
if wanted 2 && $standins; then
    # Their phones are written last, so that they tell whether a set is whole.
    [ -e "$data/general_train/phones" ] || python3 local/make_general.py \
        --kind strings --utterances "$general" --out "$data/general_train"
    [ -e "$data/words_train/phones" ] || python3 local/make_general.py \
        --kind words --utterances "$words" --out "$data/words_train"
    python3 local/make_llm_text.py --dictionary "$an4_root/etc/an4.dic" \
        --source "$data/source_train" --out "$data/llm_text/text" --sentences "$sentences"
fi
if wanted 3 && $standins; then
    # shellcheck disable=SC2086  # words
    standin encoder speechllm standin encoder --dev "$data/source_dev" \
        --data "$data"/{source_train{,_sp0.9,_sp1.1},general_train,words_train} \
        --steps $encoder_steps $encoder_opts
    # shellcheck disable=SC2086  # words
    standin llm speechllm standin llm --text "$data/llm_text/text" --vocab_size 400 \
        --steps $llm_steps $llm_opts
fi
