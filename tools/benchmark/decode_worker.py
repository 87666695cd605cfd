"""A worker of decode.py: one turn decodes all utterances."""

from builds import module
from decode_model import bound, model, settings, utterances
from plain import plain_llm
from transformers import GenerationConfig
from turns import seconds, serve

from speechllm.decode.config import DecodeConfig

search = module("decode.search.search").search
autocast = module("model.compute.precision").autocast
Batch = module("slot.collate").Batch
collate = module("slot.collate").collate

dtype = settings["dtype"]
ends = [model.prompt.eos, *model.prompt.stops]
llm = plain_llm(model, dtype) if settings["way"] == "transformers" else None
if llm is None:
    model.freeze_for_search(dtype)  # as `speechllm decode` does


def searched(batch: Batch, durations: list[float], beam: int) -> list[list[int]]:
    """Ids of each row by this build's search."""
    bounds = {"min_tokens": bound, "max_tokens_per_second": 1e-9}
    config = DecodeConfig(beam=beam, precision=dtype, guard=None, **bounds)
    return [list(best.ids) for best, *_ in search(model, batch, durations, config)]


def generated(batch: Batch, durations: list[float], beam: int) -> list[list[int]]:
    """Ids of each row by transformers' `generate`."""
    config = GenerationConfig(
        num_beams=beam,
        do_sample=False,
        max_new_tokens=bound + 1,
        forced_eos_token_id=model.prompt.eos,  # the search, too, ends what comes to its bound
        length_penalty=DecodeConfig().length_penalty,
        eos_token_id=ends,
        pad_token_id=model.prompt.pad,
    )
    with autocast(dtype, "cpu"):
        filled = model.fill(batch)
    sequences = llm.generate(
        inputs_embeds=filled.embeddings.to(llm.dtype),
        attention_mask=filled.attention_mask,
        generation_config=config,
    )
    return [row[: next(n for n, i in enumerate(row) if i in ends)] for row in sequences.tolist()]


def work(beam: int, batch: int) -> tuple[float, dict]:
    """Decode; returns utterances in a second, and what was written."""
    decode = generated if llm else searched
    rows: list[list[int]] = []
    started = seconds()
    for start in range(0, len(utterances), batch):
        part = utterances[start : start + batch]
        examples = [u.example for u in part]
        prompts = collate(examples, model.prompt, model.projector.output_length, False)
        rows += decode(prompts, [u.seconds for u in part], beam)
    rate = len(utterances) / (seconds() - started)
    ids = {u.example.utt_id: row for u, row in zip(utterances, rows, strict=True)}
    mean_seconds = sum(u.seconds for u in utterances) / len(utterances)
    return rate, {"ids": ids, "mean_seconds": mean_seconds}


if __name__ == "__main__":
    serve(work)
