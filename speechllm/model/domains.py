"""One LLM in memory for several domains: their models share the tensors they have in common."""

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from torch import nn

from speechllm.errors import ConfigError, did_you_mean
from speechllm.files.layout import TENSORS
from speechllm.model.bundle import begin_generation, read_bundle, restore_tensors
from speechllm.model.description import bundle_labels
from speechllm.model.speech_llm import SpeechLLM


def check_domain(domain: str, domains: Sequence[str]) -> None:
    """Raise ConfigError, with the nearest name, if there is no such domain."""
    if domain not in domains:
        raise ConfigError(f"the model has no domain '{domain}'{did_you_mean(domain, domains)}")


class DomainSwitch:
    """Gives the model of each of several domains; each is bit-equal to its own `load_bundle`.

    A domain's tensors are read when it is first asked for, and stay in memory. All others are
    shared with the home model. If that has LoRA of its own, the adapted domains share one copy of
    the weights under it, with the LoRA folded in.

    Args:
        model: model of the home domain, from `load_bundle`.
        home: name of the home domain.
        bundles: bundles of the domains adapted from it, by name.

    Attributes:
        domain: the present domain, the last one asked for.
    """

    def __init__(self, model: SpeechLLM, home: str, bundles: Mapping[str, Path]):
        self.home = self.domain = home
        self.bundles = dict(bundles)
        self._models = {home: model}

    @property
    def model(self) -> SpeechLLM:
        """Model of the present domain."""
        return self._models[self.domain]

    @property
    def domains(self) -> list[str]:
        """Names of all domains: home first, then the others, sorted."""
        return [self.home, *sorted(self.bundles)]

    def to(self, domain: str) -> SpeechLLM:
        """Switch to a domain, and return its model.

        Raises:
            ConfigError: there is no such domain.
            DataError: its tensors do not fit the model; the present domain stays what it was.
        """
        check_domain(domain, self.domains)
        if domain not in self._models:
            self._models[domain] = self._adapted(self.bundles[domain])
        self.domain = domain
        return self.model

    def _adapted(self, bundle: Path) -> SpeechLLM:
        config, tensors = read_bundle(bundle)
        model = _twin(self._parent)
        begin_generation(model, config, tensors)
        restore_tensors(model, tensors, bundle / TENSORS)
        model.labels = bundle_labels(bundle) or {}
        return model

    @cached_property
    def _parent(self) -> SpeechLLM:
        """Home model with its LoRA folded in, which the others are adapted from."""
        home = self._models[self.home]
        if not home.config.lora:
            return home
        parent = _twin(home)
        for name, parameter in parent.named_parameters():
            if ".base_layer." in name:  # peft folds in place
                parameter.data = parameter.data.clone()
        parent.replace_lora(None)
        return parent


def _twin(model: SpeechLLM) -> SpeechLLM:
    """Copy the modules of a model, but share the memory of its tensors."""
    shared: list[object] = [model.tokenizer, model.task, model.prompt, *model.buffers()]
    memo = {id(one): one for one in shared}
    own: dict[int, nn.Parameter] = {id(p): copy.copy(p) for p in model.parameters()}
    return copy.deepcopy(model, memo | own)
