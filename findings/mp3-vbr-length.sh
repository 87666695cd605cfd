#!/usr/bin/env bash
# soundfile 0.14.0 (with libsndfile 1.2.2), MP3 of variable bit rate.
#
# An MP3 need not say how long it is: the Xing frame is optional, and LAME leaves it out of what
# it writes to a stream. libsndfile then estimates the length from the bit rate at the beginning.
# One would expect the estimate to matter for a progress bar alone. But reading ends there as
# well: soundfile.read gives fewer samples than the file holds, without error or warning, and so
# does reading block by block until nothing more comes. Where the bit rate falls, the estimate is
# too long, and only then is everything read.
#
# Seen: of 6 seconds whose pitch rises, encoded in the usual way, 0.9 s are read; another decoder
# reads all 6.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 soundfile==0.14.0 lameenc==1.9.0 miniaudio==1.71 >&2
"$work/venv/bin/python" - <<'END'
import io
import sys

import lameenc
import miniaudio
import numpy as np
import soundfile

RATE, SECONDS = 16000, 6
time = np.arange(SECONDS * RATE) / RATE
wave = 0.5 * np.sin(2 * np.pi * (100 + 200 * time) * time)
encoder = lameenc.Encoder()
encoder.set_in_sample_rate(RATE)
encoder.set_out_sample_rate(RATE)
encoder.set_channels(1)
encoder.set_vbr(4)
encoder.set_vbr_quality(4)
encoder.silence()
mp3 = bytes(encoder.encode((32767 * wave).astype("<i2").tobytes()) + encoder.flush())

announced = soundfile.info(io.BytesIO(mp3)).frames
whole = len(soundfile.read(io.BytesIO(mp3))[0])
blocks = 0
with soundfile.SoundFile(io.BytesIO(mp3)) as stream:
    while len(block := stream.read(4000)):
        blocks += len(block)
other = len(miniaudio.decode(mp3, nchannels=1, sample_rate=RATE).samples)
print(f"soundfile {soundfile.__version__}, {soundfile.__libsndfile_version__}: {len(wave)} samples")
print(f"encoded; announced {announced}, read {whole}, by blocks {blocks}; miniaudio reads {other}")
if not (announced == whole == blocks < len(wave) / 2 and other >= len(wave)):
    sys.exit("changed: soundfile no longer stops in the middle")
END
