"""Source speech as text: projected, then snapped to the nearest entries of the vocabulary."""

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from speechllm.adapt.made.made_data import key
from speechllm.files.guarded import guarded
from speechllm.files.layout import TENSORS
from speechllm.files.made_from import is_sealed, sealed_file
from speechllm.files.own import made_again, read_json_rows
from speechllm.files.progress import Progress
from speechllm.files.whole import sha256_of
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example, collate
from speechllm.slot.corpus import Corpus

log = logging.getLogger(__name__)

BATCH = 64


def projected_text(model: SpeechLLM, bundle: Path, corpus: Corpus) -> dict[str, str]:
    """Snapped text by utterance id, computed once for each base model and corpus.

    It comes from the base's projector, so all adaptations of a base share the same text.

    Args:
        model: the base model.
        bundle: its folder; the text is kept beside it, under the hash of its tensors and of the
            audio.
        corpus: corpus with its frames opened.
    """
    heard = [d.samples for d in corpus.dirs if d.samples]
    keys = [sha256_of([bundle / TENSORS])[:16], *([key(heard)] if heard else [])]
    name = ".".join([corpus.name, *keys])
    path = bundle.parent / "projected_text" / f"{name}.jsonl"
    if is_sealed(path):
        with guarded(path, "is damaged", remedy=made_again(path)):
            found = dict(read_json_rows(path))
        if found.keys() == set(corpus.spoken):
            return found
    model.eval()
    found = dict(_snap(model, corpus))
    with sealed_file(path) as stream:
        for pair in sorted(found.items()):
            stream.write(json.dumps(pair, ensure_ascii=False) + "\n")
    return found


def _snap(model: SpeechLLM, corpus: Corpus) -> Iterable[tuple[str, str]]:
    ids = sorted(corpus.spoken, key=lambda utt: (corpus.frame_counts[utt], utt))
    with Progress("projected text", len(ids)) as progress:
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            examples = [Example(utt, "audio", corpus.frames[utt]) for utt in part]
            batch = collate(examples, model.prompt, model.projector.output_length, False)
            yield from zip(part, model.snap(batch.to(model.device)), strict=True)
            progress.advance(len(part))
