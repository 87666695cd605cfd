#!/usr/bin/env bash
# combine_data.sh TARGET SOURCE...: `speechllm data combine`, for fingers that know Kaldi.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" >&2
exec speechllm data combine "$@"
