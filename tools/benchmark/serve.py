#!/usr/bin/env python3
"""Requests at once against the same ones one after another, and the first piece of a long file.

tools/benchmark/serve.py --model exp/packed --recordings some/folder [--requests 16] [--turns 3]

The server is a process of its own. Turns of both kinds alternate, so that what else the machine
does meets both alike; texts must be equal. Beside seconds by the clock it gives the processor time
of the server, on all of its threads: other jobs cannot take that away, but it does not tell how
well several cores are used. The long file is all recordings in a row; the time to
its first streamed piece is put beside the time of a file that holds that piece alone.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import openai
import soundfile

from speechllm.data.speech.audio import SAMPLE_RATE, load_audio
from speechllm.transcribe.recordings import find_recordings


@contextmanager
def served(model: str, options: list[str]) -> Iterator[tuple[openai.OpenAI, int]]:
    """A client of a server, and the server's process."""
    command = [sys.executable, "-m", "speechllm", "serve", "--model", model, "--port", "0"]
    server = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    try:
        for line in server.stderr or ():
            if found := re.search(r"listening on (\S+),", line):
                break
        else:
            raise SystemExit(f"the server has failed (exit code {server.wait()})")
        with ThreadPoolExecutor(1) as pool:  # a log that nobody reads would hold it up
            pool.submit(server.stderr.read)
            yield openai.OpenAI(api_key="none", base_url=f"{found[1]}/v1", timeout=3600), server.pid
            server.terminate()
    finally:
        server.terminate()
        server.wait()


def worked(process: int) -> float:
    """Seconds of processor time that a process has had, by /proc."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def timed(process: int, seconds: list[float], work: list[float]) -> Iterator[None]:
    """Note what the block takes, by the clock and in the process."""
    started, before = time.perf_counter(), worked(process)
    yield
    seconds.append(time.perf_counter() - started)
    work.append(worked(process) - before)


def ask(client: openai.OpenAI, file: Path, model: str) -> str:
    return client.audio.transcriptions.create(model=model, file=file).text


def first_piece(client: openai.OpenAI, file: Path, model: str) -> tuple[float, float, float, str]:
    """Seconds until the first event; start, end and text of its piece."""
    started = time.perf_counter()
    with client.audio.transcriptions.create(model=model, file=file, stream=True) as stream:
        event = next(iter(stream))
        return time.perf_counter() - started, event.start, event.end, event.delta


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="packed folder")
    parser.add_argument("--recordings", nargs="+", required=True, help="files or folders")
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--long", type=float, default=300.0, help="seconds of the long file")
    parser.add_argument("--domains", nargs="+", default=["base"], help="asked for in turn")
    parser.add_argument("--option", action="append", default=[], help="of the server")
    args = parser.parse_args()

    audio = [r.audio for r in find_recordings(args.recordings)][: args.requests]
    samples = [load_audio(one) for one in audio]
    seconds = sum(map(len, samples)) / SAMPLE_RATE
    with tempfile.TemporaryDirectory() as folder, served(args.model, args.option) as own:
        client, process = own
        files = []
        for number, wave in enumerate(samples):
            files.append(Path(folder) / f"{number}.flac")
            soundfile.write(files[-1], wave, SAMPLE_RATE)
        asks = [(f, args.domains[n % len(args.domains)]) for n, f in enumerate(files)]
        ask(client, *asks[0])  # warm
        took: dict[str, list[float]] = {"alone": [], "at_once": []}
        work: dict[str, list[float]] = {"alone": [], "at_once": []}
        same = True
        for _ in range(args.turns):
            with timed(process, took["alone"], work["alone"]):
                alone = [ask(client, *one) for one in asks]
            with (
                ThreadPoolExecutor(len(asks)) as pool,
                timed(process, took["at_once"], work["at_once"]),
            ):
                at_once = list(pool.map(lambda one: ask(client, *one), asks))
            same = same and alone == at_once

        row = np.concatenate(samples)
        row = np.tile(row, int(np.ceil(args.long * SAMPLE_RATE / len(row))))
        row = row[: round(args.long * SAMPLE_RATE)]
        long, short = Path(folder) / "long.flac", Path(folder) / "short.flac"
        soundfile.write(long, row, SAMPLE_RATE)
        times: dict[str, list[float]] = {"of_long": [], "of_short": []}
        for _ in range(args.turns):
            first, start, end, text = first_piece(client, long, args.domains[0])
            times["of_long"].append(first)
            part = row[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
            soundfile.write(short, part, SAMPLE_RATE)
            first, *_, said = first_piece(client, short, args.domains[0])
            times["of_short"].append(first)
            same = same and text == said
    print(
        json.dumps(
            {
                "requests": len(asks),
                "seconds_of_audio": round(seconds, 1),
                "seconds": {kind: round(median(all_), 2) for kind, all_ in took.items()},
                "ratio": round(median(took["alone"]) / median(took["at_once"]), 2),
                "processor_seconds": {kind: round(median(all_), 2) for kind, all_ in work.items()},
                "processor_ratio": round(median(work["alone"]) / median(work["at_once"]), 2),
                "first_piece_s": {kind: round(median(all_), 3) for kind, all_ in times.items()},
                "first_ratio": round(median(times["of_long"]) / median(times["of_short"]), 2),
                "first_piece_has_s": round(end - start, 1),
                "same_text": same,
            }
        )
    )


if __name__ == "__main__":
    main()
