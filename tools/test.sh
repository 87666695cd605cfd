#!/usr/bin/env bash
# Sets up what is missing, checks the style, and runs the tests, files of them side by side.
# Arguments go to pytest, which then is one process, e.g.
# tools/test.sh -m "not slow" tests/jobs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. utils/environment.sh
export HF_HUB_OFFLINE=1

ruff check .
ruff format --check .
lint-imports --no-cache --no-logo  # imports go down: the floors of pyproject.toml
find . \( -path ./tools/venv -o -path './.*' \) -prune -o -name '*.sh' -print0 | xargs -0 shellcheck .ci/run

for data in an4 librispeech_sample; do
    [ -e ../shared/data/$data ] || echo "not here: ../shared/data/$data; the tests on it skip"
done
if [ $# -gt 0 ]; then exec python -m pytest "$@"; fi

# A file stays in one process, so that what its tests share is made once. One thread each: tiny
# models gain nothing by more, and two processes that want all cores wait for each other.
export OMP_NUM_THREADS=${OMP_NUM_THREADS-1}
exec python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
