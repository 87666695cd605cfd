# shellcheck shell=bash
# What a script of numbered stages is made of. The script that sources this defines
#   stages        array of "NAME NEEDED,... what it reads -> writes", NEEDED being stages, or -;
#                 NAME:LABEL, for a stage that came later, has its own label and takes no number
#   outputs NAME  prints the files that stage NAME makes, one a line (globs are allowed)
#   stage_NAME    does the work; commands go through `run`, `run_array` and `run_tasks`
#   dry_run nj jobs_cmd log_dir     settings
# shellcheck disable=SC2154  # which the other script assigns

stage_names=() stage_labels=() last_number=0
for _stage in "${stages[@]}"; do
    _stage=${_stage%% *}
    stage_names+=("${_stage%%:*}")
    case $_stage in
        *:*) stage_labels+=("${_stage#*:}") ;;
        *) stage_labels+=("$((++last_number))") ;;
    esac
done

# missing STAGE: prints the files of a stage that are not there.
missing() {
    local file
    outputs "$1" | while IFS= read -r file; do
        [ -e "$file" ] || compgen -G "$file" >/dev/null || echo "$file"
    done
}

# stage_index LABEL|NAME: prints the stage's place in the array.
stage_index() {
    local i
    for i in "${!stages[@]}"; do
        if [[ "$1" = "${stage_labels[i]}" || "$1" = "${stage_names[i]}" ]]; then
            echo "$i"
            return
        fi
    done
    [[ "$1" != [0-9]* ]] || die "there is no stage $1, they go from 1 to $last_number$list_hint"
    die "unknown stage '$1'$(nearest "$1" "${stage_names[@]}")$list_hint"
}
list_hint="
  -> $0 --list shows the stages"

show_stages() {
    local i name io total left state
    for i in "${!stages[@]}"; do
        name=${stage_names[i]}
        read -r _ _ io <<<"${stages[i]}"
        total=$(outputs "$name" | wc -l) left=$(missing "$name" | wc -l)
        state="$((total - left)) of $((total)) done"
        [ "$left" -gt 0 ] || state='done'
        [ "$total" -eq 0 ] || [ "$left" -lt "$total" ] || state="not done" # 0: nothing to do
        printf '%-2s %-9s %-68s %s\n' "${stage_labels[i]}" "$name" "$io" "$state"
    done
}

# run_stages FIRST LAST: runs stages, by label or name, one after the other.
run_stages() {
    local i first last name label needs io need file begin
    first=$(stage_index "$1")
    last=$(stage_index "$2")
    [ "$first" -le "$last" ] || die "stage $1 comes after stop_stage $2"
    for ((i = first; i <= last; i++)); do
        name=${stage_names[i]} label=${stage_labels[i]}
        read -r _ needs io <<<"${stages[i]}"
        echo "== stage $label $name: $io"
        for need in ${needs//[,-]/ }; do
            file=$(missing "$need" | sed -n 1p)
            [ -z "$file" ] || $dry_run || die "stage $name needs $file, made by stage $need
  -> $0 --stage $need"
        done
        begin=$SECONDS
        running_stage=$name
        trap 'say_end "$?" "$running_stage" >&2' EXIT
        "stage_$name" # not in a condition: there, a failing command would not end it
        trap - EXIT
        $dry_run || echo "== stage $label $name: done in $((SECONDS - begin)) s"
    done
}

# say_end CODE STAGE: what to do about a stage that did not end well; above 128 it was a signal.
say_end() {
    if [ "$1" -gt 128 ]; then
        echo "== stage $2 was stopped; to go on, add --stage $2"
    else
        echo "== stage $2 failed; mend it, then add --stage $2"
    fi
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
