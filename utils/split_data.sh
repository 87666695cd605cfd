#!/usr/bin/env bash
# split_data.sh [--per-utt] DATA_DIR N: `speechllm data split`, for fingers that know Kaldi.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" >&2
exec speechllm data split "$@"
