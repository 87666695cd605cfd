"""Decode config: beam search, biasing, fusion, rescoring, joint CTC, and tuning of weights."""

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
"""Text added to a prompt; {} stands for the words, joined by commas."""


class HotwordsConfig(Section):
    """Bias lists in the prompt: the entries most similar to a rough transcript (2411.06437)."""

    template: Template = "Some hotwords might help. The hotwords are {}."
    filter: Literal["first_pass", "ctc", "none"] = "first_pass"
    """First pass that shortlists hotwords: greedy search without the list, or the encoder's CTC
    head. `none` puts whole lists in the prompt, and refuses lists longer than `most`."""
    most: PositiveInt = 20
    """Most words and phrases in a prompt."""
    least: Fraction = 0.5
    """Least similarity of an entry to a stretch of the rough transcript, 0 to 1
    (speechllm.slot.text.hotwords)."""


class TrieConfig(Section):
    """Bias lists as a prefix tree in the beam (speechllm.decode.biasing.trie_boost)."""

    boost: Annotated[float, Field(ge=0)] | None = 1.0
    """Bonus in nats for every token along a phrase; null: tuned on the `--dev` set, by the task's
    main error (WER)."""
    grid: Annotated[tuple[float, ...], Field(min_length=1)] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
    """Boosts tried when `boost` is null."""
    tune_utterances: PositiveInt = 200
    """Most dev utterances decoded for each boost tried."""


class BiasingConfig(Section):
    """Contextual biasing by the bias lists of a data dir; off for sets without lists."""

    prompt: HotwordsConfig | None = None
    trie: TrieConfig | None = None
    fold: Folding = ()
    """Normalisation of entries, so that they are written as the model writes: lower or upper,
    punctuation (which is left out), nfc."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.prompt is None and self.trie is None:
            raise ValueError("give prompt or trie or both")
        return self


class SpellingConfig(Section):
    """Spelling of words in the symbols of the encoder's CTC head."""

    accent: str = "en-us"
    """Accent of espeak, for a CTC head of phones."""
    lexicon: str | None = None
    """Lexicon to use instead of espeak or characters: a file of lines `word symbol symbol ...`."""
    fold: Folding = ()
    """Normalisation of words before they are looked up in the lexicon."""

    @model_validator(mode="after")
    def _folds_for_a_lexicon(self) -> Self:
        if self.fold and not self.lexicon:
            raise ValueError("fold is of words that a lexicon is asked for: give lexicon")
        return self


Weight = Annotated[float, Field(ge=0)]
Grid = Annotated[tuple[Weight, ...], Field(min_length=1)]


class FusionConfig(Section):
    """Fusion of a language model in the beam search (docs/decoding.md#fusion)."""

    kind: Literal["shallow", "density_ratio", "ilm"]
    """Method. All add weight x log p_lm to the score. `density_ratio` and `ilm` also subtract
    prior_weight x log p_prior: of `source_lm`, or of the recogniser's own LLM without speech."""
    lm: str
    """Language model: folder of `speechllm lm`, ARPA file of words, or folder or hub id of a causal
    LM on the recogniser's tokens. `{target}` stands for the name of the target, `{exp}` for the
    recipe's folder exp."""
    weight: Weight | None = None
    """Weight of log p_lm; null: the value of `grid` with the lowest error on the target's dev
    set, by the task's main metric (WER)."""
    grid: Grid = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    source_lm: str | None = None
    """Language model of source text, for `density_ratio`; given like `lm`."""
    slot: Literal["empty", "no_prompt"] = "empty"
    """Input of the LLM without speech, for `ilm`: its prompt with an empty slot, or the
    beginning-of-sequence token alone."""
    prior_weight: Weight | None = None
    """Weight of log p_prior; null: tuned like `weight`, over `prior_grid`."""
    prior_grid: Grid = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
    fold: Folding = ()
    """Normalisation of words before n-grams score them: lower or upper, punctuation (which is left
    out), nfc."""

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
    """Rescoring of n-best lists after the search."""

    kind: Literal["lm", "prompt"]
    """Model whose weight x log p is added to the score: a language model, or the recogniser's own
    LLM after a text prompt that says what the speech is about (2306.16007)."""
    lm: str | None = None
    """Language model, given like `fusion.lm`; for `kind: lm`."""
    fold: Folding = ()
    """Normalisation of words before n-grams score them, as in `fusion.fold`."""
    prompt: str | None = None
    """Text in front of every hypothesis, with `{target}` replaced; for `kind: prompt`."""
    weight: Weight | None = None
    """Weight of log p; null: tuned on the target's dev set."""
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
    """Joint decoding with the projector's CTC (speechllm.decode.scorers.joint_ctc).

    Adds weight x log p of the transcript under CTC to the score. For tasks that answer with
    transcripts, and models whose base had a `warm_start`.
    """

    weight: Annotated[float, Field(gt=0)] = 0.5
    candidates: PositiveInt = 40
    """Number of next tokens that CTC scores, the likeliest by the LLM. Others cannot come next,
    except the end."""


class TuneConfig(Section):
    """Decoding of the dev set, once, to tune weights."""

    beam: PositiveInt = 8
    """Beam and n-best size: hypotheses of each utterance that the weights choose from."""
    fusion_weight: Weight = 0.3
    """Weight of `fusion.lm` in that search. With 0, the n-best lists lack hypotheses that only
    fusion finds, and the weights tuned on them are too low (docs/decoding.md)."""
    utterances: PositiveInt | None = None
    """Number of dev utterances used, the first ones by id; null: all."""


class DecodeConfig(Section):
    """Decode config: the beam search, and all that may help it."""

    beam: PositiveInt = 4
    nbest: PositiveInt = 1
    """Hypotheses kept of each utterance, at most `beam`; above 1, nbest.jsonl is written too."""
    batch_positions: PositiveInt = 4000
    """Budget of a batch in LLM positions: utterances x beam x longest sequence."""
    max_tokens_per_second: Annotated[float, Field(gt=0, le=1000)] = 15.0
    """Most tokens of a hypothesis for each second of the utterance."""
    min_tokens: PositiveInt = 10
    """Number of tokens that even the shortest utterance may have."""
    constrained: bool = False
    """Restrict the search to answers of the task's form, with labels that training had."""
    length_penalty: Annotated[float, Field(ge=-10, le=10)] = 1.0
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    no_repeat_ngram: Annotated[int, Field(ge=0, le=1000)] = 0
    """Length in tokens of n-grams that may not repeat in a hypothesis; 0: all may repeat."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    guard: GuardConfig | None = GuardConfig()
    """Detection of loops, refusals, empty output and copied prompts; they are decoded again and
    recorded. null: off."""
    adapted: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Interpolation of weights from the base (0) to the adapted model (1)
    (speechllm.model.adaptation_weight)."""
    speech_temperature: Annotated[float, Field(ge=0.01, le=100)] | None = None
    """Temperature of CTC posteriors in place of `model.projector.ctc.temperature`, for vectors
    `expected` (LegoSLM, 2505.11352). A higher one trusts the LLM more than the speech. null: as in
    training."""
    biasing: BiasingConfig | None = None
    confidence: bool = False
    """Write confidences of words and utterances, from a second pass over each hypothesis."""
    confidence_temperature: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    """Temperature that divides the logits of that pass."""
    word_times: Literal["none", "auto", "ctc", "attention"] = "none"
    """Source of word times: the encoder's CTC head, or the LLM's attention. auto: the CTC head if
    it can be used, else attention."""
    ctc: SpellingConfig = SpellingConfig()
    joint_ctc: JointCtcConfig | None = None
    fusion: FusionConfig | None = None
    rescore: RescoreConfig | None = None
    tune: TuneConfig = TuneConfig()

    def safer(self, retry: RetryConfig) -> Self:
        """Settings of the guard's second search."""
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
        """Dotted names of all settings to tune before the search."""
        return [*self.untuned, *(["biasing.trie.boost"] if self.open_boost else [])]

    @property
    def untuned(self) -> list[str]:
        """Dotted names of the weights to tune on n-best lists."""
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
