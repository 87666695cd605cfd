"""Speech behind a projector with CTC: the CTC logits, and the inputs that the LLM is given."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from speechllm.adapt.method import Workspace
from speechllm.data.dirs.tables import first_ids
from speechllm.errors import ConfigError
from speechllm.files.layout import RUN
from speechllm.files.own import made_again, read_mapping
from speechllm.files.progress import Progress
from speechllm.model.embedding_ctc import EmbeddingCtc
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example, collate
from speechllm.slot.corpus import Corpus
from speechllm.slot.mixture import spread, subset

log = logging.getLogger(__name__)

BATCH = 32
BLANK = 0


class ProjectedSpeech(NamedTuple):
    """Projected speech of an utterance.

    Attributes:
        logits: float32 [N, 1 + U] CTC logits of the blank, then of the model's units.
        positions: [M] the N positions that the LLM is given, in order; all without `compress`.
        vectors: float32 [M, E] inputs of the LLM at these positions.
    """

    logits: np.ndarray
    positions: np.ndarray
    vectors: np.ndarray


def ctc_of(model: SpeechLLM, method: str) -> EmbeddingCtc:
    """CTC of a model's projector.

    Raises:
        ConfigError: the projector has none; names the `method`.
    """
    if model.ctc is None:
        raise ConfigError(
            f"{method}: the projector of this base has no CTC",
            "choose another method, or train a base with model.projector.ctc",
        )
    return model.ctc


def ctc_of_posteriors(model: SpeechLLM, method: str) -> EmbeddingCtc:
    """CTC of a projector that gives the LLM the embeddings expected under its posteriors.

    Raises:
        ConfigError: the projector has no CTC, or gives the LLM projected vectors.
    """
    ctc = ctc_of(model, method)
    if ctc.config.vectors != "expected":
        raise ConfigError(
            f"{method}: the LLM of this base is given projected vectors, not posteriors",
            "train a base with model.projector.ctc.vectors: expected",
        )
    return ctc


def new_to_projector(workspace: Workspace, most: int) -> list[str]:
    """Source utterances that are new to the base's projector, so that it misreads them as usual.

    It hardly misreads what its warm start has learnt by heart. So these are utterances that
    `warm_start.share` left out, or, if it left out none, any.

    Args:
        workspace: workspace whose source has transcripts.
        most: maximum number of utterances, which are spread over all.
    """
    source, run = workspace.corpora["source"], workspace.bundle.parent
    config = read_mapping(run / RUN, made_again(run)).get("config", {})
    share = (config.get("warm_start") or {}).get("share", 1.0)
    seed = (config.get("train") or {}).get("seed", 0)
    left_out = subset(source.spoken, share, seed, complement=True)
    ids = [utt for utt in left_out or source.spoken if source.text[utt]]
    return spread(ids, most)


def unit_rows(model: SpeechLLM, text: str) -> list[int]:
    """Symbols of a text for the projector's CTC: 1 + row of `model.units`; 0 is the blank."""
    plain = model.tokenizer(text, add_special_tokens=False).input_ids
    ids = torch.tensor(model.spell(text) if model.spell else plain, dtype=torch.long)
    units = model.units.cpu()
    return (torch.searchsorted(units, ids[torch.isin(ids, units)]) + 1).tolist()


def spelled(model: SpeechLLM, text: Mapping[str, str]) -> dict[str, list[int]]:
    """`unit_rows` of texts by utterance id; logs which texts have none.

    Raises:
        ConfigError: no text has any.
    """
    rows = {utt: unit_rows(model, words) for utt, words in text.items()}
    what = "no symbol that the base's projector reads speech as (model.projector.ctc)"
    if not any(rows.values()):
        raise ConfigError(
            f"the target's text has {what}", "write it as the source's is, in the same letters"
        )
    if silent := [utt for utt, units in rows.items() if text[utt] and not units]:
        log.warning("nothing is heard of %s: their text has %s", first_ids(silent), what)
    return rows


@torch.inference_mode()
def hear(
    model: SpeechLLM, corpus: Corpus, ids: Sequence[str]
) -> Iterator[tuple[str, ProjectedSpeech]]:
    """Project utterances, in batches of similar length.

    Args:
        model: model whose projector has CTC; it is put into eval mode.
        corpus: corpus with its frames opened.
        ids: ids of some of its spoken utterances.

    Yields:
        Utterance id and projected speech, shortest first; utterances too short for a position are
        left out.
    """
    ctc = ctc_of(model, "pseudo audio")
    model.eval()
    long_enough = [u for u in ids if model.projector.output_length(corpus.frame_counts[u])]
    order = sorted(long_enough, key=lambda utt: (corpus.frame_counts[utt], utt))
    with Progress("hear source speech", len(order)) as progress:
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            examples = [Example(utt, "audio", corpus.frames[utt]) for utt in part]
            batch = collate(examples, model.prompt, model.projector.output_length, False)
            batch = batch.to(model.device)
            lengths = model.speech_lengths(batch)
            speech = model.projector(batch.frames, batch.frame_lengths)
            logits = ctc.logits(speech, model.unit_embeddings)
            vectors, keep = ctc.read(speech, lengths, model.unit_embeddings)
            if keep is None:
                keep = torch.ones(len(vectors), dtype=torch.bool, device=vectors.device)
            rows = (x.float().cpu().split(lengths) for x in (logits, keep, vectors))
            for utt, scores, kept, given in zip(part, *rows, strict=True):
                positions = kept.bool().nonzero()[:, 0]
                yield (
                    utt,
                    ProjectedSpeech(scores.numpy(), positions.numpy(), given[positions].numpy()),
                )
            progress.advance(len(part))
