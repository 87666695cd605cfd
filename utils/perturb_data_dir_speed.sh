#!/usr/bin/env bash
# perturb_data_dir_speed.sh SPEED SOURCE TARGET: `speechllm data perturb`, for fingers that know Kaldi.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" >&2
exec speechllm data perturb "$@"
