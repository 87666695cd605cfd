#!/usr/bin/env bash
# Sets up what is missing, checks the style, and runs the tests, in two processes at once. Arguments
# go to pytest, which then runs alone, e.g.
# tools/test.sh -m "not slow" tests/jobs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. utils/environment.sh
export HF_HUB_OFFLINE=1

ruff check .
ruff format --check .
find . \( -path ./tools/venv -o -path './.*' \) -prune -o -name '*.sh' -print0 | xargs -0 shellcheck .ci/run

for data in an4 librispeech_sample; do
    [ -e ../shared/data/$data ] || echo "not here: ../shared/data/$data; the tests on it skip"
done
if [ $# -gt 0 ]; then exec python -m pytest "$@"; fi

# All tests: whole recipes, which are waited for more than computed, beside the rest.
slow=$(mktemp)
set -m # a group of its own, to be interrupted as one
python -m pytest -m slow >"$slow" 2>&1 &
trap 'kill -INT -- -$! 2>/dev/null || true; wait $! || true; rm -f "$slow"' EXIT
status=0
python -m pytest -m "not slow" || status=$?
[ "$status" != 2 ] || exit 2 # interrupted
echo "whole recipes:"
wait $! || status=$?
cat "$slow"
exit "$status"
