#!/usr/bin/env bash
# fix_data_dir.sh DATA_DIR...: `speechllm data fix`, for fingers that know Kaldi.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" >&2
exec speechllm data fix "$@"
