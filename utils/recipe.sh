# shellcheck shell=bash
# Runs the stages of a recipe. A recipe's run.sh goes to its own folder, sets the variables below
# that differ for its corpus, and sources this file with "$@". A variable that only run.sh knows is
# an option of the corpus: stage 1 hands it on to local/data.sh, and the names of all sets and nj to
# one that has an option `sets` or `nj`. --quick calls quick_settings, a function of run.sh; what
# the command line says goes before what that sets. What the stages run and make is known to
# `speechllm plan` (speechllm/recipe/stages.py; names of models and folders: speechllm/experiment.py).
set -euo pipefail

stage=${stage-data}                # first stage to run, a number, 5b or a name
stop_stage=${stop_stage-report}    # last stage to run; pack is only run when asked for
list=${list-false}                 # show the stages, what they read and write, what is done
dry_run=${dry_run-false}           # print the commands, run nothing
quick=${quick-false}               # tiny sizes, to see in a minute or so that all works
sample=${sample-false}             # a small part of the corpus and small pretrained models: real results in minutes
work=${work-.}                     # folder in which data/, dump/ and exp/ are made
nj=${nj-2}                         # jobs that run at once in stages 1, 3, 5 and 6
verify=${verify-false}             # hash all that results were made from, whatever its size and time say
nproc=${nproc-1}                   # processes that train the base together; each adds its batches,
                                   # so a step has nproc x accumulate of them; with --base_opts
                                   # train.global_batches=N it always has N (docs/scaling.md)
max_time=${max_time-}              # time after which each training of stages 4 and 5 saves and stops, e.g. 11h30m;
                                   # the same command goes on, and the exit code is 75
source_train=${source_train-source_train}  # sets that the base learns, and adaptation replays
source_dev=${source_dev-source_dev}        # sets by which training is watched
source_test=${source_test-source_test}     # sets that show what adaptation forgets
targets=${targets-}                # domains; the sets of each are <target>_{train,dev,test}
target_train=${target_train-train} # parts of a target that adaptation learns from, e.g. "train text"
target_test=${target_test-test}    # those that models are tested on, e.g. "test natural"
standins=${standins-false}         # stage 1 trains tiny models instead: pretrained/encoder and pretrained/llm
encoder_package=${encoder_package-} # a model of utils/pretrained.tsv, that stage 1 makes the encoder of
llm_package=${llm_package-}        # a model of utils/pretrained.tsv, that stage 1 makes the LLM of
whisper_alone=${whisper_alone-false}   # the encoder is a Whisper's: stage 6 decodes with the whole one, too
whisper_command=${whisper_command-speechllm whisper}  # what does: a script where the task is another than asr
encoder=${encoder-}                # folder or hub id; if empty, that of base_config
llm=${llm-}                        # folder or hub id; if empty, that of base_config
speech_llm=${speech_llm-}          # folder or hub id of a trained Speech LLM, instead of encoder and llm
base_config=${base_config-conf/base.yaml}          # config of the base model; names its folder
adapt_configs=${adapt_configs-conf/adapt/*.yaml}   # one model of each of these for each target
need_audio=${need_audio-audio mixed_batching}      # names of those that targets of text alone go without
compare=${compare-}                # config of a grid of methods and seeds, run instead of adapt_configs
decode_config=${decode_config-conf/decode.yaml}    # config of the search; names its folder
lm_configs=${lm_configs-conf/lm/*.yaml}            # language models, made where a decoding names them
extra_decode_configs=${extra_decode_configs-conf/decode/*.yaml}  # further ways to decode, for target domains
extra_decode_models=${extra_decode_models-}        # names of adapt_configs whose models decode so, beside the base
data_opts=${data_opts-}            # further options of local/data.sh
base_opts=${base_opts-}            # key=value changes of base_config
adapt_opts=${adapt_opts-}          # key=value changes of all adapt_configs
compare_opts=${compare_opts-}      # key=value changes of compare
score_opts=${score_opts-}          # options of speechllm score, e.g. "--normalizer whisper-english"
report_opts=${report_opts-}        # options of speechllm report, e.g. "--normalizer whisper-english"
pack_opts=${pack_opts-}            # options of speechllm pack, e.g. "--models denoise_*"
batch_seconds=${batch_seconds-100} # padded seconds of audio in a batch of the encoder
allow_pipes=${allow_pipes-false}   # let wav.scp hold shell commands (lines that end in |)
# shellcheck source=parse_options.sh
. "$(dirname "${BASH_SOURCE[0]}")/parse_options.sh"
for mode in sample quick; do
    if ${!mode}; then
        declare -F "${mode}_settings" >/dev/null || die "this recipe has no --$mode"
        "${mode}_settings"
        parse_options "$@"
    fi
done
if $standins && declare -F standin_settings >/dev/null; then
    standin_settings
    if $quick; then quick_settings; fi
    parse_options "$@"
fi

# shellcheck source=/dev/null
. ./cmd.sh # sets jobs_cmd
settings=()
while IFS=$'\t' read -r name _; do settings+=("$name=${!name}"); done <<<"$_options"
# shellcheck disable=SC2154  # jobs_cmd
settings+=(--jobs_cmd "$jobs_cmd" --recipe "${PWD##*/}" --called "$0" "$@")

# A grid is read in the environment; else any python will do that is new enough, so that --list and
# --dry_run are quick, and mistakes are found, where there is no environment yet.
planner=(plain_python -m speechllm)
if [ -n "$compare" ] || ! plain_python -c 'import speechllm' 2>/dev/null; then
    if { $list || $dry_run; } && [ -z "$_python" ] && ! command -v speechllm >/dev/null &&
        [ ! -e ../../tools/environment ]; then
        die "python 3.11 or newer is needed, and PATH has none"
    fi
    # shellcheck source=/dev/null
    . ./path.sh
    planner=(speechllm)
fi
plan() { "${planner[@]}" plan "$@" "${settings[@]}"; }

if $list; then
    plan --list
    exit
fi
planned=$(plan) # comments and commands
if $dry_run; then
    sed -e 's/^# //' -e t -e 's/^/$ /' <<<"$planned"
    exit
fi
# shellcheck source=/dev/null
if [ "${planner[0]}" != speechllm ]; then . ./path.sh; fi

# say_end CODE STAGE: what to do about a stage that did not end well; above 128 it was a signal.
say_end() {
    if [ "$1" -eq 75 ]; then
        echo "== stage $2 has more to do; to go on, add --stage $2"
    elif [ "$1" -gt 128 ]; then
        echo "== stage $2 was stopped; to go on, add --stage $2"
    else
        echo "== stage $2 failed; mend it, then add --stage $2"
    fi
}

# A stage is planned when its turn comes: what it runs depends on what is there by then.
headers=$(sed -n 's/^# == /== /p' <<<"$planned")
mapfile -t headers <<<"$headers"
for header in "${headers[@]}"; do
    begin=$SECONDS title=${header%%:*} # == stage 1 data
    name=${title##* }
    echo "$header"
    planned=$(plan --prepare --stage "$name")
    mapfile -t lines <<<"$planned"
    trap 'say_end "$?" "$name" >&2' EXIT
    for line in "${lines[@]:1}"; do
        case $line in
            "# "*) echo "${line#??}" ;;
            *)
                echo "\$ $line"
                eval "$line" ;; # not in a condition: there, a failing command would not end it
        esac
    done
    trap - EXIT
    echo "$title: done in $((SECONDS - begin)) s"
done
