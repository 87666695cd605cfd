#!/usr/bin/env python3
"""How much memory `speechllm transcribe` takes for long recordings: whole commands.

    tools/benchmark/long.py --model exp/packed --work exp/long --hours 1 10

The recordings are made: a minute has ten seconds of noise that rises and falls as syllables do.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
from large import measure

RATE = 16_000
MINUTE, SPOKEN = 60, 10  # seconds


def make(path: Path, hours: float, rate: int) -> None:
    """Write a recording, minute by minute, unless it is there."""
    if path.exists():
        return
    draw = np.random.default_rng(0)
    times = np.arange(SPOKEN * rate) / rate
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        for _ in range(round(hours * 60)):
            minute = np.zeros(MINUTE * rate, np.float32)
            noise = draw.standard_normal(len(times), np.float32)
            minute[: len(times)] = 0.1 * noise * np.sin(2 * np.pi * 2 * times) ** 2
            file.write(minute)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="packed folder, or folder of a run")
    parser.add_argument("--work", required=True, type=Path, help="folder for all that is made")
    parser.add_argument("--hours", nargs="+", type=float, default=[1, 10])
    parser.add_argument("--formats", nargs="+", default=["wav", "flac"])
    parser.add_argument("--rate", type=int, default=RATE, help="Hz (%(default)s)")
    parser.add_argument("--vad", default="energy", choices=("energy", "silero"))
    parser.add_argument("--search", nargs="*", default=[], help="changes, such as beam=1")
    args = parser.parse_args()
    args.work = args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    for kind in args.formats:
        for hours in args.hours:
            path = args.work / f"{hours:g}h-{args.rate}.{kind}"
            make(path, hours, args.rate)
            options = ["--model", args.model, "--vad", args.vad, "--out", args.work / "out"]
            command = [sys.executable, "-m", "speechllm", "transcribe", *options, path]
            used = measure([*command, *args.search], args.work, 1)
            print(
                f"{path.name}: {used['peak']:.1f} MB, {used['cpu']:.1f} s of processors, "
                f"{used['wall']:.1f} s by the clock",
                flush=True,
            )


if __name__ == "__main__":
    main()
