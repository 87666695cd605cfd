"""Settings of decoding: the search, and each kind of knowledge that may help it."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from speechllm.config import Fraction, PositiveInt, Section
from speechllm.data.dirs.forms import Folding
from speechllm.decode.guard import GuardConfig, RetryConfig


def _has_one_place(template: str) -> str:
    if template.count("{}") != 1 or template.count("{") != 1 or template.count("}") != 1:
        raise ValueError("the template must hold {} once, for the words, and no other brace")
    return template


Template = Annotated[str, AfterValidator(_has_one_place)]
"""What is added to a prompt; {} stands for the words, joined by commas."""


class HotwordsConfig(Section):
    """Bias lists in the prompt, shortened by what a rough transcript is like (2411.06437)."""

    template: Template = "Some hotwords might help. The hotwords are {}."
    filter: Literal["first_pass", "ctc", "none"] = "first_pass"
    """Whose rough transcript: a greedy search without the list, or the encoder's CTC head; `none`
    takes lists whole, and none longer than `most`."""
    most: PositiveInt = 20
    """Words and phrases in a prompt."""
    least: Fraction = 0.5
    """Likeness to some stretch of the rough transcript (speechllm.slot.text.hotwords)."""


class TrieConfig(Section):
    """Bias lists as a prefix tree in the beam (speechllm.decode.biasing.trie_boost)."""

    boost: Annotated[float, Field(ge=0)] | None = 1.0
    """Nats for every token along a phrase; null: chosen on `--dev` sets, by WER."""
    grid: Annotated[tuple[float, ...], Field(min_length=1)] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
    """What `boost: null` tries."""
    tune_utterances: PositiveInt = 200
    """Dev utterances that it decodes for each of them, at most."""


class BiasingConfig(Section):
    """What is done with the bias lists of a data dir; sets without any are decoded as without."""

    prompt: HotwordsConfig | None = None
    trie: TrieConfig | None = None
    fold: Folding = ()
    """Forms that entries are brought into first, so that they are as the model writes: lower or
    upper, punctuation (which is left out), nfc."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.prompt is None and self.trie is None:
            raise ValueError("give prompt or trie or both")
        return self


class SpellingConfig(Section):
    """How words are spelled in the symbols of the encoder's CTC head."""

    accent: str = "en-us"
    """Of espeak, for a head of phones."""
    lexicon: str | None = None
    """File of lines `word symbol symbol ...` instead."""
    fold: Folding = ()
    """Forms that words are brought into before the lexicon is asked for them."""

    @model_validator(mode="after")
    def _folds_for_a_lexicon(self) -> Self:
        if self.fold and not self.lexicon:
            raise ValueError("fold is of words that a lexicon is asked for: give lexicon")
        return self


Weight = Annotated[float, Field(ge=0)]
Grid = Annotated[tuple[Weight, ...], Field(min_length=1)]


class FusionConfig(Section):
    """A language model inside the beam search (docs/decoding.md#fusion)."""

    kind: Literal["shallow", "density_ratio", "ilm"]
    """score + weight x log p_lm; the last two also - prior_weight x log p_prior, the prior being
    that of `source_lm`, or of the recogniser's own LLM without speech."""
    lm: str
    """Folder of `speechllm lm`, ARPA file of words, folder or hub id of a causal LM on the
    recogniser's tokens. `{target}` stands for the name of the target, `{exp}` for the recipe's
    folder exp."""
    weight: Weight | None = None
    """null: the one of `grid` that has the lowest WER on the target's dev set."""
    grid: Grid = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    source_lm: str | None = None
    """Of density_ratio: the same as `lm`, of source text."""
    slot: Literal["empty", "no_prompt"] = "empty"
    """Of ilm: what the LLM is given instead of speech: its prompt with nothing in the slot, or
    nothing at all."""
    prior_weight: Weight | None = None
    """null: tuned like `weight`."""
    prior_grid: Grid = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
    fold: Folding = ()
    """Forms that words are brought into before n-grams are asked for them: lower or upper,
    punctuation (which is left out), nfc."""

    @property
    def has_prior(self) -> bool:
        return self.kind != "shallow"

    @model_validator(mode="after")
    def _source_lm_where_it_is_used(self) -> Self:
        if (self.kind == "density_ratio") != (self.source_lm is not None):
            raise ValueError("density_ratio needs a source_lm, and no other kind has one")
        if self.kind == "shallow" and self.prior_weight is not None:
            raise ValueError("shallow has no prior, so no prior_weight")
        return self


class RescoreConfig(Section):
    """Another choice among the N-best hypotheses, once the search is over."""

    kind: Literal["lm", "prompt"]
    """score + weight x log p, under a language model, or under the recogniser's own LLM that is
    told in words what is spoken about (2306.16007)."""
    lm: str | None = None
    """As in fusion."""
    fold: Folding = ()
    """As in fusion."""
    prompt: str | None = None
    """Stands in front of every hypothesis; `{target}` in it is replaced, too."""
    weight: Weight | None = None
    """null: tuned on the target's dev set."""
    grid: Grid = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)

    @model_validator(mode="after")
    def _what_its_kind_needs(self) -> Self:
        if self.fold and self.kind != "lm":
            raise ValueError("fold is of an lm of words")
        given = {"lm": self.lm, "prompt": self.prompt}
        for kind, value in given.items():
            if (kind == self.kind) != (value is not None):
                raise ValueError(f"give {self.kind}, and nothing of the other kind")
        return self


class JointCtcConfig(Section):
    """The projector's CTC inside the search (speechllm.decode.scorers.joint_ctc): score + weight x
    log p of the speech being read so. For transcripts, of models whose base had a `warm_start`."""

    weight: Annotated[float, Field(gt=0)] = 0.5
    candidates: PositiveInt = 40
    """Next tokens that are scored: the likeliest by the LLM. No other can come next."""


class TuneConfig(Section):
    """How the dev set is decoded to tune weights: once."""

    beam: PositiveInt = 8
    """Hypotheses of each utterance that the weights choose from."""
    fusion_weight: Weight = 0.3
    """Weight of `fusion.lm` in that search. With 0, the lists lack what only fusion would find, and
    the weights chosen from them are too low (docs/decoding.md)."""
    utterances: PositiveInt | None = None
    """Only so many utterances of the dev set, the first ones; null: all."""


class DecodeConfig(Section):
    """Beam search. `max_tokens_per_second` bounds an utterance's hypothesis by its duration."""

    beam: PositiveInt = 4
    nbest: PositiveInt = 1
    """Hypotheses kept of each utterance, at most `beam`; more than one also writes nbest.jsonl."""
    batch_positions: PositiveInt = 4000
    """Budget of a batch: utterances x beam x longest sequence, in LLM positions."""
    max_tokens_per_second: Annotated[float, Field(gt=0, le=1000)] = 15.0
    min_tokens: PositiveInt = 10
    """Every utterance may have at least so many tokens."""
    constrained: bool = False
    """Let the search write only answers of the form and of the labels that the task knows."""
    length_penalty: Annotated[float, Field(ge=-10, le=10)] = 1.0
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    no_repeat_ngram: Annotated[int, Field(ge=0, le=1000)] = 0
    """If above 0, no n-gram of so many tokens comes twice in a hypothesis."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    guard: GuardConfig | None = GuardConfig()
    """Loops, refusals, empty output, copied prompts: found, tried again, and told."""
    adapted: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How much of what adaptation changed counts; 0 is the base (speechllm.model.between)."""
    speech_temperature: Annotated[float, Field(ge=0.01, le=100)] | None = None
    """In place of `model.projector.ctc.temperature`, for vectors `expected` (LegoSLM, 2505.11352):
    above it, the LLM is trusted more than the ear. null: as in training."""
    biasing: BiasingConfig | None = None
    confidence: bool = False
    """Score words and utterances by a second pass over each hypothesis."""
    confidence_temperature: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    """What that pass divides logits by."""
    word_times: Literal["none", "auto", "ctc", "attention"] = "none"
    """By the encoder's CTC head, or by the LLM's attention; auto: by the first that there is."""
    ctc: SpellingConfig = SpellingConfig()
    joint_ctc: JointCtcConfig | None = None
    fusion: FusionConfig | None = None
    rescore: RescoreConfig | None = None
    tune: TuneConfig = TuneConfig()

    def safer(self, retry: RetryConfig) -> Self:
        """The settings of the guard's second search."""
        beam = retry.beam or self.beam
        return self.model_copy(
            update={
                "beam": beam,
                "nbest": min(self.nbest, beam),
                "no_repeat_ngram": retry.no_repeat_ngram or self.no_repeat_ngram,
                "repetition_penalty": retry.repetition_penalty or self.repetition_penalty,
            }
        )

    @property
    def open_boost(self) -> bool:
        """Whether the boost of the bias trie is to be tuned."""
        return bool(self.biasing and self.biasing.trie and self.biasing.trie.boost is None)

    @property
    def left_open(self) -> list[str]:
        """Dotted names of all that has to be tuned before the search."""
        return [*self.untuned, *(["biasing.trie.boost"] if self.open_boost else [])]

    @property
    def untuned(self) -> list[str]:
        """Dotted names of the weights that are to be tuned, on N-best lists."""
        names = []
        if self.fusion:
            names += ["fusion.weight"] if self.fusion.weight is None else []
            if self.fusion.has_prior and self.fusion.prior_weight is None:
                names.append("fusion.prior_weight")
        if self.rescore and self.rescore.weight is None:
            names.append("rescore.weight")
        return names

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.nbest > self.beam:
            raise ValueError(f"nbest ({self.nbest}) is more than the beam ({self.beam}) holds")
        if self.constrained and self.no_repeat_ngram:
            raise ValueError("constrained: answers of one form repeat, leave out no_repeat_ngram")
        if self.rescore and self.nbest < 2:
            raise ValueError("rescore chooses among hypotheses: set nbest to 2 or more")
        return self
