"""Scorers made from the settings of fusion and rescoring; hashes of their language models."""

from collections.abc import Mapping, Sequence
from typing import Any

from speechllm.data.dirs.forms import Fold
from speechllm.decode.config import DecodeConfig
from speechllm.errors import ConfigError
from speechllm.lm.folder import find_lm, lm_hash, load_lm


def with_places(values: Any, places: Mapping[str, str | None]) -> Any:
    """Config values with `{name}` replaced in all strings.

    Args:
        values: as read from yaml.
        places: replacement of each name; None if it was not given.

    Raises:
        ConfigError: a string uses a name that was not given.
    """
    if isinstance(values, dict):
        return {key: with_places(value, places) for key, value in values.items()}
    if isinstance(values, list):
        return [with_places(value, places) for value in values]
    if not isinstance(values, str):
        return values
    for name, place in places.items():
        if f"{{{name}}}" in values:
            if place is None:
                raise ConfigError(f"'{values}' needs to know {name}", f"give --{name}")
            values = values.replace(f"{{{name}}}", place)
    return values


def lm_names(config: DecodeConfig) -> dict[str, str]:
    """Language models that a config names, by key."""
    names: dict[str, str | None] = {}
    if config.fusion:
        names = {"fusion.lm": config.fusion.lm, "fusion.source_lm": config.fusion.source_lm}
    if config.rescore:
        names["rescore.lm"] = config.rescore.lm
    return {key: name for key, name in names.items() if name is not None}


def knowledge_hashes(config: DecodeConfig) -> dict[str, str]:
    """Hashes of the language models that a config names, by key. Imports no torch.

    Raises:
        ConfigError: a language model does not exist.
    """
    return {key: lm_hash(find_lm(name, key)) for key, name in lm_names(config).items()}


def make_scorers(config: DecodeConfig, model: Any) -> dict[str, list[Any]]:
    """Load the scorers of the search and of rescoring.

    Args:
        config: of the decoding; weights that are null count as 0.
        model: the recogniser, on its device.

    Returns:
        Scorers by section of the config: "fusion", "rescore".
    """
    return {"fusion": _fusion(config, model), "rescore": _rescore(config, model)}


def _fusion(config: DecodeConfig, model: Any) -> list[Any]:
    fusion = config.fusion
    if fusion is None:
        return []
    sources = [_source("lm", fusion.lm, "fusion.lm", fusion.weight, model, fusion.fold)]
    prior = -(fusion.prior_weight or 0.0)
    if fusion.source_lm:
        key = "fusion.source_lm"
        sources.append(_source("prior", fusion.source_lm, key, prior, model, fusion.fold))
    elif fusion.kind == "ilm":
        empty = fusion.slot == "empty"
        begin = [*model.prompt.prefix, *model.prompt.suffix] if empty else [model.prompt.bos]
        sources.append(_own("prior", begin, prior, model))
    _check_fold(fusion.fold, "fusion", sources)
    return sources


def _rescore(config: DecodeConfig, model: Any) -> list[Any]:
    rescore = config.rescore
    if rescore is None:
        return []
    if rescore.lm:
        source = _source("rescore", rescore.lm, "rescore.lm", rescore.weight, model, rescore.fold)
        _check_fold(rescore.fold, "rescore", [source])
        return [source]
    said = model.tokenizer(rescore.prompt, add_special_tokens=False).input_ids
    begin = [model.prompt.bos, *said]
    return [_own("rescore", begin, rescore.weight or 0.0, model, with_end=False)]


def _check_fold(folds: Sequence[Fold], section: str, sources: Sequence[Any]) -> None:
    """Raise ConfigError if words are to be folded, and no language model reads words."""
    if folds and not any(hasattr(source, "ngram") for source in sources):
        raise ConfigError(
            f"{section}.fold: only words of an n-gram can be folded, and the language model reads "
            "tokens",
            f"leave out {section}.fold; train it on text as the recogniser writes it",
        )


def _source(
    name: str, lm: str, key: str, weight: float | None, model: Any, folds: Sequence[Fold]
) -> Any:
    from speechllm.decode.scorers.lm_scorer import LMScorer
    from speechllm.decode.scorers.ngram_scorer import NGramScorer
    from speechllm.lm.ngram import NGram

    loaded = load_lm(find_lm(lm, key), key, model.tokenizer, model.device)
    ends = [model.prompt.eos, *model.prompt.stops]
    if isinstance(loaded, NGram):
        weight, section = weight or 0.0, key.partition(".")[0]
        return NGramScorer(name, loaded, weight, model.tokenizer, ends, folds, lm, section)
    return LMScorer(name, loaded, weight or 0.0, ends)


def _own(name: str, begin: Sequence[int], weight: float, model: Any, with_end: bool = True) -> Any:
    """Scorer by the recogniser's own LLM, as a language model of text."""
    from speechllm.decode.scorers.lm_scorer import LMScorer
    from speechllm.lm.network import CausalNetwork
    from speechllm.lm.token_lm import TokenLM

    lm = TokenLM(CausalNetwork(model.llm), begin, model.prompt.eos, model.device)
    return LMScorer(name, lm, weight, [model.prompt.eos, *model.prompt.stops], with_end)
