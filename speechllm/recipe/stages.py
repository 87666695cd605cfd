"""Stages of a recipe: the commands of each, and the files that it makes."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from speechllm.errors import ConfigError, DataError, did_you_mean
from speechllm.experiment import SOURCE, decode_folder, stem, target_set
from speechllm.files.layout import RUN
from speechllm.recipe.options import Recipe, asks_for
from speechllm.recipe.words import quoted

Words = list[str]


@dataclass(frozen=True)
class Stage:
    """Stage of a recipe.

    Attributes:
        label: its number or, for one that came later, another label.
        name: its name.
        needs: names of the stages whose files it reads.
        about: what it reads and writes.
        commands: its commands, as lists of words.
        outputs: files by which it is known to be done, or patterns of them.
        notes: what it leaves undone.
        as_jobs: whether its commands are jobs that run side by side.
        as_job: whether its command, which runs here otherwise, is a job where there is a cluster.
    """

    label: str
    name: str
    needs: tuple[str, ...]
    about: str
    commands: Callable[[Recipe], Iterable[Words]]
    outputs: Callable[[Recipe], Iterable[str]]
    notes: Callable[[Recipe], Iterable[str]] = lambda recipe: ()
    as_jobs: bool = False
    as_job: bool = False

    @property
    def header(self) -> str:
        return f"== stage {self.label} {self.name}: {self.about}"

    def missing(self, recipe: Recipe) -> list[str]:
        """Files of the stage that are not there."""
        found = self.outputs(recipe)
        return [file for file in found if not os.path.exists(file) and not glob.glob(file)]

    def state(self, recipe: Recipe) -> str:
        """How much of it is done."""
        total, left = len(list(self.outputs(recipe))), len(self.missing(recipe))
        if left == 0:  # of none, too
            return "done"
        return "not done" if left == total else f"{total - left} of {total} done"

    def task_file(self, recipe: Recipe) -> str:
        """File of its commands, where they are jobs."""
        return f"{_logs(recipe)}/{self.name}.tasks"

    def job(self, recipe: Recipe, command: Words) -> Words:
        """Command that runs one of its commands where jobs run."""
        return [*_jobs(recipe), f"{_logs(recipe)}/{self.name}.log", *command]

    def runner(self, recipe: Recipe) -> Words:
        """Command that runs the jobs of the file."""
        logs = f"{_logs(recipe)}/{self.name}.JOB.log"
        return [*_jobs(recipe), "--tasks", self.task_file(recipe), logs]


# ---- parts of commands


def _logs(recipe: Recipe) -> str:
    return f"{recipe.exp}/log"


def _models(recipe: Recipe) -> Words:
    """Options that name the models of the base config."""
    return [word for part, model in recipe.models.items() for word in (f"--{part}", model)]


def _base_model(recipe: Recipe) -> Words:
    changes = [word for change in recipe.base_opts for word in ("--set", change)]
    return ["--config", recipe.base_config, *_models(recipe), *changes]


def _verify(recipe: Recipe) -> Words:
    return ["--verify"] if recipe.verify else []


def _max_time(recipe: Recipe) -> Words:
    return ["--max_time", recipe.max_time] if recipe.max_time else []


def _pipes(recipe: Recipe) -> Words:
    return ["--allow_pipes"] if recipe.allow_pipes else []


def _dump(recipe: Recipe) -> str:
    return f"{recipe.root}dump"


def _grid_report(recipe: Recipe) -> str:
    return f"{recipe.root}RESULTS.{stem(recipe.compare)}.md"


def _jobs(recipe: Recipe) -> Words:
    return [*recipe.jobs_cmd, "--max_jobs_run", str(recipe.nj)]


# ---- commands


def _make_data(recipe: Recipe) -> Iterator[Words]:
    asked = {
        "nj": str(recipe.nj),
        "sets": " ".join(recipe.sets),
        "standins": str(recipe.standins).lower(),
    }
    given = {**recipe.corpus_options, **{o: value for o, value in asked.items() if asks_for(o)}}
    options = [word for option, value in given.items() for word in (f"--{option}", value)]
    yield ["local/data.sh", "--work", recipe.work, *options, *recipe.data_opts]
    for package in recipe.packages:
        yield ["../../utils/pretrained.sh", package, recipe.made_folder(package)]


def _check(recipe: Recipe) -> Iterator[Words]:
    sets = recipe.data(*recipe.sets)
    yield ["speechllm", "data", "check", *_base_model(recipe), *_pipes(recipe), *sets]


def _features(recipe: Recipe) -> Iterator[Words]:
    command = ["speechllm", "features", *_base_model(recipe), "--dump", _dump(recipe)]
    sets = recipe.data(*recipe.audio_sets)
    array = [f"JOB=1:{recipe.nj}", f"{_logs(recipe)}/features.JOB.log"]
    options = ["--job", f"JOB/{recipe.nj}", "--batch_seconds", recipe.batch_seconds]
    options += [*_pipes(recipe), *_verify(recipe)]
    yield [*_jobs(recipe), *array, *command, *options, *sets]
    yield [*command, "--merge", *sets]


def _base(recipe: Recipe) -> Iterator[Words]:
    launch = ["speechllm"]
    if recipe.nproc > 1:
        launch = ["speechllm", "launch", "--nproc", str(recipe.nproc)]
    yield [
        *(*launch, "base", *_verify(recipe), *_max_time(recipe)),
        *("--config", recipe.base_config, *_models(recipe)),
        *("--dump", _dump(recipe), "--train", *recipe.data(*recipe.source_train)),
        *("--dev", *recipe.data(*recipe.source_dev), "--exp", recipe.base, *recipe.base_opts),
    ]


def _left_out(recipe: Recipe) -> Iterator[str]:
    if not recipe.compare:
        for target in recipe.targets:
            for config in recipe.adapt_configs:
                if (target, config) in recipe.left_out:
                    yield f"left out, as {target_set(target, 'train')} is text alone: {config}"


def _adapt(recipe: Recipe) -> Iterator[Words]:
    for model in recipe.adapted:
        target = recipe.data(*recipe.training_sets(model.target))
        yield [
            *("speechllm", "adapt", *_verify(recipe), *_max_time(recipe), "--config", model.config),
            *("--base", recipe.base, "--dump", _dump(recipe)),
            *("--source", *recipe.data(*recipe.source_train)),
            *("--source_dev", *recipe.data(*recipe.source_dev), "--target", *target),
            *("--target_dev", *recipe.data(target_set(model.target, "dev"))),
            *("--exp", model.folder, *model.changes),
        ]


def _lm(recipe: Recipe) -> Iterator[Words]:
    for model in recipe.language_models:
        train, dev = recipe.source_train, recipe.source_dev
        if model.domain != SOURCE:
            train, dev = ((target_set(model.domain, part),) for part in ("train", "dev"))
        yield [
            *("speechllm", "lm", *_verify(recipe), "--config", model.config, "--base", recipe.base),
            *("--text", *recipe.data(*train), "--dev", *recipe.data(*dev), "--exp", model.folder),
        ]


def _decode(recipe: Recipe) -> Iterator[Words]:
    for decoding in recipe.decodings:
        further = ["--tag", decoding.tag] if decoding.arm else []
        if decoding.target:
            dev = recipe.data(target_set(decoding.target, "dev"))
            further = ["--target", decoding.target, "--dev", *dev, "--exp", recipe.exp]
        model = ["--model", decoding.model, "--dump", _dump(recipe)]
        sets = ["--data", *recipe.data(*decoding.sets)]
        command = ["speechllm", "decode", *_verify(recipe), "--config", decoding.config]
        yield [*command, *model, *further, *sets, *decoding.changes]
        if not decoding.target and not recipe.compare:
            yield ["speechllm", "perplexity", *_verify(recipe), *model, *sets]
    for name in recipe.test_sets(*recipe.targets) if recipe.whisper else ():
        yield [  # a command for each: it takes its time
            *(*recipe.whisper_command, *_verify(recipe), "--model", recipe.models["encoder"]),
            *("--tag", stem(recipe.decode_config), "--out", recipe.whisper, *_pipes(recipe)),
            *("--data", *recipe.data(name)),
        ]


def _score(recipe: Recipe) -> Iterator[Words]:
    texts = [f"{folder}/text" for folder in recipe.data(*recipe.source_train)]
    command = ["speechllm", "score", "--data_root", f"{recipe.root}data", "--exp", recipe.exp]
    yield [*command, "--train_text", *texts, *recipe.score_opts]


def _report(recipe: Recipe) -> Iterator[Words]:
    data = f"{recipe.root}data"
    tag = ["--tag", stem(recipe.decode_config)]
    if recipe.compare:  # first: RESULTS.md links those that it finds
        yield [
            *("speechllm", "compare", "report", "--data", data, "--out", _grid_report(recipe)),
            *(*tag, "--targets", *recipe.targets, "--adapt_opts", *recipe.adapt_opts),
            *("--base", recipe.base, "--config", recipe.compare, *recipe.compare_opts),
        ]
    script, *options = recipe.command
    yield [
        *("speechllm", "report", "--exp", recipe.exp, "--out", f"{recipe.root}RESULTS.md"),
        *("--source_sets", *recipe.source_test, "--html", f"{recipe.exp}/report", "--data", data),
        *(*_pipes(recipe), *tag, "--title", f"Results of egs/{recipe.name}"),
        *("--command", quoted([f"./{os.path.basename(script)}", *options]), *recipe.report_opts),
    ]


def _pack(recipe: Recipe) -> Iterator[Words]:
    config, out = recipe.decode_config, f"{recipe.exp}/packed"
    command = ["speechllm", "pack", "--base", recipe.base, "--decode", config, "--out", out]
    yield [*command, *recipe.pack_opts]


# ---- outputs


def _data_files(recipe: Recipe) -> Iterator[str]:
    yield from (f"{folder}/text" for folder in recipe.data(*recipe.sets))
    for part in ("encoder", "llm"):
        model = recipe.models.get(part, "")
        if model.startswith(recipe.made_folder("")):  # though it may be the user who named it
            yield f"{model}/config.json"


def _decoded(recipe: Recipe, file: str) -> Iterator[str]:
    """Files in the folders of hypotheses."""
    for decoding in recipe.decodings:
        yield from (f"{folder}/{file}" for folder in decoding.folders)
    for name in recipe.test_sets(*recipe.targets) if recipe.whisper else ():
        yield f"{recipe.whisper}/{decode_folder(stem(recipe.decode_config))}/{name}/{file}"


STAGES = (
    Stage("1", "data", (), "corpus -> data/<set>/", _make_data, _data_files),
    Stage(
        "2",
        "check",
        ("data",),
        "data/, LLM -> data/<set>/.checked",
        _check,
        lambda recipe: [f"{folder}/.checked" for folder in recipe.data(*recipe.sets)],
    ),
    Stage(
        "3",
        "features",
        ("check",),
        "data/, encoder -> dump/<encoder>/<set>/feats.scp",
        _features,
        lambda recipe: [f"{_dump(recipe)}/*/{name}/feats.scp" for name in recipe.audio_sets],
    ),
    Stage(
        "4",
        "base",
        ("features",),
        "source pairs -> exp/<base>/",
        _base,
        lambda recipe: [f"{recipe.base}/{RUN}"],
        as_job=True,
    ),
    Stage(
        "5",
        "adapt",
        ("features", "base"),
        "base, target text and audio -> exp/<base>/<method>_<target>/",
        _adapt,
        lambda recipe: [f"{model.folder}/{RUN}" for model in recipe.adapted],
        _left_out,
        as_jobs=True,
    ),
    Stage(
        "5b",
        "lm",
        ("base",),
        "text -> exp/lm/<lm>_<target>/",
        _lm,
        lambda recipe: [f"{model.folder}/{RUN}" for model in recipe.language_models],
        as_jobs=True,
    ),
    Stage(
        "6",
        "decode",
        ("features", "adapt", "lm"),
        "models, test sets -> exp/<model>/decode_<tag>/<set>/text",
        _decode,
        lambda recipe: _decoded(recipe, "decode.json"),
        as_jobs=True,
    ),
    Stage(
        "7",
        "score",
        ("decode",),
        "hypotheses -> exp/<model>/decode_<tag>/<set>/score/",
        _score,
        lambda recipe: _decoded(recipe, "score/*.json"),
        as_job=True,
    ),
    Stage(
        "8",
        "report",
        ("score",),
        "exp/ -> RESULTS.md, exp/report/; --compare: RESULTS.<grid>.md",
        _report,
        lambda r: [f"{r.root}RESULTS.md", *([_grid_report(r)] if r.compare else [])],
    ),
    Stage(
        "9",
        "pack",
        ("adapt",),
        "models, their scores -> exp/packed/",
        _pack,
        lambda recipe: [f"{recipe.exp}/packed/pack.json"],
    ),
)


def stages_of(recipe: Recipe) -> tuple[Stage, ...]:
    """Stages that a recipe is asked to run, from `stage` to `stop_stage`.

    Raises:
        ConfigError: there is no such stage, or the last one comes before the first.
    """
    first, last = _place(recipe.stage, recipe), _place(recipe.stop_stage, recipe)
    if STAGES[first].name == "pack" and recipe.stop_stage == "report":
        last = first  # nothing comes after it
    if first > last:
        raise ConfigError(f"stage {recipe.stage} comes after stop_stage {recipe.stop_stage}")
    return STAGES[first : last + 1]


def _place(stage: str, recipe: Recipe) -> int:
    """Place of a stage, given its label or its name."""
    for place, known in enumerate(STAGES):
        if stage in (known.label, known.name):
            return place
    problem = f"unknown stage '{stage}'{did_you_mean(stage, [s.name for s in STAGES])}"
    if stage[:1].isdigit():
        problem = f"there is no stage {stage}, they go from 1 to {STAGES[-1].label}"
    raise ConfigError(problem, f"{recipe.command[0]} --list shows the stages")


def check_input(stage: Stage, recipe: Recipe) -> None:
    """Check that what the stages before have to make is there.

    Raises:
        DataError: a file is missing.
    """
    for need in (known for known in STAGES if known.name in stage.needs):
        for file in need.missing(recipe)[:1]:
            raise DataError(
                f"stage {stage.name} needs {file}, made by stage {need.name}",
                remedy=f"{recipe.command[0]} --stage {need.name}",
            )
