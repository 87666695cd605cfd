#!/usr/bin/env bash
# whisper-normalizer 0.1.15, the package most used for the English normaliser of OpenAI's Whisper.
#
# One would expect what openai-whisper has, as in version 0.1.1, and word error rates that can be
# compared with those of papers. But later versions have a rule for the colloquial 'cause that
# does without its apostrophe, so every "cause" becomes "because". What a system wrongly heard as
# "because" then counts as right.
#
# Seen: 0.1.1 leaves "the cause of the fire" alone, 0.1.15 makes "the because of the fire" of it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q whisper-normalizer==0.1.15 >&2
"$work/venv/bin/pip" install -q --no-deps --target "$work/old" whisper-normalizer==0.1.1 >&2
normalise='
from whisper_normalizer.english import EnglishTextNormalizer
print(EnglishTextNormalizer()("The cause of the fire."))
'
new=$("$work/venv/bin/python" -c "$normalise")
old=$(PYTHONPATH=$work/old "$work/venv/bin/python" -c "$normalise")
echo "whisper-normalizer 0.1.1: $old; 0.1.15: $new"
if [ "$old" != "the cause of the fire" ] || [ "$new" != "the because of the fire" ]; then
    echo "changed: a cause is a cause again" >&2
    exit 1
fi
