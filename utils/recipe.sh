# shellcheck shell=bash
# The stages of every recipe. A recipe's run.sh goes to its own folder, sets the variables below
# that differ for its corpus, and sources this file with "$@". A variable that only run.sh knows is
# an option of the corpus: stage 1 hands it on to local/data.sh, and the names of all sets and nj to
# one that has an option `sets` or `nj`. --quick calls quick_settings, a function of run.sh; what
# the command line says goes before what that sets.
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
nproc=${nproc-1}                   # processes that train the base together, by torchrun; each adds its
                                   # batches, so a step has nproc x accumulate of them; with
                                   # --base_opts train.global_batches=N it always has N
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
corpus_options=$(cut -f 1 <<<"$_options" |
    grep -vxFf <(_list_options "${BASH_SOURCE[0]}" "$LINENO" | cut -f 1) || true)

# name, stages whose output it needs, what it reads and writes
stages=(
    "data     -              corpus -> data/<set>/"
    "check    data           data/, LLM -> data/<set>/.checked"
    "features check          data/, encoder -> dump/<encoder>/<set>/feats.scp"
    "base     features       source pairs -> exp/<base>/"
    "adapt    features,base  base, target text and audio -> exp/<base>/<method>_<target>/"
    "lm:5b    base           text -> exp/lm/<lm>_<target>/"
    "decode   features,adapt,lm  models, test sets -> exp/<model>/decode_<tag>/<set>/text"
    "score    decode         hypotheses -> exp/<model>/decode_<tag>/<set>/score/"
    "report   score          exp/ -> RESULTS.md, exp/report/; --compare: RESULTS.<grid>.md"
    "pack     adapt          models, their scores -> exp/packed/"
)
# shellcheck source=stages.sh
. "$(dirname "${BASH_SOURCE[0]}")/stages.sh"

for mode in sample quick; do
    if ${!mode}; then
        declare -F "${mode}_settings" >/dev/null || die "this recipe has no --$mode"
        "${mode}_settings"
        parse_options "$@"
    fi
done
if $standins; then
    grep -q '^standins=' local/data.sh || die "this recipe has no stand-ins: leave out --standins"
    if declare -F standin_settings >/dev/null; then
        standin_settings
        if $quick; then quick_settings; fi
        parse_options "$@"
    fi
fi
# Stand-ins are trained whole, and by other rates than models that have heard and read a lot.
if $standins && [ -d conf/standins ]; then
    for name in base_config adapt_configs decode_config lm_configs extra_decode_configs compare; do
        read -ra configs <<<"${!name}" # paths and patterns
        for i in "${!configs[@]}"; do
            config=conf/standins/${configs[i]#conf/}
            ! compgen -G "$config" >/dev/null || configs[i]=$config
        done
        declare "$name=${configs[*]}"
    done
fi
for name in nj nproc; do
    [[ "${!name}" =~ ^[1-9][0-9]*$ ]] || die "--$name is a whole number from 1 on, not '${!name}'"
done
[ -n "$work" ] || die "--work names no folder"
twice=$(tr ' ' '\n' <<<"$targets" | sed '/^$/d' | sort | uniq -d | paste -sd ' ')
[ -z "$twice" ] || die "--targets names a domain twice: $twice"
for name in source_train source_dev source_test; do
    [[ "${!name}" =~ [^[:space:]] ]] || die "--$name names no set"
done
# A pattern that matches nothing: this recipe has none of these.
for name in lm_configs extra_decode_configs; do
    case ${!name} in *[*?]*) compgen -G "${!name}" >/dev/null || declare "$name=" ;; esac
done
# A grid is about adaptation: its cells decode in one way.
if [ -n "$compare" ] || [ -z "$targets" ]; then lm_configs="" extra_decode_configs=""; fi
for config in "$base_config" "$decode_config" ${compare:-${targets:+$adapt_configs}} \
    $lm_configs $extra_decode_configs; do
    [ -f "$config" ] || die "there is no config '$config'"
done

# ---- what is where

stem() { basename "$1" | sed 's/\.[^.]*$//'; }

command_line="./${0##*/}${*:+ $(quoted "$@")}" # for the report
in=${work%/}/
[ "$work" != . ] || in=""
base=${in}exp/$(stem "$base_config")
decode=decode_$(stem "$decode_config")
log_dir=${in}exp/log

# is_whisper MODEL: by its config, or for one of the hub by its name.
is_whisper() {
    if [ -e "$1/config.json" ]; then
        grep -q '"model_type": *"whisper"' "$1/config.json"
    else
        [[ "${1,,}" = *whisper* ]]
    fi
}
if $whisper_alone && [ -n "$encoder" ] && ! is_whisper "$encoder"; then
    echo "no Whisper is decoded alone, as $encoder is none" >&2
    whisper_alone=false
fi

packaged=() # models that stage 1 makes of packages
if $standins; then encoder_package=encoder llm_package=llm; fi
for name in encoder llm; do
    package=${name}_package
    if [ -z "$speech_llm${!name}" ] && [ -n "${!package}" ]; then
        declare "$name=${in}pretrained/${!package}"
        $standins || packaged+=("${!package}")
    fi
done
whisper="" # the folder of its hypotheses
if $whisper_alone && ! $standins && [ -n "$encoder" ]; then whisper=${in}exp/$(basename "$encoder"); fi
models=()
for name in encoder llm speech_llm; do
    [ -z "${!name}" ] || models+=("--$name" "${!name}")
done
base_model=(--config "$base_config" "${models[@]}")
for change in $base_opts; do base_model+=(--set "$change"); done

# shellcheck disable=SC2206  # words
grid=(--targets $targets --adapt_opts $adapt_opts --base "$base" --config "$compare" $compare_opts)
compare_report=${in}RESULTS.$(stem "$compare").md

verifying=()
if $verify; then verifying=(--verify); fi
pipes=()
if $allow_pipes; then pipes=(--allow_pipes); fi

# data_dirs SET...: prints the data dirs of sets, one a line.
data_dirs() { printf "%s\n" "${@/#/"${in}data/"}"; }

# parts_of TARGET PART...: prints the data dirs of a target's parts.
parts_of() { data_dirs "${@/#/"$1_"}" | sed 1d; }

# shellcheck disable=SC2086  # the names of sets are words
{
    mapfile -t train_dirs < <(data_dirs $source_train)
    mapfile -t dev_dirs < <(data_dirs $source_dev)
    mapfile -t all_dirs < <(data_dirs $source_train $source_dev $source_test)
}
for target in $targets; do
    # shellcheck disable=SC2086  # words
    mapfile -t -O ${#all_dirs[@]} all_dirs < <(parts_of "$target" $target_train dev $target_test)
done

# Data dirs that have, or (before stage 1) may have, audio.
audio_dirs() {
    local dir
    for dir in "${all_dirs[@]}"; do
        if [ -e "$dir/wav.scp" ] || ! [ -e "$dir/text" ]; then echo "$dir"; fi
    done
}

# goes_without TARGET CONFIG: the target's training set is text alone, and the config needs more.
goes_without() {
    local train=${in}data/$1_train
    [ -e "$train/text" ] && ! [ -e "$train/wav.scp" ] && [[ " $need_audio " == *" $(stem "$2") "* ]]
}

# Lines of model folder, config, target, changes of the config (quoted words).
adapted_models() {
    local target config
    if [ -n "$compare" ]; then
        printf '%s\n' "$cells"
        return
    fi
    for target in $targets; do
        for config in $adapt_configs; do
            ! goes_without "$target" "$config" || continue
            # shellcheck disable=SC2086  # words
            printf '%s\t%s\t%s\t%s\n' "$base/$(stem "$config")_$target" "$config" "$target" \
                "${adapt_opts:+$(quoted $adapt_opts)}"
        done
    done
}

# test_sets TARGET...: prints the test sets of the source and of targets, in one line.
test_sets() {
    local target part sets=$source_test
    for target in "$@"; do
        for part in $target_test; do sets+=" ${target}_$part"; done
    done
    echo "$sets"
}

# Lines of model folder, test sets, config of the search, target (or -); and where a grid decodes a
# model otherwise, the name of that and changes of the config (quoted words). An adapted model is
# tested on its target and on the source; further ways to decode are for target domains.
decodings() {
    local model target config name changes
    # shellcheck disable=SC2086  # words
    printf '%s\t%s\t%s\t-\n' "$base" "$(test_sets $targets)" "$decode_config"
    adapted_models | while IFS=$'\t' read -r model _ target _; do
        printf '%s\t%s\t%s\t-\n' "$model" "$(test_sets "$target")" "$decode_config"
    done
    # shellcheck disable=SC2086  # words
    [ -z "$redecoded" ] || while IFS=$'\t' read -r model target name changes; do
        printf '%s\t%s\t%s\t-\t%s\t%s\n' \
            "$model" "$(test_sets $target)" "$decode_config" "$name" "$changes"
    done <<<"$redecoded"
    for target in $targets; do
        for config in $extra_decode_configs; do
            printf '%s\t%s\t%s\t%s\n' "$base" "${target}_test" "$config" "$target"
            for model in $extra_decode_models; do
                printf '%s\t%s\t%s\t%s\n' "$base/${model}_$target" "${target}_test" "$config" "$target"
            done
        done
    done
}

# Lines of folder, config, domain (source, or a target) of the language models that further ways to
# decode name: {exp}/lm/<config>_{target} and {exp}/lm/<config>_source.
language_models() {
    local config domain as
    for config in $lm_configs; do
        for domain in source $targets; do
            [ "$domain" = source ] && as=source || as='{target}'
            # shellcheck disable=SC2086  # words
            ! grep -qF "{exp}/lm/$(stem "$config")_$as" $extra_decode_configs /dev/null ||
                printf '%s\t%s\t%s\n' "${in}exp/lm/$(stem "$config")_$domain" "$config" "$domain"
        done
    done
}

# outputs STAGE: the files by which it is known to be done.
outputs() {
    local model sets set config name tag
    case $1 in
        data)
            printf '%s/text\n' "${all_dirs[@]}"
            for model in "$encoder" "$llm"; do
                case $model in "${in}pretrained/"*) echo "$model/config.json" ;; esac
            done ;;
        check) printf '%s/.checked\n' "${all_dirs[@]}" ;;
        features) audio_dirs | while IFS= read -r set; do echo "${in}dump/*/${set##*/}/feats.scp"; done ;;
        base) echo "$base/run.json" ;;
        adapt) adapted_models | while IFS=$'\t' read -r model _; do echo "$model/run.json"; done ;;
        lm) language_models | while IFS=$'\t' read -r model _; do echo "$model/run.json"; done ;;
        decode | score)
            decodings | while IFS=$'\t' read -r model sets config _ name _; do
                tag=decode_$(stem "$config")${name:+_$name}
                for set in $sets; do
                    [ "$1" = decode ] && set+=/decode.json || set+='/score/*.json'
                    echo "$model/$tag/$set"
                done
            done
            # shellcheck disable=SC2086  # words
            [ -z "$whisper" ] || for set in $(test_sets $targets); do
                echo "$whisper/$decode/$set/$([ "$1" = decode ] && echo decode.json || echo 'score/*.json')"
            done ;;
        report) printf '%s\n' "${in}RESULTS.md" ${compare:+"$compare_report"} ;;
        pack) echo "${in}exp/packed/pack.json" ;;
    esac
}

# ---- stages

stage_data() {
    local name options=()
    for name in $corpus_options; do options+=("--$name" "${!name}"); done
    ! grep -q '^nj=' local/data.sh || options+=(--nj "$nj")
    ! grep -q '^sets=' local/data.sh || options+=(--sets "${all_dirs[*]##*/}")
    ! grep -q '^standins=' local/data.sh || options+=(--standins "$standins")
    # shellcheck disable=SC2086  # words
    run local/data.sh --work "$work" "${options[@]}" $data_opts
    for name in "${packaged[@]}"; do
        run ../../utils/pretrained.sh "$name" "${in}pretrained/$name"
    done
}

stage_check() {
    run speechllm data check "${base_model[@]}" "${pipes[@]}" "${all_dirs[@]}"
}

stage_features() {
    local sets command=(speechllm features "${base_model[@]}" --dump "${in}dump")
    mapfile -t sets < <(audio_dirs)
    run_array "$nj" features "${command[@]}" --job "JOB/$nj" --batch_seconds "$batch_seconds" \
        "${pipes[@]}" "${verifying[@]}" "${sets[@]}"
    run "${command[@]}" --merge "${sets[@]}"
}

stage_base() {
    local launch=(speechllm)
    [ "$nproc" -eq 1 ] ||
        launch=(torchrun --standalone --nproc_per_node "$nproc" -m speechllm)
    # shellcheck disable=SC2086  # words
    run "${launch[@]}" base "${verifying[@]}" --config "$base_config" "${models[@]}" \
        --dump "${in}dump" --train "${train_dirs[@]}" --dev "${dev_dirs[@]}" --exp "$base" $base_opts
}

stage_adapt() {
    local commands target config
    [ -n "$compare" ] || for target in $targets; do
        for config in $adapt_configs; do
            ! goes_without "$target" "$config" ||
                echo "left out, as ${target}_train is text alone: $config"
        done
    done
    commands=$(adapted_models | while IFS=$'\t' read -r model config target changes; do
        # shellcheck disable=SC2086  # words
        mapfile -t target_dirs < <(parts_of "$target" $target_train)
        printf '%s%s\n' "$(quoted speechllm adapt "${verifying[@]}" --config "$config" --base "$base" \
            --dump "${in}dump" --source "${train_dirs[@]}" --source_dev "${dev_dirs[@]}" \
            --target "${target_dirs[@]}" --target_dev "${in}data/${target}_dev" \
            --exp "$model")" "${changes:+ $changes}"
    done)
    run_tasks adapt "$commands"
}

stage_lm() {
    local commands
    commands=$(language_models | while IFS=$'\t' read -r model config domain; do
        text=("${train_dirs[@]}") dev=("${dev_dirs[@]}")
        if [ "$domain" != source ]; then
            text=("${in}data/${domain}_train") dev=("${in}data/${domain}_dev")
        fi
        quoted speechllm lm "${verifying[@]}" --config "$config" --base "$base" --text "${text[@]}" \
            --dev "${dev[@]}" --exp "$model"
    done)
    run_tasks lm "$commands"
}

stage_decode() {
    local commands
    # shellcheck disable=SC2086  # words
    commands=$(decodings | while IFS=$'\t' read -r model tests config target name changes; do
        mapfile -t sets < <(data_dirs $tests)
        further=(${name:+--tag "$(stem "$config")_$name"})
        if [ "$target" != - ]; then
            further=(--target "$target" --dev "${in}data/${target}_dev" --exp "${in}exp")
        fi
        printf '%s%s\n' "$(quoted speechllm decode "${verifying[@]}" --config "$config" \
            --model "$model" --dump "${in}dump" "${further[@]}" --data "${sets[@]}")" \
            "${changes:+ $changes}"
        [ "$target" != - ] || [ -n "$compare" ] ||
            quoted speechllm perplexity "${verifying[@]}" --model "$model" --dump "${in}dump" --data "${sets[@]}"
    done
    [ -z "$whisper" ] || for set in $(test_sets $targets); do # a command for each: it takes its time
        # shellcheck disable=SC2086  # a command with options
        quoted $whisper_command "${verifying[@]}" --model "$encoder" --tag "${decode#decode_}" --out "$whisper" \
            "${pipes[@]}" --data "${in}data/$set"
    done)
    run_tasks decode "$commands"
}

stage_score() {
    # shellcheck disable=SC2086  # words
    run speechllm score --data_root "${in}data" --exp "${in}exp" \
        --train_text "${train_dirs[@]/%//text}" $score_opts
}

stage_report() {
    # The comparison first: RESULTS.md links those that it finds.
    [ -z "$compare" ] || run speechllm compare report --data "${in}data" --out "$compare_report" \
        --tag "${decode#decode_}" "${grid[@]}"
    # shellcheck disable=SC2086  # words
    run speechllm report --exp "${in}exp" --out "${in}RESULTS.md" --source_sets $source_test \
        --html "${in}exp/report" --data "${in}data" "${pipes[@]}" --tag "${decode#decode_}" \
        --title "Results of egs/${PWD##*/}" --command "$command_line" $report_opts
}

stage_pack() {
    # shellcheck disable=SC2086  # words
    run speechllm pack --base "$base" --decode "$decode_config" --out "${in}exp/packed" $pack_opts
}

# shellcheck source=/dev/null
. ./cmd.sh
redecoded="" # models of a grid that are decoded otherwise
if [ -n "$compare" ]; then # its models are known to `speechllm` alone, even to list them
    # shellcheck source=/dev/null
    . ./path.sh
    cells=$(speechllm compare plan "${grid[@]}")
    redecoded=$(speechllm compare decodings --decode "$decode_config" "${grid[@]}")
fi
if $list; then
    show_stages
    exit
fi
# shellcheck source=/dev/null
if ! $dry_run; then . ./path.sh; fi
case $stage in pack | 9) [ "$stop_stage" != report ] || stop_stage=pack ;; esac # nothing comes after it
run_stages "$stage" "$stop_stage"
