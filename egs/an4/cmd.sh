# shellcheck shell=bash
# Where jobs run (stages 3, 5 and 6): on this machine, nj at once. On a Slurm cluster, where the base
# and the scores are jobs too, with the resources of conf/slurm.yaml (docs/scaling.md):
# export jobs_cmd="speechllm run --slurm conf/slurm.yaml"
export jobs_cmd="speechllm run"
