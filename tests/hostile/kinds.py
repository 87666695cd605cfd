"""Every kind of input: what is damaged of it, and what reads it."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from speechllm import cli
from tests.hostile import readers
from tests.hostile.inputs import CONF, TABLES

Run = Callable[[list[str]], object]


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        name: of the folder of `make_all` that is copied, and after a dot of what is done with it.
        damage: patterns of the files that are damaged.
        run: what reads them; it is given the overrides.
        may_write: folders.
        keys: of a config; overrides of them are hostile, too.
        command: `run` is a command.
        refused: the undamaged files are, for what stands behind them.
        needs: a package that may not be installed.
    """

    name: str
    damage: tuple[str, ...]
    run: Run
    may_write: tuple[str, ...] = ("out",)
    keys: tuple[str, ...] = ()
    command: bool = False
    refused: bool = False
    needs: str = ""

    @property
    def folder(self) -> str:
        return self.name.partition(".")[0]


def is_there(kind: Kind) -> bool:
    """Whether the package that reads a kind is installed."""
    return not kind.needs or importlib.util.find_spec(kind.needs) is not None


def _command(name: str, damage: str | tuple[str, ...], *words: str, **more: Any) -> Kind:
    damaged = (damage,) if isinstance(damage, str) else damage
    keys = more.get("keys")
    run: Run = lambda given: cli.main([*words, *(given if keys else [])])  # noqa: E731
    return Kind(name, damaged, run, command=True, **more)


def _read(name: str, damage: str | tuple[str, ...], run: Run, **more: Any) -> Kind:
    return Kind(name, (damage,) if isinstance(damage, str) else damage, run, **more)


DATA = tuple(f"data/x/{name}" for name in (*TABLES, "bias_words", "semantics"))
SETS = ("out", "data/x", "data/.x", "data/.backup")
SCORE = (
    "score",
    "--ref",
    "data/x/text",
    "--hyp",
    "hyp/text",
    "--out",
    "out/s",
    "--n_bootstrap",
    "5",
)
RUN_FILES = tuple(f"exp/base/{n}" for n in ("run.json", "train.jsonl", "config.yaml"))
RESULT_FILES = tuple(
    f"exp/base/decode_b4/x/{n}"
    for n in ("text", "decode.json", "hyp.jsonl", "score/wer.json", "score/utterances.plain.tsv")
)
REPORT = ("report", "--exp", "exp", "--out", "out/R.md")

KINDS = [
    _command("data.check", DATA, "data", "check", "data/x", may_write=SETS),
    _command(
        "data.check_full",
        (*DATA, "data/x/audio/*"),
        "data",
        "check",
        "--full",
        "data/x",
        may_write=SETS,
    ),
    _command("data.fix", DATA, "data", "fix", "data/x", may_write=SETS),
    _command("data.subset", DATA, "data", "subset", "1", "data/x", "out/s"),
    _command("data.subset_hours", DATA, "data", "subset", "--hours", "0.0002", "data/x", "out/s"),
    _command("data.split", DATA, "data", "split", "data/x", "2", may_write=SETS),
    _command("data.combine", DATA, "data", "combine", "out/c", "data/x"),
    _command(
        "data.perturb", (*DATA, "data/x/audio/*"), "data", "perturb", "0.9", "data/x", "out/p"
    ),
    _command(
        "data.export_nemo", (*DATA, "data/x/audio/*"), "data", "export", "nemo", "data/x", "out/f"
    ),
    _command("data.export_csv", DATA, "data", "export", "csv", "data/x", "out/f"),
    _command("data.export_lhotse", DATA, "data", "export", "lhotse", "data/x", "out/f"),
    _command(
        "data.export_audio",
        (*DATA, "data/x/audio/*"),
        "data",
        "export",
        "slam",
        "data/x",
        "out/f",
        "--audio_dir",
        "out/a",
    ),
    _command(
        "data.lm",
        "data/x/text",
        "lm",
        "--config",
        str(CONF / "lm/ngram.yaml"),
        "--text",
        "data/x/text",
        "--dev",
        "data/x/text",
        "--exp",
        "out/lm",
        keys=("order", "kind"),
    ),
    _read("data.transcribe", DATA, readers.transcribed),
    _read("data.biasing", ("data/x/biasing", "data/x/bias_words"), readers.bias_lists),
    *(
        _command(f"imports.{name}", f"in/{name}*", "data", "import", name, f"in/{name}", "out/d")
        for name in ("jsonl", "csv", "tsv", "nemo", "slam")
    ),
    _command("imports.lhotse", "in/lhotse/*", "data", "import", "lhotse", "in/lhotse", "out/d"),
    _command("imports.cuts", "in/cuts/*", "data", "import", "lhotse", "in/cuts", "out/d"),
    _command("dataset.import", "in/*", "data", "import", "hf", "in", "out/d", needs="datasets"),
    _command("score.asr", (*DATA, "hyp/text"), *SCORE),
    _command(
        "score.speakers",
        (*DATA, "hyp/text"),
        *SCORE,
        "--by_speaker",
        "--trn",
        "--train_text",
        "data/x/text",
    ),
    _command("score.rules", ("rules.yaml", "hyp/text"), *SCORE, "--normalizer", "rules.yaml"),
    _command(
        "score.slu",
        ("data/x/semantics", "data/x/text", "hyp/answers"),
        "score",
        "--ref",
        "data/x/semantics",
        "--hyp",
        "hyp/answers",
        "--out",
        "out/s",
        "--task",
        "slu",
        "--n_bootstrap",
        "5",
    ),
    _command(
        "score.beside",
        (*DATA, "hyp/text"),
        "compare",
        "hyps",
        "hyp/text",
        "data/x/text",
        "--ref",
        "data/x/text",
        "--n_bootstrap",
        "20",
    ),
    _read(
        "configs.base",
        "conf/standins/base.yaml",
        readers.base,
        keys=(
            "model.projector.downsampling",
            "train.lr",
            "train.steps",
            "train",
            "model",
            "monitor.every",
            "views.audio",
            "model.lora",
            "trainable",
        ),
    ),
    _read(
        "configs.decode",
        "conf/standins/decode/*",
        readers.decode_config,
        keys=(
            "beam",
            "length_penalty",
            "guard",
            "guard.retry",
            "fusion",
            "fusion.grid",
            "biasing",
            "ctc.lexicon",
            "tune.beam",
            "rescore.weight",
        ),
    ),
    _read(
        "configs.method",
        "conf/standins/methods/*",
        readers.method,
        keys=(
            "method",
            "train.lr",
            "train.epochs",
            "noise",
            "noise.word_rate",
            "p",
            "tau",
            "lora",
            "decode.beam",
            "monitor.stop.patience",
        ),
    ),
    _read(
        "configs.lm",
        "conf/standins/lm/*",
        readers.lm_config,
        keys=("kind", "order", "train.steps", "width"),
    ),
    _read(
        "configs.grid",
        ("conf/standins/compare.yaml", "conf/standins/methods/*", "conf/standins/adapt/*"),
        readers.grid,
        keys=("seeds", "budget", "match", "methods", "pairs", "targets", "baseline"),
    ),
    _read("models.arpa", "x.arpa", readers.arpa),
    _read("models.arpa_gz", "x.arpa.gz", readers.arpa_gz),
    _read("models.ark", "feats.*", readers.ark),
    _read("models.older_ark", "older/*", readers.older_ark),
    _read("models.lexicon", "lexicon", readers.lexicon),
    _read("models.phrases", "list", readers.phrases),
    _read("models.tasks", "tasks", readers.tasks),
    _read("bundle.model", "exp/base/model/*", readers.bundles),
    _read(
        "bundle.run",
        (*RUN_FILES, "exp/base/model/*"),
        readers.run_folder,
        may_write=("out", "exp"),
        refused=True,
    ),
    _read("bundle.checkpoint", "exp/base/checkpoint.safetensors", readers.checkpoint),
    _read("bundle.log", "exp/base/train.jsonl", readers.log, may_write=("out", "exp/base")),
    _read("bundle.done", "x.log.done", readers.done),
    _read("bundle.pack", "packed/pack.json", readers.pack),
    _command(
        "bundle.transcribe",
        "packed/pack.json",
        "transcribe",
        "--model",
        "packed",
        "x.wav",
        refused=True,
    ),
    _read("packs.load", "packed/**/*", readers.load_pack),
    _read("packs.signed", "packed/**/*", readers.load_signed_pack, may_write=("out", "packed")),
    _command(
        "packs.transcribe",
        ("data/x/wav.scp", "data/x/segments", "data/x/audio/*"),
        *("transcribe", "--model", "packed", "--device", "cpu", "data/x"),
    ),
    _read(
        "packs.paths",
        "data/x/text",
        readers.named_on_the_command_line,
        keys=(
            *("data check", "data check data/x", "data combine out/c data/x", "transcribe --model"),
            *("transcribe --model packed", "report --out out/R.md --exp", "data split --x"),
            *("data import jsonl", "score --out out/s --ref data/x/text --hyp", "pack --base"),
            *("ctm --out out/x.ctm --decode", "compare report --base", "model inspect"),
        ),
        may_write=SETS,
        command=True,
    ),
    _read("bundle.tuning", "tuning/tuning.json", readers.tuning),
    _read(
        "decoded.claim",
        tuple(f"exp/base/decode_b4/x/{n}" for n in ("settings.json", "hyp.jsonl")),
        readers.claimed,
        may_write=("out", "exp/base/decode_b4/x"),
    ),
    _command("decoded.report", (*RUN_FILES, "exp/base/model/model.json", *RESULT_FILES), *REPORT),
    _command(
        "decoded.html",
        (*RUN_FILES, *RESULT_FILES, *DATA),
        *REPORT,
        "--html",
        "out/html",
        "--data",
        "data",
    ),
    _command(
        "decoded.ctm",
        ("exp/base/decode_b4/x/hyp.jsonl", *DATA),
        "ctm",
        "--decode",
        "exp/base/decode_b4/x",
        "--out",
        "out/x.ctm",
        "--data",
        "data/x",
    ),
    _command(
        "decoded.beside",
        RESULT_FILES,
        "compare",
        "hyps",
        "exp/base/decode_b4/x",
        "data/x/text",
        "--n_bootstrap",
        "5",
    ),
    _command(
        "decoded.score",
        (*RESULT_FILES, "exp/base/model/model.json", *DATA),
        "score",
        "--exp",
        "exp",
        "--data_root",
        "data",
        "--n_bootstrap",
        "5",
        may_write=("out", "exp"),
    ),
    _read(
        "compared.report",
        (
            *("*.yaml", "exp/base/run.json", "exp/base/grid/*/*", "exp/base/**/text"),
            *("exp/base/**/wer.json", "exp/base/**/settings.json", "data/*/*"),
        ),
        readers.compared,
        command=True,
    ),
    _read("corpora.slurp", "slurp/dataset/slurp/*", readers.slurp),
    _read("corpora.massive", "massive/*", readers.massive),
    _read("corpora.parquet", "speech/fr-FR/*", readers.parquet, needs="datasets"),
    _read("corpora.textgrid", "days/transcripts/*", readers.days),
    _read(
        "corpora.grammar",
        ("barista/coffee_maker.yaml", "barista/corpus", "barista/label/*"),
        readers.barista,
    ),
    _read("corpora.calls", ("calls/lists/*", "calls/bank/transcripts/*"), readers.calls),
    _read("corpora.tables", ("pairs.*", "turns.csv", "rare.tsv", "slides.jsonl"), readers.tables),
]
