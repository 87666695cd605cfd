"""Perplexity of text under a recogniser's own LLM: with an empty speech slot, and with speech."""

from collections.abc import Iterator, Sequence
from typing import Any

from speechllm.decode.words.confidence import mean_log_probs
from speechllm.files.progress import Progress
from speechllm.lm.perplexity import Perplexity
from speechllm.lm.token_lm import LOGITS
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import collate
from speechllm.slot.corpus import Corpus
from speechllm.slot.views import Views

FILE = "perplexity.json"
SLOTS = {"empty_slot": "empty", "speech": "audio"}
"""View for each content of the slot."""
POSITIONS = 8000
"""Most positions of a batch."""


def slot_perplexities(model: SpeechLLM, corpus: Corpus) -> dict[str, dict[str, Any]]:
    """Perplexity of a corpus's answers for each content of the slot; without audio, only empty.

    Args:
        model: in eval mode.
        corpus: the text; with frames opened if it has audio.
    """
    slots = SLOTS if corpus.frames else {"empty_slot": SLOTS["empty_slot"]}
    return {name: _perplexity(model, corpus, view).figures() for name, view in slots.items()}


def _perplexity(model: SpeechLLM, corpus: Corpus, view: str) -> Perplexity:
    views = Views(model.tokenizer, {"text": corpus})
    nll = 0.0
    with Progress(f"perplexity {corpus.name} ({view})", len(corpus.text)) as progress:
        for ids in _batches(model, corpus, views, view):
            examples = [views.render(view, "text", utt) for utt in ids]
            batch = collate(examples, model.prompt, model.projector.output_length)
            means = mean_log_probs(model, batch.to(model.device))
            counts = [len(example.target) + 1 for example in examples]
            nll -= sum(mean * count for mean, count in zip(means, counts, strict=True))
            progress.advance(len(ids))
    ends = len(corpus.text)
    tokens = sum(corpus.target_tokens[utt] for utt in corpus.text) + ends
    words = sum(len(text.split()) for text in corpus.targets.values()) + ends
    return Perplexity(nll, tokens, words)


def _batches(model: SpeechLLM, corpus: Corpus, views: Views, view: str) -> Iterator[Sequence[str]]:
    """Utterances of like length, bounded by positions and by the logits of their tokens."""
    length = {utt: views.length(view, "text", utt) for utt in corpus.text}
    size = model.llm.get_output_embeddings().weight.shape[0]
    batch: list[str] = []
    logits = 0
    for utt in sorted(corpus.text, key=lambda i: (-length[i], i)):
        longest = model.prompt.overhead + length[batch[0] if batch else utt]
        more = (corpus.target_tokens[utt] + 1) * size
        if batch and (longest * (len(batch) + 1) > POSITIONS or logits + more > LOGITS):
            yield batch
            batch, logits = [], 0
        batch.append(utt)
        logits += more
    if batch:
        yield batch
