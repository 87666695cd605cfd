#!/usr/bin/env bash
# utils/new_recipe.sh NAME: starts a recipe for a new domain, egs/NAME, from egs/TEMPLATE.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../egs"

die() {
    echo "new_recipe.sh: error: $1" >&2
    exit 1
}

case $# in
    1) name=$1 ;;
    *) die "give one name: utils/new_recipe.sh NAME" ;;
esac
[[ "$name" =~ ^[A-Za-z0-9][A-Za-z0-9_-]*$ ]] ||
    die "'$name' cannot name a recipe: letters, digits, _ and -, a letter or digit first"
[ ! -e "$name" ] || die "egs/$name is there already"

# What the template's own runs have made stays there; the folder appears whole.
new=.$name.$$.tmp
trap 'rm -rf "$new"' EXIT
mkdir "$new"
cp -R TEMPLATE/{README.md,cmd.sh,conf,local,path.sh,run.sh} "$new"
find "$new" -name __pycache__ -prune -exec rm -r {} +
mv "$new" "$name"

echo "egs/$name is made. Next:
  1. put your data into egs/$name/corpus/, a .tsv for each set; egs/$name/local/data.sh describes them
  2. name your domains in egs/$name/run.sh, and encoder and LLM in egs/$name/conf/base.yaml
  3. cd egs/$name && ./run.sh --stop_stage check
docs/add-a-domain.md shows all of it with its output."
