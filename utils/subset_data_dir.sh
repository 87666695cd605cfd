#!/usr/bin/env bash
# subset_data_dir.sh [--first | --speakers | ...] N SOURCE TARGET: `speechllm data subset`, for fingers
# that know Kaldi.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" >&2
exec speechllm data subset "$@"
