#!/usr/bin/env bash
# jiwer 4.0.0, the word error rate with its default settings.
#
# One would expect words to be parted by whatever Python's str.split takes for a blank. Only the
# space itself parts them. A no-break space (common in text from the web), an ideographic space, a
# tab or a line end stays inside a word, so a right transcript scores up to 200 % errors. But two
# such blanks in a row do part words: a run of white space becomes one space first, a single one
# does not.
#
# Seen: "a\tb" against "a b" has a rate of 2.0, "a\t\tb" one of 0.0; "ten\u00a0euros" as the
# first.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q jiwer==4.0.0 >&2
"$work/venv/bin/python" - <<'END'
import sys
from importlib.metadata import version

import jiwer

one = {name: jiwer.wer(f"ten{name}euros", "ten euros") for name in "\t\n\u00a0\u3000"}
two = {name: jiwer.wer(f"ten{name}{name}euros", "ten euros") for name in one}
print(f"jiwer {version('jiwer')}: word error rates with one blank {one}, with two {two}")
if set(one.values()) != {2.0} or set(two.values()) != {0.0}:
    sys.exit("changed: other blanks part words now")
END
