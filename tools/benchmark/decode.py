"""This build's search against `generate` of transformers: utterances in a second.

Both are given the same frames and weights, batches, beam and bounds, and read speech by the same
code. The baseline's LLM is as transformers and peft load it: torch's layers, attention of their
choice, in bf16 with weights kept in it. In float32 both must write the same texts; a text that
differs counts as a tie where the two are equally likely but for rounding.
"""

import argparse
from typing import Any

from turns import BUILD, Worker, at_work, figure, medians

BEAMS = {4: "beam 4", 1: "greedy"}
BATCHES = (1, 4, 16)
TIE = 1e-4  # nats


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Beam and greedy search in batches of each size, the two searches in turn."""
    return [row for dtype in args.dtypes for row in _rows(args, dtype)]


def _rows(args: argparse.Namespace, dtype: str) -> list[dict[str, Any]]:
    settings = {
        "bundle": str(args.bundle),
        "pretrained": {"encoder": str(args.encoder), "llm": str(args.llm)},
        "data": str(args.set),
        "utterances": args.utterances,
        "dtype": dtype,
    }
    workers = {
        way: Worker("decode_worker.py", BUILD, args.threads, {**settings, "way": way})
        for way in ("transformers", "search")
    }
    rows = []
    with at_work(workers):
        for beam in BEAMS:
            for batch in BATCHES:
                rates = medians(workers, args.rounds, beam=beam, batch=batch)
                what = f"{BEAMS[beam]}, batch {batch}"
                row = figure("decode", what, dtype, rates["transformers"], rates["search"], "utt/s")
                before, now = workers["transformers"].said, workers["search"].said
                row["rtfx"] = {way: row[way] * now["mean_seconds"] for way in ("before", "now")}
                rows.append(row | _compared(args, settings, beam, before["ids"], now["ids"]))
                _check(rows[-1])
    return rows


def _compared(
    args: argparse.Namespace, settings: dict[str, Any], beam: int, before: dict, now: dict
) -> dict[str, Any]:
    """How many texts are equal; the others, and by how many nats one of two is likelier."""
    pairs = {utt: [before[utt], ids] for utt, ids in now.items() if before[utt] != ids}
    apart = []
    if pairs:
        judge = Worker("decode_judge.py", BUILD, args.threads, {**settings, "pairs": pairs})
        with at_work({"judge": judge}):
            judge.turn(beam=beam)
        apart = judge.said
    equal, ties = len(now) - len(apart), sum(pair["nats"] < TIE for pair in apart)
    note = f"{equal} of {len(now)} texts equal" + (f", {ties} ties" if ties else "")
    return {"texts": {"equal": equal, "of": len(now), "ties": ties, "apart": apart}, "note": note}


def _check(row: dict[str, Any]) -> None:
    """Raise SystemExit where float32 has texts that differ by more than rounding."""
    apart = [pair for pair in row["texts"]["apart"] if pair["nats"] >= TIE]
    if row["dtype"] == "fp32" and apart:
        raise SystemExit("\n".join([f"decode, {row['what']}: texts differ", *map(str, apart)]))
