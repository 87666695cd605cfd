"""A worker of published.py: the published loop, plainly written. One turn trains on all utterances.

Batches of four in the order of the data dir; prompts padded on the left and answers on the right;
logits at all positions; the loss, attention and LoRA that transformers and peft choose. As far as
they let it: an encoder of a fixed window is shown the longest utterance of a batch, not 30 s.
"""

import json
import sys
from pathlib import Path

import torch
from arithmetic import llm_flops, projector_flops
from plain import DTYPES
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, WhisperFeatureExtractor, WhisperModel
from turns import seconds, serve

from speechllm.config import BaseConfig, load
from speechllm.data.speech.audio import SAMPLE_RATE, load_audio
from speechllm.model.encoder.window import shortened
from speechllm.model.llm import add_lora, load_tokenizer
from speechllm.slot.collate import IGNORED
from speechllm.slot.corpus import Corpus
from speechllm.slot.prompt import make_prompt
from speechllm.task import load_task

BATCH = 4

settings = json.loads(sys.argv[1])
config = load(BaseConfig, Path(settings["conf"]) / "base.yaml", settings["models"])
model = config.model
tokenizer = load_tokenizer(model)
prompt = make_prompt(
    tokenizer, load_task(model.task).with_prompt(model).prompt, model.chat_template
)
corpus = Corpus.load([settings["data"]])
corpus.open_frames(Path(settings["dump"]), model.audio_model, model.encoder_settings)
targets = {
    utt: [*tokenizer(text, add_special_tokens=False).input_ids, prompt.eos]
    for utt, text in corpus.text.items()
}
downsampling = model.projector.downsampling

llm = add_lora(AutoModelForCausalLM.from_pretrained(model.llm, dtype=torch.float32), model.lora)
weights = load_file(settings["weights"])
weights = {name.removeprefix("projector.layers."): tensor for name, tensor in weights.items()}
projector = nn.Sequential(
    nn.Linear(*weights["0.weight"].shape[::-1]),
    nn.ReLU(),
    nn.Linear(*weights["2.weight"].shape[::-1]),
)
projector.load_state_dict(weights)
trained = [p for part in (projector, llm) for p in part.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=config.train.lr, weight_decay=0.0)
if settings["encode"]:
    encoder = WhisperModel.from_pretrained(model.encoder, dtype=DTYPES[settings["dtype"]]).encoder
    extractor = WhisperFeatureExtractor.from_pretrained(model.encoder)
    waves = {utt: load_audio(corpus.dirs[0].audio[utt]) for utt in corpus.text}


@torch.no_grad()
def encode(utts: list[str]) -> Tensor:
    """[B, T, D] frames of padded waves."""
    options = {"sampling_rate": SAMPLE_RATE, "padding": "longest", "return_tensors": "pt"}
    features = extractor([waves[utt] for utt in utts], **options).input_features
    features = features[..., : features.shape[-1] // 2 * 2].to(encoder.dtype)
    with shortened(encoder, [features.shape[-1] // 2] * len(utts)):
        return encoder(features).last_hidden_state.float()


def cached(utts: list[str]) -> Tensor:
    """[B, T, D] frames made before, padded."""
    frames = [torch.from_numpy(corpus.frames[utt]).float() for utt in utts]
    return pad_sequence(frames, batch_first=True)


def side_by_side(rows: list[list[int]], value: int, side: str) -> Tensor:
    """[B, L] rows padded on one side."""
    tensors = [torch.tensor(row) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=value, padding_side=side)


def mean_loss(utts: list[str], frames: Tensor) -> Tensor:
    """Of a batch, per label token."""
    rows, length, width = frames.shape
    groups = frames[:, : length // downsampling * downsampling]
    speech = projector(groups.reshape(rows, -1, downsampling * width))
    heard = [corpus.frame_counts[utt] // downsampling for utt in utts]
    heads = [[*prompt.prefix, *[prompt.pad] * n, *prompt.suffix] for n in heard]
    tails = [targets[utt] for utt in utts]
    ids = [side_by_side(heads, prompt.pad, "left"), side_by_side(tails, prompt.pad, "right")]
    valid = [
        side_by_side([[1] * len(row) for row in heads], 0, "left"),
        side_by_side([[1] * len(row) for row in tails], 0, "right"),
    ]
    labels = [torch.full_like(ids[0], IGNORED), side_by_side(tails, IGNORED, "right")]
    embeddings = llm.get_input_embeddings()(torch.cat(ids, 1))
    for row, (head, n) in enumerate(zip(heads, heard, strict=True)):
        start = ids[0].shape[1] - len(head) + len(prompt.prefix)
        embeddings[row, start : start + n] = speech[row, :n].to(embeddings.dtype)
    whole = {"attention_mask": torch.cat(valid, 1), "labels": torch.cat(labels, 1)}
    return llm(inputs_embeds=embeddings, **whole).loss


def losses(utts: list[str], frames: Tensor) -> Tensor:
    """The same in the dtype that is measured."""
    with torch.autocast("cpu", torch.bfloat16, settings["dtype"] == "bf16"):
        return mean_loss(utts, frames)


order = list(corpus.text)
batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]


@torch.no_grad()
def first_loss() -> float:
    """Mean over all label tokens, before any step."""
    llm.eval()
    counts = [sum(len(targets[utt]) for utt in utts) for utts in batches]
    sums = [float(losses(u, cached(u))) * n for u, n in zip(batches, counts, strict=True)]
    return sum(sums) / sum(counts)


def flops() -> dict[str, float]:
    """Of an utterance, on average."""
    around = len(prompt.prefix) + len(prompt.suffix)
    speech = [corpus.frame_counts[utt] // downsampling for utt in targets]
    lengths = [around + n + len(t) for n, t in zip(speech, targets.values(), strict=True)]
    parts = llm_flops(llm, lengths, sum(map(len, targets.values())))
    parts["projector"] = projector_flops(projector, sum(speech))
    return {part: count / len(targets) for part, count in parts.items()}


said = {} if settings["encode"] else {"first_loss": first_loss(), "flops": flops()}


def work() -> tuple[float, dict]:
    """Train; returns utterances in a second, and what is to be compared."""
    llm.train()
    started = seconds()
    for utts in batches:
        frames = encode(utts) if settings["encode"] else cached(utts)
        losses(utts, frames).backward()
        optimizer.step()
        optimizer.zero_grad()
    return len(order) / (seconds() - started), said


if __name__ == "__main__":
    serve(work)
