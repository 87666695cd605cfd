#!/usr/bin/env bash
# task.sh FILE N: runs line N of FILE, a list of shell commands. With it a job array runs commands
# that differ in more than a number.
set -euo pipefail

command=$(sed -n "$2p" "$1")
[ -n "$command" ] || { echo "task.sh: $1 has no line $2" >&2; exit 1; }
echo "# $command"
exec bash -c "$command"
