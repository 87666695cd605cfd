"""Difficulty of texts: the base model's perplexity, computed once for each base and corpus."""

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path

import torch
from torch.nn import functional

from speechllm.files.layout import TENSORS
from speechllm.files.made_from import is_sealed, sealed_file
from speechllm.files.own import read_mapping
from speechllm.files.progress import Progress
from speechllm.files.whole import sha256_of
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example, collate
from speechllm.slot.corpus import Corpus

BATCH = 64


def perplexities(model: SpeechLLM, bundle: Path, corpus: Corpus) -> dict[str, float]:
    """Perplexity of each target behind an empty slot, by utterance id; the end token counts.

    Args:
        model: the base model.
        bundle: its folder; the result is kept beside it, under the hash of its tensors and of the
            targets.
        corpus: measured corpus.
    """
    text = json.dumps(sorted(corpus.targets.items()))
    key = hashlib.sha256((sha256_of([bundle / TENSORS]) + text).encode()).hexdigest()[:16]
    path = bundle.parent / "perplexity" / f"{corpus.name}.{key}.json"
    if not is_sealed(path):
        model.eval()
        found = dict(_measure(model, corpus))
        with sealed_file(path) as stream:
            json.dump(found, stream, ensure_ascii=False, indent=0, sort_keys=True)
    return read_mapping(path)


@torch.inference_mode()
def _measure(model: SpeechLLM, corpus: Corpus) -> Iterable[tuple[str, float]]:
    ids = sorted(corpus.targets, key=lambda utt: (corpus.target_tokens[utt], utt))
    with Progress("perplexity", len(ids)) as progress:
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            targets = model.tokenizer([corpus.targets[u] for u in part], add_special_tokens=False)
            rows = zip(part, targets.input_ids, strict=True)
            examples = [Example(utt, "empty", [], target) for utt, target in rows]
            batch = collate(examples, model.prompt, model.projector.output_length)
            losses = functional.cross_entropy(
                *model.label_logits(batch.to(model.device)), reduction="none"
            )
            sizes = [len(e.target) + 1 for e in examples]
            for utt, row in zip(part, losses.split(sizes), strict=True):
                yield utt, math.exp(min(float(row.mean()), 700.0))
            progress.advance(len(part))
