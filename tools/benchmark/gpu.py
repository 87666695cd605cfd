#!/usr/bin/env python3
"""How much of a GPU this build uses, in minutes and without a network.

    tools/benchmark/gpu.py --shape large --work DIR

makes random weights of the shapes of WavLM-Large and Llama-3.2-3B and noise as audio (11 GB in
DIR), measures stage 3, LoRA training and beam search through the product's own code, prints a table
and writes DIR/gpu.json. It takes at most 8 minutes: each case runs in a process of its own under a
limit of its own, and what it has found by then is kept. `--shape tiny` tries it out anywhere.

Where nothing can be installed from a network, these packages have to be brought along as wheels, as
far as they are not there (setup.py has the versions): torch, transformers, peft, accelerate,
tokenizers, safetensors, numpy, soundfile, soxr, kaldiio, pydantic, jiwer, rapidfuzz, pyyaml, rich,
and what these need. PYTHONPATH may hold them.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from gpu_common import Settings

BUILD = Path(__file__).resolve().parents[2]
CASE = Path(__file__).with_name("gpu_case.py")
LIMITS = {"make": 100, "matmul": 40, "features": 100, "step": 100, "decode": 140}
"""Cases, each a module gpu_<case> beside this one, and their seconds: 8 minutes in all."""
DEFAULTS = {
    "large": dict(seconds=15, batch_seconds=800, batch_positions=16000, decode_positions=240000),
    "tiny": dict(seconds=0.2, batch_seconds=4, batch_positions=400, decode_positions=2000),
}
"""Of options by shape; of `large` for a GPU of 139 GiB."""


def parse() -> tuple[Settings, list[str], float]:
    """Settings, the cases, and by how much their limits are multiplied."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", required=True, type=Path, help="folder for all that is made")
    parser.add_argument("--shape", choices=DEFAULTS, default="large")
    parser.add_argument("--cases", nargs="+", choices=LIMITS, default=list(LIMITS))
    parser.add_argument("--seconds", type=float, help="of a measurement (large: 15)")
    parser.add_argument("--batch_seconds", type=float, help="audio of a batch (large: 800)")
    parser.add_argument("--batch_positions", type=int, help="of training (large: 16000)")
    parser.add_argument("--decode_positions", type=int, help="of the search (large: 240000)")
    parser.add_argument("--beam", type=int, default=4, help="of the search (%(default)s)")
    parser.add_argument(
        "--tokens_per_second",
        type=float,
        default=4.0,
        help="words of transcripts and bound of hypotheses, as in real speech (%(default)s)",
    )
    parser.add_argument("--profile", action="store_true", help="write DIR/<case>.profile.txt")
    parser.add_argument("--patience", type=float, default=1.0, help="times the limits of cases")
    args = vars(parser.parse_args())
    cases, patience = args.pop("cases"), args.pop("patience")
    given = {name: value for name, value in args.items() if value is not None}
    settings = Settings(**DEFAULTS[args["shape"]] | given | {"work": args["work"].resolve()})
    return settings, cases, patience


class Run:
    """What was found so far, always on disk as well.

    Args:
        settings: of all cases.
    """

    def __init__(self, settings: Settings):
        self.settings, self.started = settings, time.monotonic()
        options = {k: v for k, v in asdict(settings).items() if k not in ("work", "rate")}
        self.found: dict[str, Any] = {"options": options, "cases": {}, "figures": []}

    def case(self, name: str, limit: float) -> None:
        """Run a case until it ends or `limit` seconds are over."""
        began = time.monotonic()
        self.say(name, f"begins; it has {limit:.0f} s")
        settings = replace(self.settings, rate=self.seen("matmul bf16"))
        values = json.dumps(asdict(settings) | {"work": str(settings.work)})
        command = [sys.executable, str(CASE), name, values]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=_environment()
        ) as process:
            clock = threading.Timer(limit, process.kill)
            clock.start()
            for line in process.stdout:
                self._hear(name, line.strip())
            process.wait()
            is_over = not clock.is_alive()
            clock.cancel()
        how = "ok" if process.returncode == 0 else f"exit code {process.returncode}"
        how = "killed at its limit" if is_over and process.returncode else how
        self.found["cases"][name] = {"how": how, "seconds": time.monotonic() - began}
        self._write()
        self.say(name, how)

    def seen(self, what: str) -> float | None:
        """A figure that is there already."""
        return next((f["seen"] for f in self.found["figures"] if f["what"] == what), None)

    def say(self, case: str, text: str) -> None:
        """A line of progress with the seconds so far."""
        print(f"{time.monotonic() - self.started:6.1f} s  {case}: {text}", flush=True)

    def table(self) -> str:
        """Figures, and what is asked."""
        rows = [f"{'':<50} {'seen':>10} {'asked':>9}"]
        for figure in self.found["figures"]:
            asked = "" if figure["asked"] is None else f">= {figure['asked']:g}"
            rows.append(
                f"{figure['what']:<50} {figure['seen']:>10.4g} {asked:>9} {figure['unit']}".rstrip()
            )
        return "\n".join(rows)

    def _hear(self, case: str, line: str) -> None:
        told = json.loads(line) if line.startswith('{"f') else {}
        if figure := told.get("figure"):
            figures = self.found["figures"]
            kept = [f for f in figures if f["what"] != figure["what"]]
            self.found["figures"] = [*kept, {"case": case, **figure}]
            self._write()
            self.say(case, f"{figure['what']} {figure['seen']:.4g} {figure['unit']}".rstrip())
        elif fact := told.get("fact"):
            self.found |= fact
        elif line:
            self.say(case, line)

    def _write(self) -> None:
        path = self.settings.work / "gpu.json"
        path.write_text(json.dumps(self.found, indent=2) + "\n")


def _environment() -> dict[str, str]:
    """In which this build is imported; what was brought along on PYTHONPATH is still found."""
    paths = [str(BUILD), *filter(None, [os.environ.get("PYTHONPATH")])]
    quiet = {"PYTHONWARNINGS": "ignore", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **quiet, "PYTHONPATH": os.pathsep.join(paths)}


def main() -> None:
    settings, cases, patience = parse()
    settings.work.mkdir(parents=True, exist_ok=True)
    run = Run(settings)
    for name in cases:
        run.case(name, LIMITS[name] * patience)
    print(run.table())
    failed = [name for name in cases if run.found["cases"][name]["how"] != "ok"]
    if failed:
        raise SystemExit(f"not all was measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
