# shellcheck shell=bash
# Stage 1 of recipes that make their own stand-ins for a pretrained encoder and LLM. The script that
# sources this has `work`.
# shellcheck disable=SC2154  # which the other script assigns

# standin NAME COMMAND...: trains pretrained/NAME, unless it is there.
standin() {
    local log=$work/pretrained/log/$1.log
    [ ! -e "$work/pretrained/$1/config.json" ] || return 0
    mkdir -p "${log%/*}"
    # All cores on one after the other take less time than both side by side.
    "${@:2}" --out "$work/pretrained/$1" 2>&1 | tee "$log" | sed -u "s/^/$1: /" && return
    die "pretrained/$1 was not made; the log is $log"
}
