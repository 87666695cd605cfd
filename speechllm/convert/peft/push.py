"""Upload of adapters and merged models: a repository of the hub for each domain."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from speechllm.config import ModelConfig
from speechllm.convert.peft.card import hub_name
from speechllm.errors import ConfigError
from speechllm.pack.card_header import CardFacts, told_name
from speechllm.pack.files import MODEL
from speechllm.pack.hub import is_model_id
from speechllm.pack.push import push

HERE = "<this folder>"


def facts_of_each(
    configs: Mapping[str, ModelConfig], facts: CardFacts | None, is_whole: bool
) -> dict[str, CardFacts]:
    """Facts for each domain's card; its name is owner/name-domain if the models are pushed.

    Args:
        configs: settings of the model of each domain.
        facts: facts for all; their name is the target of the push, or `HERE`.
        is_whole: the models stand on no other one.

    Raises:
        ConfigError: a domain cannot be part of an id, or what is pushed would refer to a folder of
            this machine.
    """
    facts = facts or CardFacts(HERE)
    if facts.name == HERE:
        return dict.fromkeys(configs, facts)
    for domain, config in configs.items():
        if not is_model_id(_id(facts.name, domain)):
            raise ConfigError(
                f"--push: '{_id(facts.name, domain)}' is no hub id",
                f"leave the domain {domain} out with --models",
            )
        if not is_whole and hub_name(config, facts) is None:
            raise ConfigError(
                f"--push: {domain} is an adapter of the folder {told_name(config.text_model)}, "
                "which nobody else has",
                "give that model's id on the hub with --base_model, or write it merged: --merge",
            )
    return {d: dataclasses.replace(facts, name=_id(facts.name, d)) for d in configs}


def push_each(out: Path, domains: Iterable[str], target: str, public: bool = False) -> list[str]:
    """Upload the folder of each domain to the repository owner/name-domain; see `push`.

    Args:
        out: folder of the domains' folders.
        domains: the domains.
        target: owner/name.
        public: let everybody read new repositories.

    Returns:
        URLs of the commits.
    """
    return [push(out / domain, _id(target, domain), MODEL, public) for domain in domains]


def _id(target: str, domain: str) -> str:
    return f"{target}-{domain}"
