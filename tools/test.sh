#!/usr/bin/env bash
# Sets up what is missing, checks the style, and runs the tests. Arguments go to pytest, e.g.
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
python -m pytest "$@"
