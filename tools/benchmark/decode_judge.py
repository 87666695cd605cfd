"""A worker of decode.py: says of two hypotheses by how many nats one is likelier, in float32.

Of beams, per position, as they are ranked; of greedy ones where they part.
"""

from dataclasses import replace

from decode_model import bound, model, settings, utterances
from turns import serve

from speechllm.slot.collate import Example, collate

examples = {u.example.utt_id: u.example for u in utterances}


def log_probs(example: Example, ids: list[int]) -> list[float]:
    """Of each token and, unless the text came to its bound, of its end."""
    row = [replace(example, target=ids)]
    logits, wanted = model.label_logits(collate(row, model.prompt, model.projector.output_length))
    found = logits.log_softmax(-1).gather(1, wanted[:, None])[:, 0].tolist()
    return [*found[:-1], 0.0] if len(ids) == bound else found


def nats(utt: str, pair: list[list[int]], beam: int) -> float:
    """How far two hypotheses of an utterance are apart."""
    before, now = (log_probs(examples[utt], ids) for ids in pair)
    if beam > 1:
        return abs(sum(before) / len(before) - sum(now) / len(now))
    ends = [[*ids, model.prompt.eos] for ids in pair]
    parted = next(n for n, (a, b) in enumerate(zip(*ends, strict=False)) if a != b)
    return abs(before[parted] - now[parted])


def work(beam: int) -> tuple[float, list[dict]]:
    """Judge all pairs."""
    return 0.0, [
        {
            "id": utt,
            "before": model.tokenizer.decode(pair[0], skip_special_tokens=True),
            "now": model.tokenizer.decode(pair[1], skip_special_tokens=True),
            "nats": nats(utt, pair, beam),
        }
        for utt, pair in settings["pairs"].items()
    ]


if __name__ == "__main__":
    serve(work)
