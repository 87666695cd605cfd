# shellcheck shell=bash
# How arrays of jobs (stages 3, 5 and 6) are run: on this machine, nj at once.
export jobs_cmd="speechllm run"
