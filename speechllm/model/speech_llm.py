"""Projector and LLM around the speech slot. The frozen encoder ran before: frames are cached."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechllm.config import LoraConfig, ModelConfig
from speechllm.errors import ConfigError, DataError
from speechllm.model.compute.cpu_layers import pack, with_cpu_layers
from speechllm.model.compute.half import try_out
from speechllm.model.compute.precision import resolve, round_weights
from speechllm.model.embedding_ctc import EmbeddingCtc
from speechllm.model.encoder.encoder import encoder_width
from speechllm.model.fill_slot import Filled, fill_slot, without_positions
from speechllm.model.llm import add_lora, head_sees_only, load_llm, load_tokenizer, merge_lora
from speechllm.model.projector import OwnProjector, Projector
from speechllm.model.soft_prompt import SOFT_PROMPT
from speechllm.model.whole.own_prompt import OwnPrompts, own_prompts
from speechllm.model.whole.whole import load_whole
from speechllm.slot.collate import IGNORED, Batch
from speechllm.slot.prompt import Prompt, make_prompt
from speechllm.slot.text.letters import Letters, tokens_of
from speechllm.slot.text.pieces import Pieces
from speechllm.task import Labels, load_task


@dataclass(frozen=True)
class TokenLoss:
    """Teacher-forced loss of a batch.

    Attributes:
        nll: negative log-likelihood, summed over label positions (nats); carries the gradient.
        tokens: number of label positions.
        correct: number of label positions where the most likely token is the right one.
        parts: terms of `nll`, by name and unweighted, if an objective adds losses to it; summed
            over label positions too. Only for the log.
    """

    nll: Tensor
    tokens: int
    correct: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, logits: Tensor, wanted: Tensor) -> Self:
        """Loss of teacher-forced logits [N, V], given the right ids [N]."""
        return cls(
            nll=functional.cross_entropy(logits, wanted, reduction="sum"),
            tokens=len(wanted),
            correct=(logits.detach().argmax(-1) == wanted).sum(),
        )


class SpeechLLM(nn.Module):
    """frames -> projector -> slot of the prompt -> LLM -> transcript.

    Attributes:
        task: the model's task.
        before: the parent's values of tensors other than LoRA that adaptation trained, by
            parameter name; None if the model was not adapted from another one.
        adapted: weight of its adaptation, from 0 to 1 (speechllm.model.adaptation_weight).
        spell: writes text into the speech slot, as letters or pieces; None uses the tokenizer.
        units: [U] sorted ids of the tokens that speech is read as.
        scaffold: modules that only training needs (soft prompts, temperatures of losses). They
            are part of checkpoints, but never of a bundle: inference does without them.
    """

    def __init__(self, config: ModelConfig):
        """Build the model with its pretrained LLM, and a fresh projector unless it has its own."""
        super().__init__()
        self.task = load_task(config.task)
        self.config = config = self.task.with_prompt(config)
        self.before: dict[str, Tensor] | None = None
        self.adapted = 1.0
        self.tokenizer: Any
        self._own_prompts: OwnPrompts | None = None
        self.projector: Projector | OwnProjector
        if config.speech_llm:
            self.tokenizer, self.prompt, self.llm, self.projector = load_whole(config)
        else:
            self.tokenizer = load_tokenizer(config)
            self.prompt = make_prompt(self.tokenizer, config.prompt, config.chat_template)
            self.llm = load_llm(config)
            self.projector = Projector(
                config.projector,
                encoder_width(config.encoder, config.trust_remote_code),
                self.embedding.weight.shape[1],
            )
        self.spell, self.units = _units(self.tokenizer, self.ctc)
        try_out(self.projector, "projector", "set precision: fp32")
        try_out(self.llm, "model.llm", "set model.llm_dtype: float32 and precision: fp32")
        if config.lora:
            self.llm = add_lora(self.llm, config.lora)
        with_cpu_layers(self)
        self.scaffold = nn.ModuleDict()
        self.labels: Labels = {}
        """Labels in the answers of the training data (speechllm.task)."""

    @property
    def embedding(self) -> nn.Embedding:
        return self.llm.get_input_embeddings()

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    @property
    def soft_length(self) -> int:
        """Number of positions of the soft prompt in the scaffold; 0 if there is none."""
        return len(self.scaffold[SOFT_PROMPT].vectors) if SOFT_PROMPT in self.scaffold else 0

    def prompt_with(self, sentence: str) -> Prompt:
        """Prompt with one more sentence at the end of the user's turn.

        The sentence is data: a special token that is spelled in it is refused, never obeyed.

        Raises:
            DataError: the sentence spells a special token.
            ConfigError: the prompt of this `speech_llm` cannot hold an instruction.
        """
        tokens = self.tokenizer.added_tokens_decoder.values()
        if special := [t.content for t in tokens if t.special and t.content in sentence]:
            raise DataError(
                f"what is to stand in the prompt spells the special token {special[0]}: {sentence}",
                remedy="take it out of the list",
            )
        if self.config.speech_llm:
            self._own_prompts = self._own_prompts or own_prompts(self.config)
            return self._own_prompts.make(sentence)
        text = f"{self.config.prompt} {sentence}"
        return make_prompt(self.tokenizer, text, self.config.chat_template)

    def replace_lora(self, lora: LoraConfig | None) -> None:
        """Fold the present LoRA into the weights and add a fresh one, if one is asked for."""
        self.llm = merge_lora(self.llm)
        if lora:
            self.llm = with_cpu_layers(add_lora(self.llm, lora)).train(self.training)
        self.config = self.config.model_copy(update={"lora": lora})

    def freeze_for_search(self, precision: str) -> None:
        """Make the LLM fast at reading few tokens; it can no longer be trained or saved.

        In float32, LoRA is folded into the weights, and they are laid out for small products. In
        bfloat16, weights are rounded once, and LoRA stays apart, so that hypotheses do not change.

        Args:
            precision: precision of the search: fp32, bf16 or auto.
        """
        if resolve(precision, str(self.device)) == "bf16":
            round_weights(self.llm)
        elif all(p.dtype == torch.float32 for p in self.llm.parameters()):
            self.llm = merge_lora(self.llm)
            pack(self.llm)

    def fill(self, batch: Batch) -> Filled:
        """Embeddings of a batch, with speech and soft prompt in their places."""
        embeddings = self.embedding(batch.input_ids)
        if batch.soft_mask is not None:
            vectors = self.scaffold[SOFT_PROMPT]()
            rows = int(batch.soft_mask.sum()) // len(vectors)
            embeddings = fill_slot(embeddings, batch.soft_mask, vectors.repeat(rows, 1))
        if batch.projected is not None and batch.projected_mask is not None:
            embeddings = fill_slot(embeddings, batch.projected_mask, batch.projected)
        kept = None
        if batch.frames is not None:
            speech = self.projector(batch.frames, batch.frame_lengths)
            if self.ctc:
                lengths = self.speech_lengths(batch)
                speech, kept = self.ctc.read(speech, lengths, self.unit_embeddings)
            embeddings = fill_slot(embeddings, batch.speech_mask, speech)
        if kept is not None:
            return without_positions(embeddings, batch, kept)
        return Filled(embeddings, batch.attention_mask, batch.labels, batch.speech_mask)

    def speech_lengths(self, batch: Batch) -> list[int]:
        """Number of positions that the projector gives each row with speech."""
        return [self.projector.output_length(n) for n in batch.frame_lengths.tolist()]

    @property
    def ctc(self) -> EmbeddingCtc | None:
        """CTC that reads projected speech as tokens; None if the projector has none."""
        return getattr(self.projector, "ctc", None)

    @property
    def known_embeddings(self) -> Tensor:
        """[V, E] embeddings of the tokenizer's tokens; some LLMs have more rows than tokens."""
        return self.embedding.weight[: len(self.tokenizer)]

    @property
    def unit_embeddings(self) -> Tensor:
        """[U, E] embeddings of `units`."""
        known = self.known_embeddings
        return known if len(self.units) == len(known) else known[self.units.to(known.device)]

    def forward(self, batch: Batch) -> TokenLoss:
        """Loss of the transcripts of a batch; only transcript and eos count."""
        return TokenLoss.of(*self.label_logits(batch))

    def label_logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Teacher-forced logits [N, V] and ids [N] of transcripts and eos, row after row."""
        filled = self.fill(batch)  # embeddings [B, L, E], labels [B, L]
        labels = filled.labels[:, 1:]  # [B, L - 1]
        predicts = functional.pad(labels != IGNORED, (0, 1))  # [B, L], i predicts label i + 1
        with head_sees_only(self.llm, predicts):
            logits = self.llm(
                inputs_embeds=filled.embeddings, attention_mask=filled.attention_mask
            ).logits.float()  # [N, V], N positions in `predicts`
        return logits, labels[labels != IGNORED]  # [N, V], [N]

    @torch.inference_mode()
    def snap(self, batch: Batch) -> list[str]:
        """Read projected speech as text: the nearest vocabulary entry of every position.

        Nearest by cosine, as 2601.20900 (section 3) describes it; its released code takes the
        smallest raw dot product instead. With CTC in the projector, CTC's most likely path.

        Returns:
            One string for each row with speech, special tokens left out.
        """
        speech = self.projector(batch.frames, batch.frame_lengths)
        lengths, table = self.speech_lengths(batch), self.known_embeddings
        if self.ctc:
            paths = self.ctc.paths(self.ctc.logits(speech, self.unit_embeddings), lengths)
            rows = [[int(self.units[symbol - 1]) for symbol in path] for path in paths]
        else:
            cosines = (
                functional.normalize(speech, dim=-1) @ functional.normalize(table.float(), dim=-1).T
            )
            rows = cosines.argmax(-1).split(lengths)
        return [self.tokenizer.decode(ids, skip_special_tokens=True) for ids in rows]


def _units(tokenizer: Any, ctc: EmbeddingCtc | None) -> tuple[Letters | Pieces | None, Tensor]:
    """Values of `SpeechLLM.spell` and `SpeechLLM.units`."""
    spell: Letters | Pieces | None = None
    if ctc and ctc.config.units == "letters":
        spell = Letters(tokenizer)
    elif ctc and ctc.config.units == "pieces":
        spell = Pieces(tokenizer, ctc.config.merges)
    # On the CPU, also where the model is built without weights.
    ids = spell.ids if spell else range(len(tokenizer))
    units = torch.tensor(ids, device="cpu")
    if ctc and ctc.config.alphabet:
        tokens = tokens_of(tokenizer, ctc.config.alphabet)
        units = units[torch.isin(units, torch.tensor(tokens, device="cpu"))]
    return spell, units


def set_trainable(model: nn.Module, patterns: tuple[str, ...]) -> list[str]:
    """Train the parameters whose names match one of `patterns`; freeze all others.

    Returns:
        Names of the trained parameters.

    Raises:
        ConfigError: a pattern matches no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(f"trainable: the pattern '{pattern}' matches no parameter")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in patterns))
        if parameter.requires_grad and parameter.dtype != torch.float32:
            parameter.data = parameter.data.float()
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def parameter_table(model: nn.Module) -> str:
    """Table of trained and total parameters of each part, to print."""
    lines = [f"{'part':<12}{'trained':>16}{'total':>16}"]
    sums = [0, 0]
    for part, module in model.named_children():
        if not any(True for _ in module.parameters()):
            continue
        trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
        total = sum(p.numel() for p in module.parameters())
        sums = [sums[0] + trained, sums[1] + total]
        lines.append(f"{part:<12}{trained:>16,}{total:>16,}")
    lines.append(f"{'all':<12}{sums[0]:>16,}{sums[1]:>16,}  ({sums[0] / sums[1]:.2%} trained)")
    return "\n".join(lines)
