"""Finished cells that were never trained: data dirs, hypotheses and logs made up."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from speechllm.compare.grid import BASE, Cell, Grid, arm_name
from speechllm.data.dirs.kaldi import write_data_dir, write_table
from speechllm.experiment import target_set
from speechllm.files.whole import write_json
from speechllm.report.tree import SOURCE_SET

UTTERANCES = 40
CROPS = ("sugar beet", "winter wheat", "rye", "spelt")
WORDS = ("we", "sow", "cut", "the", "field", "in", "spring", "when", "rain", "falls", "on", "soil")
GRID = {
    "methods": {name: {"config": f"conf/methods/{name}.yaml"} for name in ("denoise", "audio")},
    "seeds": [1, 2, 3],
    "budget": 200,
}


class FakeComparison:
    """Builds data and cells below a folder.

    Attributes:
        exp, data: as in a recipe.
        cells: those made so far.
        grid: something that fits.
    """

    def __init__(self, root: Path, targets: Sequence[str] = ("farm",)):
        self.exp, self.data, self.cells = root / "exp", root / "data", []
        self.grid = Grid.model_validate(GRID)
        for name in (SOURCE_SET, *map(target_set, targets)):
            draw = random.Random(name)
            text, entities = {}, {}
            for i in range(UTTERANCES):
                crop = draw.choice(CROPS)
                at = draw.randint(1, 6)
                words = draw.choices(WORDS, k=8)
                text[f"u{i:03d}"] = " ".join([*words[:at], crop, *words[at:]])
                if name != SOURCE_SET:
                    entities[f"u{i:03d}"] = [{"type": "crop", "text": crop}]
            write_data_dir(self.data / name, text=text, entities=entities or None)

    def add(
        self,
        label: str,
        wer: float | Callable[[str], str],
        source: float | Callable[[str], str] = 0.05,
        *,
        target: str = "farm",
        seed: int = 1,
        fraction: float | None = None,
        control_of: str | None = None,
        method: str | None = None,
        hours: float = 0.0,
        log: Sequence[Mapping[str, object]] = (),
        **run: object,
    ) -> Cell:
        """Add a finished cell whose words are wrong with the given probabilities."""
        arm = arm_name(label, fraction)
        folder = self.exp / "base"
        if label != BASE:
            folder = folder / "grid" / f"{arm}_s{seed}_{target}"
        run = {
            "kind": "base" if label == BASE else "adapted",
            "method": method or label,
            "target": target,
            "steps": 200,
            "kept_step": 100,
            "seconds": 12.5,
            "trained_parameters": 1_500_000,
            "audio_hours_target": hours,
            "config": {"train": {"seed": seed}, "monitor": {"watch": "source"}},
            "phases": [{"name": "", "steps": 200}],
            "environment": {"torch": "2.13.0"},
            **run,
        }
        write_json(folder / "run.json", run)
        if log:
            lines = "".join(json.dumps(record) + "\n" for record in log)
            (folder / "train.jsonl").write_text(lines)
        decodings = {}
        for name, rate in ((target_set(target), wer), (SOURCE_SET, source)):
            out = folder / "decode_greedy" / name
            said = read_text(self.data / name / "text")
            write_table(out / "text", misheard(said, rate, f"{arm} {seed} {name}"))
            decodings[name] = out
        matched = (None, None) if label == BASE else ("steps", 200.0)
        cell = Cell(
            label, fraction, seed, target, folder, None, (), *matched, control_of, run, decodings
        )
        self.cells.append(cell)
        return cell

    def add_seeds(self, label: str, wers: Sequence[float | Callable[[str], str]], **more) -> None:
        """Add a cell for each of the WERs, with seeds 1, 2, ..."""
        for seed, wer in enumerate(wers, 1):
            self.add(label, wer, seed=seed, **more)

    def redecode(self, name: str, of: str, wer: float | Callable[[str], str]) -> None:
        """Decode the models of an arm once more, for an arm of that name."""
        for cell in [cell for cell in self.cells if cell.arm == of]:
            decodings = {}
            for test in cell.decodings:
                said = read_text(self.data / test / "text")
                decodings[test] = cell.folder / f"decode_greedy_{name}" / test
                write_table(
                    decodings[test] / "text", misheard(said, wer, f"{name} {cell.seed} {test}")
                )
            arm = {"label": name, "fraction": None, "control_of": None, "decoding_of": of}
            self.cells.append(replace(cell, **arm, decodings=decodings))


def read_text(path: Path) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in path.read_text().splitlines())


def dropping(words: int) -> Callable[[str], str]:
    """Lose the last words of each utterance: so many errors in every one."""
    return lambda said: " ".join(said.split()[: len(said.split()) - words])


def misheard(
    text: Mapping[str, str], rate: float | Callable[[str], str], seed: str
) -> dict[str, str]:
    """Replace words with that probability, or whole utterances by a function of them."""
    if callable(rate):
        return {utt: rate(said) for utt, said in text.items()}
    draw = random.Random(seed)
    return {
        utt: " ".join("x" if draw.random() < rate else word for word in said.split())
        for utt, said in text.items()
    }


def learning(steps: int = 200, best: int = 100, scale: float = 1.0) -> list[dict[str, object]]:
    """A log whose source loss turns upwards after `best`."""
    records: list[dict[str, object]] = []
    for step in range(0, steps + 1, 25):
        source = 0.3 + 0.002 * scale * abs(step - best)
        actions = ["best"] if step <= best else []
        if step == best + 50:
            actions = ["lower_lr", "rollback"]
        if step == steps:
            actions = ["stop"]
        target = 0.2 + 2.0 * scale / (1 + step / 50)
        dev = {"source": {"loss": source}, "target": {"loss": target}}
        records.append({"step": step, "dev": dev, "actions": actions})
        records.append({"step": step, "train": {"loss": target}})
    return records
