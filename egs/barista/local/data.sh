#!/usr/bin/env bash
# Stage 1: data dirs of barista and of a synthetic source, and with --standins true two small models
# that stand in for a pretrained encoder and LLM. README.md says what they are trained on. What is
# there is kept.
#   1  sets      barista -> <work>/data/barista_{train,dev,test,text}
#   2  source    synthetic speech -> <work>/data/{shop_{train,dev,test},words_train}
#                LibriSpeech, where it is given -> <work>/data/read_train
#                both -> <work>/data/dictation_train
#   3  standins  -> <work>/pretrained/{encoder,llm}
set -euo pipefail

work=.                         # folder in which data/ and pretrained/ are made
barista_root=downloads/barista # folder with label/, speech/ and coffee_maker.yaml in it
librispeech_root=""            # folder with the split in it: real speech for the source
librispeech_split="train-clean-5" # of LibriSpeech; the small one is OpenSLR 31
standins=false                 # train the small models, and make what they are trained on
quick=false                    # tiny sizes, to see that all works
stage=1                        # first of the three steps
stop_stage=3                   # last of the three steps
encoder_opts=""                # further options of speechllm standin encoder
llm_opts=""                    # further options of speechllm standin llm
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh
# shellcheck source=../../../utils/standins.sh
. ../../utils/standins.sh

if ! [ -e "$barista_root/coffee_maker.yaml" ]; then
    die "there are no coffee orders in '$barista_root'.
  They are free: data/ of https://github.com/Picovoice/speech-to-intent-benchmark. README.md says how
  the files are to be laid out; give the folder that has label/ and speech/ in it:
    ./run.sh --barista_root /where/it/is"
fi

data=$work/data
read=(--utterances 600 --speeds 0.9 1.0 1.1) # of LibriSpeech
llm="smollm2-135m-instruct" # whose words are dictated
sizes=(--vocabulary "$work/pretrained/$llm" --dictation 7458 --shop 2000 --dev 60 --test 60)
text=1000 # sentences of the domain
limit=0
if $standins; then
    sizes=(--dictation 3000 --shop 2000 --dev 60 --test 100)
fi
sentences=40000 # of the stand-in LLM's text
if $quick; then
    sizes=(--dictation 80 --shop 60 --dev 10 --test 10)
    text=40 limit=12 sentences=1000 read=(--utterances 20 --speeds 1.0)
    encoder_opts="--steps 20 $encoder_opts"
    llm_opts="--steps 20 $llm_opts"
fi

wanted() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }

if wanted 1; then
    python3 local/prepare.py --barista_root "$barista_root" --data "$data" --sentences "$text" \
        --limit "$limit"
fi
if wanted 2; then
    $standins || ../../utils/pretrained.sh "$llm" "$work/pretrained/$llm"
    python3 local/make_source.py --data "$data" "${sizes[@]}"
    dictation=("$data/words_train")
    if [ -n "$librispeech_root" ]; then
        python3 local/make_read.py --librispeech_root "$librispeech_root" \
            --split "$librispeech_split" "${read[@]}" --out "$data/read_train"
        dictation+=("$data/read_train")
    fi
    speechllm data combine "$data/dictation_train" "${dictation[@]}"
fi
if wanted 3 && $standins; then
    python3 local/make_llm_text.py --out "$data/llm_text/text" --sentences "$sentences"
    # shellcheck disable=SC2086  # words
    standin encoder speechllm standin encoder --data "$data"/{dictation_train,shop_train} \
        --dev "$data/shop_dev" $encoder_opts
    # shellcheck disable=SC2086  # words
    standin llm speechllm standin llm --text "$data/llm_text/text" --task slots --vocab_size 512 $llm_opts
fi
