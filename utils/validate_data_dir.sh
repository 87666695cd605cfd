#!/usr/bin/env bash
# validate_data_dir.sh DATA_DIR...: says what is wrong with data dirs, and what mends it. It is
# `speechllm data check`, for fingers that know Kaldi; --no-feats is taken, since features are not here.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" >&2

for word in "$@"; do
    shift
    [ "$word" = --no-feats ] || set -- "$@" "$word"
done
exec speechllm data check "$@"
