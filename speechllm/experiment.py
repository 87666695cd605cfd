"""Names of an experiment: its sets, models and decodings, and what a name says.

    data/<target>_<part>/                        a set of a target domain: train, dev, test ...
    exp/<base>/                                  the base model, named by its config
    exp/<base>/<method>_<target>/                a model adapted from it
    exp/<base>/<grid>/<arm>_s<seed>_<target>/    a cell: a model of a grid
    exp/lm/<lm>_<target>/                        a language model; <lm>_source is the source's
    <model>/decode_<tag>/<set>/                  hypotheses; the tag names the config of the search,
                                                 and the arm of a grid that changes it

Nothing but the standard library is needed here: a recipe lists its stages before there is an
environment.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from speechllm.files.layout import CONFIG, RUN

HYPOTHESES = "decode_*/*/text"
"""Pattern of a model's files of hypotheses."""
SOURCE = "source"
"""Domain of the base model, in the names of language models."""
_TEST = "test"


def stem(config: str | Path) -> str:
    """Name that a config gives to what is made by it."""
    return Path(config).stem


def target_set(target: str, part: str = _TEST) -> str:
    """Name of a target's set; by default that on which its models are compared."""
    return f"{target}_{part}"


def target_of(name: str) -> str | None:
    """Target whose models are compared on a set; None if the set's name does not say so."""
    target, _, part = name.rpartition("_")
    return target if part == _TEST and target else None


def is_set_of(target: str, name: str) -> bool:
    """Whether a set is one of a target's, by its name."""
    return name.startswith(target_set(target, ""))


def adapted_name(method: str, target: str) -> str:
    """Name of the folder of an adapted model; a language model's is made alike."""
    return f"{method}_{target}"


def method_of(folder: str, target: str | None) -> str:
    """Name of the config that an adapted model's folder is named by."""
    return folder.removesuffix(f"_{target}" if target else "")


def grid_folder(base: Path, config: Path) -> Path:
    """Folder of the cells of a grid's config."""
    return base / stem(config)


def cell_name(arm: str, seed: int, target: str) -> str:
    """Name of the folder of a grid's cell.

    Args:
        arm: arm that it is one run of.
        seed: its seed of training.
        target: its domain.
    """
    return adapted_name(f"{arm}_s{seed}", target)


def is_cell(folder: Path) -> bool:
    """Whether a model is a grid's cell: the grid's folder lies between it and the base."""
    return not (folder.parent / CONFIG).exists() and (folder.parent.parent / CONFIG).exists()


def runs_below(base: Path, pattern: str = "*") -> list[Path]:
    """Records (run.json) of finished models in a base's folder, by pattern; cells are `*/*`."""
    return sorted(base.glob(f"{pattern}/{RUN}"))


def arm_tag(tag: str, arm: str | None) -> str:
    """Tag of the decodings of a grid's arm that changes the search of `tag`."""
    return f"{tag}_{arm}" if arm else tag


def decode_folder(tag: str) -> str:
    """Name of the folder of a model's decodings."""
    return f"decode_{tag}"


def tag_of(folder: str) -> str:
    """Tag of the decodings in a folder of that name."""
    return folder.removeprefix("decode_")


@dataclass(frozen=True)
class PlannedModel:
    """Adapted model that an experiment makes.

    Attributes:
        folder: its folder.
        config: config of the method.
        target: its domain.
        changes: changes of the config, as key=value.
    """

    folder: str
    config: str
    target: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedLM:
    """Language model that an experiment makes: its folder, its config and its domain."""

    folder: str
    config: str
    domain: str


@dataclass(frozen=True)
class PlannedDecoding:
    """Decoding of a model on some test sets.

    Attributes:
        model: folder of the model.
        sets: names of the sets.
        config: config of the search.
        target: domain that a further way to decode is for; None for the usual way.
        arm: arm of a grid that changes the search.
        changes: those changes, as key=value.
    """

    model: str
    sets: tuple[str, ...]
    config: str
    target: str | None = None
    arm: str | None = None
    changes: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        return arm_tag(stem(self.config), self.arm)

    @property
    def folders(self) -> list[str]:
        """Folder of each set's hypotheses."""
        return [f"{self.model}/{decode_folder(self.tag)}/{name}" for name in self.sets]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Experiment of a recipe: what it learns from, trains and decodes.

    Attributes are options of run.sh, under the names that utils/recipe.sh explains, and two more.

    Attributes:
        cells: models of a grid, in the place of `adapt_configs`.
        redecoded: decodings that a grid changes.
    """

    work: str
    source_train: tuple[str, ...]
    source_dev: tuple[str, ...]
    source_test: tuple[str, ...]
    targets: tuple[str, ...]
    target_train: tuple[str, ...]
    target_test: tuple[str, ...]
    base_config: str
    adapt_configs: tuple[str, ...]
    need_audio: tuple[str, ...]
    decode_config: str
    lm_configs: tuple[str, ...]
    extra_decode_configs: tuple[str, ...]
    extra_decode_models: tuple[str, ...]
    adapt_opts: tuple[str, ...]
    cells: tuple[PlannedModel, ...] | None = None
    redecoded: tuple[PlannedDecoding, ...] = ()

    @property
    def root(self) -> str:
        """Beginning of paths: the folder `work` and a slash; nothing for the recipe's own."""
        return "" if self.work == "." else f"{self.work.removesuffix('/')}/"

    @property
    def exp(self) -> str:
        return f"{self.root}exp"

    @property
    def base(self) -> str:
        """Folder of the base model."""
        return f"{self.exp}/{stem(self.base_config)}"

    def adapted_folder(self, method: str, target: str) -> str:
        """Folder of the model that a method's config makes for a target."""
        return f"{self.base}/{adapted_name(method, target)}"

    def data(self, *sets: str) -> list[str]:
        """Data dirs of sets."""
        return [f"{self.root}data/{name}" for name in sets]

    def training_sets(self, target: str) -> list[str]:
        """Names of the sets that adaptation to a target learns from."""
        return [target_set(target, part) for part in self.target_train]

    def test_sets(self, *targets: str) -> tuple[str, ...]:
        """Names of the test sets of the source and of targets."""
        return (*self.source_test, *(target_set(t, p) for t in targets for p in self.target_test))

    @property
    def sets(self) -> list[str]:
        """Names of all sets."""
        found = [*self.source_train, *self.source_dev, *self.source_test]
        for target in self.targets:
            tests = (target_set(target, part) for part in self.target_test)
            found += [*self.training_sets(target), target_set(target, "dev"), *tests]
        return found

    @property
    def audio_sets(self) -> list[str]:
        """Names of the sets that have audio or, as they are not made yet, may have some."""
        return [
            name
            for name, folder in zip(self.sets, map(Path, self.data(*self.sets)), strict=True)
            if (folder / "wav.scp").exists() or not (folder / "text").exists()
        ]

    @cached_property
    def left_out(self) -> set[tuple[str, str]]:
        """Targets and configs that do not go together: the target's training set is text alone."""
        found = set()
        for target in self.targets:
            (train,) = map(Path, self.data(target_set(target, "train")))
            if (train / "text").exists() and not (train / "wav.scp").exists():
                found |= {(target, c) for c in self.adapt_configs if stem(c) in self.need_audio}
        return found

    @property
    def adapted(self) -> tuple[PlannedModel, ...]:
        """Adapted models: the grid's, or one of each config for each target."""
        if self.cells is not None:
            return self.cells
        return tuple(
            PlannedModel(self.adapted_folder(stem(config), target), config, target, self.adapt_opts)
            for target in self.targets
            for config in self.adapt_configs
            if (target, config) not in self.left_out
        )

    @property
    def language_models(self) -> Iterator[PlannedLM]:
        """Language models that further ways to decode name, as {exp}/lm/<lm>_{target}."""
        texts = [Path(c).read_text(errors="replace") for c in self.extra_decode_configs]
        for config in self.lm_configs:
            for domain in (SOURCE, *self.targets):
                said = SOURCE if domain == SOURCE else "{target}"
                if any(f"{{exp}}/lm/{adapted_name(stem(config), said)}" in text for text in texts):
                    folder = f"{self.exp}/lm/{adapted_name(stem(config), domain)}"
                    yield PlannedLM(folder, config, domain)

    @property
    def decodings(self) -> Iterator[PlannedDecoding]:
        """Decodings: of the base on all test sets, of an adapted model on its target's and the
        source's; then those that a grid changes, and further ways to decode target domains."""
        yield PlannedDecoding(self.base, self.test_sets(*self.targets), self.decode_config)
        for model in self.adapted:
            yield PlannedDecoding(model.folder, self.test_sets(model.target), self.decode_config)
        yield from self.redecoded
        for target in self.targets:
            for config in self.extra_decode_configs:
                adapted = (self.adapted_folder(m, target) for m in self.extra_decode_models)
                for model in (self.base, *adapted):
                    yield PlannedDecoding(model, (target_set(target),), config, target)
