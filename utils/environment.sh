# shellcheck shell=bash
# Puts this checkout's environment in front of PATH and makes it where there is none. An
# environment that is active already and has the `speechllm` command is used as it is, unless
# tools/setup.sh was run in this checkout. To be sourced.

_tools=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../tools" && pwd)
if [ -e "$_tools/environment" ] || ! command -v speechllm >/dev/null; then
    "$_tools/setup.sh"
    _python=$(cat "$_tools/environment")
    [[ "$_python" == /* ]] || _python=$_tools/$_python
    export PATH="${_python%/*}:$PATH"
fi

# Threads that wait spin but briefly, then give their core away. With libgomp's default, two trainings
# of two threads each on two cores took 30 times as long side by side as one alone; so 6 times.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-20000}
