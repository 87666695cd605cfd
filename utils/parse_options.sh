# shellcheck shell=bash
# Makes every variable that a script sets above this include an option of the script:
#
#   nj=4         # jobs that run at once
#   quick=false  # tiny sizes, to try things out
#   . ../../utils/parse_options.sh
#
# gives --nj 8, --nj=8, --quick, --quick=false, --help and --config FILE (lines of name=value).
# --a-b is --a_b. An option is a line that starts with name=, in the script and in the scripts
# that source it; a name that starts with _ is private. --help prints the comment beside the
# variable or, where there is none, above it. A default that is a number or true/false says what
# is accepted. No value is ever evaluated; an unknown option, a missing value and a word that
# belongs to no option are errors.

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    echo "bash 4.4 or newer is needed, this is $BASH_VERSION" >&2
    exit 1
fi

die() {
    echo "${0##*/}: error: $1" >&2
    exit 1
}

# plain_python WORD...: a python of 3.11 or newer (older ones know no -P), which finds this checkout's
# speechllm; what needs the standard library alone can be asked before there is an environment.
plain_python() { [ -n "$_python" ] && PYTHONPATH=$_checkout${PYTHONPATH:+:$PYTHONPATH} "$_python" -P "$@"; }
_checkout=$(dirname "${BASH_SOURCE[0]}")/..
_python=""
for _name in python3 python3.13 python3.12 python3.11 python3.14 python; do
    if "$_name" -P -c "" 2>/dev/null; then
        _python=$_name
        break
    fi
done

# _nearest NAME WORD...: prints ", did you mean 'WORD'?" or, where none is near, the list of them;
# nothing where there is no such python.
_nearest() { plain_python -m speechllm plan --nearest "$@" 2>/dev/null || true; }

# _list_options FILE LAST: prints "name<tab>comment" for each variable set in lines 1 to LAST.
_list_options() {
    awk -v last="$2" '
        function flush() { if (name != "") print name "\t" comment; name = "" }
        NR > last { exit }
        name != "" && sub(/^[ \t]+# /, "") { comment = comment " " $0; next }
        { flush() }
        /^# shellcheck / { next }
        /^# / { above = (above == "" ? "" : above " ") substr($0, 3); next }
        /^[a-z][a-z0-9_]*=/ {
            name = comment = $0
            sub(/=.*/, "", name)
            if (!sub(/^[^#]*[ \t]# /, "", comment)) comment = above
        }
        { above = "" }
        END { flush() }' "$1"
}

_number='^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$'
_options=""       # lines of name<tab>comment
_option_kinds=" " # words name:kind

# The scripts that lead here, the outermost last; a variable that two of them set stands once.
for ((_i = ${#BASH_SOURCE[@]} - 1; _i > 0; _i--)); do
    _script=${BASH_SOURCE[_i]}
    [ -e "$_script" ] || _script=./${_script##*/} # it has changed to its own folder
    _options+=$(_list_options "$_script" "${BASH_LINENO[_i - 1]}")$'\n'
done
_options=$(awk -F '\t' '
    $1 != "" && !($1 in text) { order[++n] = $1 }
    text[$1] == "" { text[$1] = $2 }
    END { for (i = 1; i <= n; i++) print order[i] "\t" text[order[i]] }' <<<"$_options")
while IFS=$'\t' read -r _name _; do
    [ -n "$_name" ] || continue
    case ${!_name} in
        true | false) _kind=boolean ;;
        *) [[ "${!_name}" =~ $_number ]] && _kind=number || _kind=text ;;
    esac
    _option_kinds+="$_name:$_kind "
done <<<"$_options"

_is_option() { [[ "$_option_kinds" == *" $1:${2:-}"* ]]; } # _is_option NAME [KIND]

_print_help() {
    local _name _comment _script=$0
    [ -e "$_script" ] || _script=./${_script##*/}
    awk '/^#!/ { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$_script"
    printf '\nusage: %s [--option value | --option=value] ...\n\n' "$0"
    while IFS=$'\t' read -r _name _comment; do
        [ -z "${!_name}" ] || _comment+="${_comment:+ }[${!_name}]"
        printf '  --%-16s %s\n' "$_name" "$_comment" | fold -s -w 96 |
            sed '1!s/^/                     /; s/ *$//'
    done <<<"$_options"
    _is_option config || printf '  --%-16s %s\n' config "file with lines of name=value"
}

# _set_option NAME VALUE WHERE: checks and sets one option.
_set_option() {
    # shellcheck disable=SC2046  # names are words
    _is_option "$1" || die "$3unknown option --$1$(_nearest "$1" $(cut -f 1 <<<"$_options") help)"
    if _is_option "$1" boolean && [[ "$2" != true && "$2" != false ]]; then
        die "$3--$1 is true or false, not '$2'"
    elif _is_option "$1" number && [[ ! "$2" =~ $_number ]]; then
        die "$3--$1 is a number, not '$2'"
    fi
    printf -v "$1" '%s' "$2"
}

_read_config() {
    local _line _number_of_line=0
    [ -r "$1" ] || die "--config: cannot read '$1'"
    while IFS= read -r _line || [ -n "$_line" ]; do
        _number_of_line=$((_number_of_line + 1))
        [[ "$_line" =~ ^[[:space:]]*(#|$) ]] && continue
        [[ "$_line" == ?*=* ]] || die "$1:$_number_of_line: not name=value: '$_line'"
        _set_option "${_line%%=*}" "${_line#*=}" "$1:$_number_of_line: "
    done <"$1"
}

parse_options() {
    local _word _name _value
    for _word in "$@"; do
        case $_word in -h | --help) _print_help && exit 0 ;; esac
    done
    while [ $# -gt 0 ]; do
        [[ "$1" == --?* ]] || die "'$1' belongs to no option; options are --name value"
        _name=${1%%=*} _name=${_name#--} _name=${_name//-/_}
        if [[ "$1" == *=* ]]; then
            _value=${1#*=}
        elif [ $# -gt 1 ] && [[ "$2" != --* || "$2" == *[[:space:]]* ]]; then
            _value=$2
            shift
        elif _is_option "$_name" boolean; then
            _value=true
        elif _is_option "$_name" || [ "$_name" = config ]; then
            die "--$_name needs a value (one that starts with -- is given as --$_name=VALUE)"
        else
            _value="" # unknown: the next step says so
        fi
        shift
        if [ "$_name" = config ] && ! _is_option config; then
            _read_config "$_value"
        else
            _set_option "$_name" "$_value" ""
        fi
    done
}

parse_options "$@"
