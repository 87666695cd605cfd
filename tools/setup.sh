#!/usr/bin/env bash
# Makes the environment that the recipes and the tests run in: the library, installed editable,
# and what it needs at the versions of tools/constraints.txt. It is the environment that was
# used before, else an active venv or conda env, else tools/venv. Safe to run again: where nothing
# has changed, nothing is done. Needs no root, no system package and no compiler.
set -euo pipefail

python=                       # an interpreter whose environment is to be used instead
extras=mini,dev,import,vad,completion,report,score,tensorboard,datasets,constrained,serve  # see setup.py
# shellcheck source=../utils/parse_options.sh
. "$(dirname "${BASH_SOURCE[0]}")/../utils/parse_options.sh"

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Prints the absolute path of the interpreter that a name or path stands for.
interpreter() {
    "$1" -c 'import sys; print(sys.executable)' 2>/dev/null || die "'$1' is not a python"
}

make_venv() {
    local name base=""
    for name in python3 python3.13 python3.12 python3.11 python3.14 python; do
        if new_enough "$name"; then
            base=$(interpreter "$name")
            break
        fi
    done
    [ -n "$base" ] || die "python 3.11 or newer is needed, and PATH has none\
 (python3: $(python3 --version 2>&1 || true))
  -> give one: tools/setup.sh --python /path/to/python3, or activate a conda env that has one"
    echo "making tools/venv with $base"
    "$base" -m venv --clear venv || die "$base cannot make a venv
  -> give another: tools/setup.sh --python /path/to/python3, or activate a conda env"
}

if [ -n "$python" ]; then python=$(interpreter "$python"); fi
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd .. && pwd)

if [ -z "$python" ] && [ -e environment ]; then
    python=$(cat environment)
    [ -x "$python" ] || python="" # removed since
fi
if [ -z "$python" ]; then
    if [ -n "${VIRTUAL_ENV:-}" ]; then python=$VIRTUAL_ENV/bin/python
    elif [ -n "${CONDA_PREFIX:-}" ] && [ "${CONDA_DEFAULT_ENV:-base}" != base ]; then
        python=$CONDA_PREFIX/bin/python
    else python=venv/bin/python; fi
fi
case $python in
    "$root"/tools/venv/*) python=venv/bin/python ;; # a path that survives moving the checkout
esac
prefix=${python%/bin/*}

# What an environment was made from is written into it last.
stamp=$prefix/.speechllm
wanted="$root $extras $(cat ../setup.py constraints.txt | cksum)"
ready() { [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; }

install() {
    local log=setup.log
    if [ "$prefix" = venv ] && ! "$python" -m pip --version >/dev/null 2>&1; then make_venv; fi
    new_enough "$python" || die "python 3.11 or newer is needed; $python: $("$python" --version 2>&1)
  -> tools/setup.sh --python /path/to/python3"
    echo "installing into $shown; the first time takes minutes (log: tools/$log)"
    rm -f "$stamp"
    if ! "$python" -m pip install --constraint constraints.txt --only-binary :all: \
        --editable "${root}[$extras]" 2>&1 | tee "$log"; then
        if grep -qE 'NewConnectionError|ConnectTimeout|name resolution|Max retries|versions: none' "$log"; then
            die "the package index cannot be reached, or lacks a package
  -> check the network, or name a mirror (PIP_INDEX_URL) or a folder of wheels (PIP_FIND_LINKS)"
        fi
        die "pip could not install; its last words are above and in tools/$log"
    fi
    echo "$wanted" >"$stamp"
}

shown=$prefix
case $prefix in /*) ;; *) shown=tools/$prefix ;; esac
if ! ready; then
    # Two recipes that are started together must not install into one environment at once.
    exec 9>.setup.lock
    if command -v flock >/dev/null; then flock 9; fi
    ready || install
fi
if [ "$(cat environment 2>/dev/null)" != "$python" ]; then
    echo "$python" >"environment.$$"
    mv "environment.$$" environment
fi
echo "environment: $shown is ready"
