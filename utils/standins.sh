# shellcheck shell=bash
# Stage 1 of recipes that make their own stand-ins for a pretrained encoder and LLM. The script that
# sources this has `work`, and gives the commands in the arrays encoder_command and llm_command.
# shellcheck disable=SC2154  # which the other script assigns

# standin NAME COMMAND...: trains pretrained/NAME, unless it is there.
standin() {
    local log=$work/pretrained/log/$1.log
    [ ! -e "$work/pretrained/$1/config.json" ] || return 0
    mkdir -p "${log%/*}"
    "${@:2}" --out "$work/pretrained/$1" 2>&1 | tee "$log" | sed -u "s/^/$1: /" && return
    die "pretrained/$1 was not made; the log is $log"
}

# train_standins: both side by side, each on half of the cores, and in a process group that can be
# ended as one.
train_standins() {
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((($(nproc) + 1) / 2))}
    set -m
    standin encoder "${encoder_command[@]}" &
    encoder=$!
    standin llm "${llm_command[@]}" &
    llm=$!
    set +m
    trap 'kill -- -$encoder -$llm 2>/dev/null || true' EXIT
    wait $encoder || exit
    wait $llm || exit
    trap - EXIT
}
