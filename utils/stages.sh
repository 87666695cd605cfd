# shellcheck shell=bash
# What a script of numbered stages is made of. The script that sources this defines
#   stages        array of "NAME NEEDED,... what it reads -> writes", NEEDED being stages, or -
#   outputs NAME  prints the files that stage NAME makes, one a line (globs are allowed)
#   stage_NAME    does the work; commands go through `run`, `run_array` and `run_tasks`
#   dry_run nj jobs_cmd log_dir     settings
# shellcheck disable=SC2154  # which the other script assigns

# missing STAGE: prints the files of a stage that are not there.
missing() {
    local file
    outputs "$1" | while IFS= read -r file; do
        [ -e "$file" ] || compgen -G "$file" >/dev/null || echo "$file"
    done
}

# stage_index NUMBER|NAME: prints the stage's place in the array.
stage_index() {
    local i names=()
    for i in "${!stages[@]}"; do
        names+=("${stages[i]%% *}")
        if [[ "$1" = "$((i + 1))" || "$1" = "${names[i]}" ]]; then
            echo "$i"
            return
        fi
    done
    [[ "$1" != [0-9]* ]] || die "there is no stage $1, they go from 1 to ${#stages[@]}$list_hint"
    die "unknown stage '$1'$(nearest "$1" "${names[@]}")$list_hint"
}
list_hint="
  -> $0 --list shows the stages"

show_stages() {
    local i name io total left state
    for i in "${!stages[@]}"; do
        read -r name _ io <<<"${stages[i]}"
        total=$(outputs "$name" | wc -l) left=$(missing "$name" | wc -l)
        state="$((total - left)) of $((total)) done"
        [ "$left" -gt 0 ] || state='done'
        [ "$total" -eq 0 ] || [ "$left" -lt "$total" ] || state="not done" # 0: nothing to do
        printf '%d  %-9s %-68s %s\n' $((i + 1)) "$name" "$io" "$state"
    done
}

# run_stages FIRST LAST: runs stages, by number or name, one after the other.
run_stages() {
    local i first last name needs io need file begin
    first=$(stage_index "$1")
    last=$(stage_index "$2")
    [ "$first" -le "$last" ] || die "stage $1 comes after stop_stage $2"
    for ((i = first; i <= last; i++)); do
        read -r name needs io <<<"${stages[i]}"
        echo "== stage $((i + 1)) $name: $io"
        for need in ${needs//[,-]/ }; do
            file=$(missing "$need" | sed -n 1p)
            [ -z "$file" ] || $dry_run || die "stage $name needs $file, made by stage $need
  -> $0 --stage $need"
        done
        begin=$SECONDS
        running_stage=$name
        trap 'echo "== stage $running_stage failed; mend it, then add --stage $running_stage" >&2' EXIT
        "stage_$name" # not in a condition: there, a failing command would not end it
        trap - EXIT
        $dry_run || echo "== stage $((i + 1)) $name: done in $((SECONDS - begin)) s"
    done
}

# quoted WORD...: prints words as a shell and as shlex read them.
quoted() {
    local word words=()
    for word; do
        [[ "$word" =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
        words+=("$word")
    done
    printf '%s\n' "${words[*]}"
}

# run COMMAND...: shows a command and, but for --dry_run, runs it.
run() {
    echo "\$ $(quoted "$@")"
    $dry_run || "$@"
}

# run_array N NAME COMMAND...: runs jobs 1 to N; in the command, JOB stands for the job's number.
run_array() {
    # shellcheck disable=SC2086  # a command with options
    run $jobs_cmd --max_jobs_run "$nj" "JOB=1:$1" "$log_dir/$2.JOB.log" "${@:3}"
}

# run_tasks NAME COMMANDS: runs different commands, one in each line, as jobs.
run_tasks() {
    local tasks=$log_dir/$1.tasks
    if [ -z "$2" ]; then
        echo "nothing to do"
    elif $dry_run; then
        echo "\$ ${2//$'\n'/$'\n'\$ }"
    else
        mkdir -p "$log_dir"
        echo "$2" >"$tasks"
        # shellcheck disable=SC2086  # a command with options
        run $jobs_cmd --max_jobs_run "$nj" --tasks "$tasks" "$log_dir/$1.JOB.log"
    fi
}
