"""Warm start: the projector learns CTC over the LLM's tokens, before the LLM is run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from speechllm.adapt.augment import augment
from speechllm.adapt.method import Phase
from speechllm.config import AugmentConfig, WarmStartConfig
from speechllm.errors import ConfigError
from speechllm.model.speech_llm import SpeechLLM, TokenLoss
from speechllm.score.count.wer import score_texts
from speechllm.slot.collate import Batch
from speechllm.slot.mixture import Component
from speechllm.train.monitor import ERROR

NAME = "warm_start"


def warm_start_phase(
    config: WarmStartConfig,
    model: SpeechLLM,
    text: Mapping[str, str],
    components: Sequence[Component] | None = None,
) -> Phase:
    """Make the warm-start phase, which goes before those of the LLM.

    Args:
        config: its optimisation and monitor.
        model: model whose projector has CTC.
        text: transcripts of the dev sets, which readings are scored against.
        components: speech with transcripts; None: the part `config.share` of the source's.

    Raises:
        ConfigError: the projector has no CTC.
    """
    if model.ctc is None:
        raise ConfigError(
            "warm_start: the projector of this base has no CTC",
            "leave it out, or train a base with model.projector.ctc",
        )
    return Phase(
        NAME,
        components or [Component("audio", "source", 1.0, fraction=config.share)],
        ("projector.*",),
        config.train,
        config.monitor,
        score=WarmStart(model, config.negatives, config.augment),
        errors=ReadingError(model, text),
    )


def heard_in(phases: Sequence[Phase], source_share: float) -> list[Component]:
    """Components of all non-source speech in some phases, with source speech beside them.

    Raises:
        ConfigError: the phases have no such speech.
    """
    heard = [c for phase in phases for c in phase.components if c.view == "audio"]
    target = dict.fromkeys(replace(c, share=None) for c in heard if c.domain != "source")
    if not target:
        raise ConfigError("warm_start: this method hears no speech of the target", "leave it out")
    return [Component("audio", "source", source_share), *target]


class WarmStart:
    """Objective of a warm start: CTC over projected speech; of the LLM it uses embeddings only.

    Args:
        model: model whose projector has CTC.
        negatives: as in `WarmStartConfig`; evaluation uses all tokens.
        augment: augmentation of frames, in training only.
    """

    def __init__(self, model: SpeechLLM, negatives: int | None, augment: AugmentConfig):
        self.model, self.negatives, self.augment = model, negatives, augment

    def __call__(self, batch: Batch) -> TokenLoss:
        """Score a batch in which every row has speech."""
        model, ctc = self.model, self.model.ctc
        assert ctc is not None
        assert batch.frames is not None and batch.frame_lengths is not None
        if model.training:
            frames, lengths = augment(batch.frames, batch.frame_lengths, self.augment)
            batch = replace(batch, frames=frames, frame_lengths=lengths)
        units = model.units.to(model.device)
        spelled = [torch.tensor(e.transcript, device=model.device) for e in batch.examples]
        targets = [torch.searchsorted(units, ids[torch.isin(ids, units)]) for ids in spelled]
        ids = self._told_apart(torch.cat(targets))
        lengths = model.speech_lengths(batch)
        speech = model.projector(batch.frames, batch.frame_lengths, hide=model.training)
        logits = ctc.logits(speech, model.unit_embeddings[ids])
        labels = [torch.searchsorted(ids, target) + 1 for target in targets]
        paths = ctc.paths(logits.detach(), lengths)
        right = sum(_in_common(a, b.tolist()) for a, b in zip(paths, labels, strict=True))
        nll = ctc.loss(logits, lengths, labels)
        return TokenLoss(nll, sum(map(len, labels)), nll.new_tensor(right))

    def _told_apart(self, needed: Tensor) -> Tensor:
        """Sorted rows of units to score: those of a batch, and the drawn negatives."""
        size = len(self.model.units)
        if self.negatives is None or not torch.is_grad_enabled():
            return torch.arange(size, device=needed.device)
        drawn = torch.randint(size, (self.negatives,)).to(needed.device)
        return torch.cat([needed, drawn]).unique()


class ReadingError:
    """WER of the projector's CTC readings, for real-time evaluation; the LLM has no part in it.

    Args:
        model: model whose projector has CTC.
        text: transcript by utterance id.
    """

    def __init__(self, model: SpeechLLM, text: Mapping[str, str]):
        self.model, self.text = model, text

    def __call__(self, model: object, batches: Sequence[Batch]) -> dict[str, float]:
        """WER of all batches in percent, as `wer` and as `error`."""
        read: dict[str, str] = {}
        for batch in batches:
            ids = [example.utt_id for example in batch.examples]
            read |= zip(ids, self.model.snap(batch), strict=True)
        percent = score_texts({utt: self.text[utt] for utt in read}, read).words.percent or 0.0
        return {"wer": percent, ERROR: percent}


def _in_common(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common subsequence, that is the number of labels read correctly."""
    from rapidfuzz.distance import LCSseq

    return LCSseq.similarity(a, b)
