"""One LLM in memory for several domains: one domain's changes are undone before the next."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from speechllm.config import ModelConfig
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
    """Switches a loaded model between its domains; each is bit-equal to its own `load_bundle`.

    Pretrained weights stay where they are. Of the base, only what a domain changes is kept aside:
    parameters that it trained, and the weights under the base's own LoRA, which is folded into
    them first. Subtracting the folded LoRA would leave rounding errors, hence the copies.

    Args:
        model: model of the home domain, from `load_bundle`.
        home: name of the home domain.
        bundles: bundles of the domains adapted from it, by name.
    """

    def __init__(self, model: SpeechLLM, home: str, bundles: Mapping[str, Path]):
        self.model = model
        self.home = home
        self.bundles = dict(bundles)
        self.domain = home
        self._home_config, self._home_labels = model.config, model.labels
        self._home_before = model.before
        self._home_lora: dict[str, Tensor] = {}
        self._replaced: list[tuple[nn.Parameter, Tensor]] = []

    @property
    def domains(self) -> list[str]:
        """Names of all domains: home first, then the others, sorted."""
        return [self.home, *sorted(self.bundles)]

    def to(self, domain: str) -> SpeechLLM:
        """Switch the model to a domain, and return it.

        Raises:
            ConfigError: there is no such domain.
            DataError: its tensors do not fit the model; the model is then the home domain's.
        """
        check_domain(domain, self.domains)
        if domain == self.domain:
            return self.model
        generation = None if domain == self.home else read_bundle(self.bundles[domain])
        if self.domain != self.home:
            self._leave()
        if generation:
            self.domain = domain
            try:
                self._enter(*generation)
                self.model.labels = bundle_labels(self.bundles[domain]) or {}
            except BaseException:
                self._leave()
                raise
        return self.model

    def _enter(self, config: ModelConfig, tensors: Mapping[str, Tensor]) -> None:
        if self._home_config.lora:
            for name, parameter in self.model.named_parameters():
                if ".lora_" in name:
                    self._home_lora[name] = parameter.data
                elif ".base_layer." in name:  # peft folds in place, so a reference would not do
                    self._replaced.append((parameter, parameter.data.to("cpu", copy=True)))
        begin_generation(self.model, config, tensors)
        parameters = dict(self.model.named_parameters())
        before = self.model.before or {}
        self._replaced += [(parameters[name], tensor) for name, tensor in before.items()]
        restore_tensors(self.model, dict(tensors), self.bundles[self.domain] / TENSORS)

    def _leave(self) -> None:
        if hasattr(self.model.llm, "unload"):
            self.model.llm = self.model.llm.unload()
        while self._replaced:  # the last change first
            parameter, before = self._replaced.pop()
            parameter.data = before.to(parameter.device)
        if self._home_lora:
            self.model.replace_lora(self._home_config.lora)
            restore_tensors(self.model, self._home_lora, Path(self.home))
            self._home_lora = {}
        self.model.config, self.model.labels = self._home_config, self._home_labels
        self.model.before = self._home_before
        self.domain = self.home
