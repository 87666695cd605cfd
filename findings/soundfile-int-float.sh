#!/usr/bin/env bash
# soundfile 0.14.0 (with libsndfile 1.2.2), integers and files of floats.
#
# One would expect `dtype="int16"` to mean full scale = 32767 whatever the file holds, as it does
# for WAV of 16 or 24 bits, FLAC, Ogg Vorbis, Opus and MP3. But a file whose samples are stored as
# floats is rounded as it is: a recording at half of full scale becomes silence. And int16 samples
# written to such a file stay what they are, thousands for whoever reads floats. The documentation
# says so of reading; nothing warns, and a mixed corpus is right but for its float files.
#
# Seen: half of full scale read as int16 has a peak of 0 from WAV FLOAT, of 16,383 or more from
# WAV PCM_24, FLAC and Vorbis; int16 written and read as float has one of 16,383 and of 0.5.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 soundfile==0.14.0 >&2
"$work/venv/bin/python" - <<'END'
import io
import sys

import numpy as np
import soundfile

RATE = 16000
wave = 0.49999 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)
KINDS = [("WAV", "FLOAT"), ("WAV", "PCM_24"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")]


def peak(samples, kind, subtype, dtype):
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format=kind, subtype=subtype)
    return np.abs(soundfile.read(io.BytesIO(content.getvalue()), dtype=dtype)[0]).max()


as_int = {" ".join(kind): int(peak(wave, *kind, "int16")) for kind in KINDS}
integers = (32767 * wave).astype(np.int16)
as_float = {" ".join(kind): round(float(peak(integers, *kind, "float64")), 1) for kind in KINDS}
print(f"soundfile {soundfile.__version__}, {soundfile.__libsndfile_version__}: peaks of a tone of")
print(f"half of full scale, floats read as int16 {as_int}")
print(f"int16 written and read as floats {as_float}")
stored, *others = as_int.values()
kept, *scaled = as_float.values()
if stored != 0 or min(others) < 16000 or kept < 16000 or max(scaled) > 0.6:
    sys.exit("changed: integers and floats are scaled in another way now")
END
