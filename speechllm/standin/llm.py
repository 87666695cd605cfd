"""Stand-in for a pretrained LLM: a tiny Llama.

It is trained on general text only, as a language model and to repeat and correct the text in the
speech slot. To an LLM, speech from an aligned projector looks like stretched and garbled text, and
an LLM that cannot copy unseen words from the slot cannot be adapted either.
"""

import hashlib
import itertools
import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from speechllm.config import DEFAULT_PROMPT, TrainConfig
from speechllm.errors import DataError
from speechllm.slot.collate import IGNORED, Batch, Example, collate
from speechllm.slot.prompt import Prompt, make_prompt
from speechllm.slot.text.noise import NoiseConfig, corrupt
from speechllm.standin.loop import is_done, new_folder, seed_everything, train
from speechllm.standin.misspell import garble, spell_out, stretch, with_made_up_words

log = logging.getLogger(__name__)

BOS, EOS, PAD = "<|begin_of_text|>", "<|end_of_turn|>", "<|pad|>"
ROLES = ("system", "user", "assistant")
SPECIALS = [BOS, EOS, PAD, *(f"<|{role}|>" for role in ROLES)]
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + eos_token }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""Small version of Llama-3's template: a special token for each role instead of a header."""


@dataclass(frozen=True)
class LLMOptions:
    """Sizes and training of the stand-in LLM.

    Attributes:
        vocab_size: size of the tokenizer, with 256 bytes and the special tokens.
        held_out: number of sentences held out to measure `copy_accuracy`.
    """

    prompt: str = DEFAULT_PROMPT
    vocab_size: int = 384
    width: int = 160
    layers: int = 2
    heads: int = 4
    max_positions: int = 512
    steps: int = 700
    batch_size: int = 32
    lr: float = 3e-3
    muon_lr: float = 0.02
    held_out: int = 200
    seed: int = 42


def train_llm(text: Sequence[str], folder: str | Path, options: LLMOptions | None = None) -> None:
    """Train tokenizer and LLM on sentences and save both in `folder`, unless it is complete.

    `folder` is an ordinary transformers folder for AutoTokenizer and AutoModelForCausalLM.
    `standin.json` in it records settings, the last loss and `copy_accuracy`.

    Args:
        text: sentences; repeated ones count once.
        folder: the folder to write.
        options: sizes and training; the defaults if None.

    Raises:
        DataError: there are fewer than two different sentences.
        ConfigError: `folder` was made with other settings or other text, or is no stand-in.
    """
    folder, options = Path(folder), options or LLMOptions()
    sentences = sorted({s.strip() for s in text} - {""})
    if len(sentences) < 2:
        raise DataError("the stand-in LLM needs at least two different sentences")
    digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()
    settings = {**asdict(options), "text_sha256": digest}
    if is_done(folder, settings):
        log.info("%s is complete", folder)
        return
    with new_folder(folder, settings) as (temporary, record):
        random.Random(options.seed).shuffle(sentences)
        held_out = sentences[: min(options.held_out, len(sentences) // 10 + 1)]
        sentences = sentences[len(held_out) :]
        seed_everything(options.seed)
        tokenizer = train_tokenizer(sentences, options.vocab_size, options.prompt)
        model = LlamaForCausalLM(_llama_config(tokenizer, options))
        garbler = Garbler(tokenizer, sentences, random.Random(options.seed))
        prompt = make_prompt(tokenizer, options.prompt)
        losses = train(
            "stand-in LLM",
            model,
            _batches(sentences, garbler, prompt, options),
            lambda batch: answer_loss(model, batch),
            # Muon learns to copy in a third of the steps that AdamW alone needs.
            TrainConfig(
                steps=options.steps,
                lr=options.lr,
                muon_lr=options.muon_lr,
                warmup_steps=options.steps // 14 + 1,
                schedule="cosine",
                weight_decay=0.01,
            ),
        )
        made_up = [with_made_up_words(s, garbler.words, garbler.rng, 1.0) for s in held_out]
        record |= {
            "sentences": len(sentences),
            "parameters": model.num_parameters(),
            "last_loss": sum(losses[-20:]) / len(losses[-20:]),
            "copy_accuracy": {
                "held_out": copy_accuracy(model, tokenizer, prompt, held_out),
                "made_up_words": copy_accuracy(model, tokenizer, prompt, made_up),
            },
        }
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    log.info("%s: copy accuracy %s", folder, record["copy_accuracy"])


def train_tokenizer(
    sentences: Sequence[str], vocab_size: int, prompt: str = DEFAULT_PROMPT
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer, which restores any text exactly.

    The prompt is added once for every ten sentences, so that it becomes a few long tokens and does
    not lengthen every sequence.

    Args:
        sentences: training text.
        vocab_size: size, with 256 bytes and the special tokens.
        prompt: the user's turn.
    """
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([*sentences, *[prompt] * (len(sentences) // 10)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[f"<|{role}|>" for role in ROLES],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def _llama_config(tokenizer: PreTrainedTokenizerFast, options: LLMOptions) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=options.width,
        intermediate_size=options.width * 5 // 2,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        max_position_embeddings=options.max_positions,
        tie_word_embeddings=True,
        initializer_range=0.06,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


class Garbler:
    """Maker of training items: the tokens in the slot, and the answer."""

    def __init__(self, tokenizer: Any, sentences: Sequence[str], rng: random.Random):
        self.tokenizer, self.rng = tokenizer, rng
        self.words = sorted({word for s in sentences for word in s.split()})
        self.noise = NoiseConfig()
        self.tokens = lru_cache(maxsize=100_000)(self._tokens)

    def _tokens(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def item(self, sentence: str, progress: float) -> Example:
        """Make an item: an empty slot (language model), a clean one (repeat), or a garbled one.

        Copying is learnt suddenly or not at all, and soonest from short clean pieces of words that
        cannot be predicted. So pieces grow over the first part of training, and noise is added
        later, once the model copies.

        Args:
            sentence: text of which a piece is taken.
            progress: share of the training that is done, from 0 to 1.
        """
        rng = self.rng
        words = sentence.split()
        size = 2 + int(7 * min(1.0, progress / 0.4)) if progress < 0.9 else len(words)
        first = rng.randrange(max(1, len(words) - size + 1))
        piece = " ".join(words[first : first + size])
        if rng.random() < 0.7:
            rate = max(rng.random(), rng.random())
            piece = with_made_up_words(piece, self.words, rng, rate)
        noise = min(1.0, max(0.0, progress - 0.6) / 0.3)
        if rng.random() < 0.05 * noise:
            slot = []
        elif rng.random() > 0.8 * noise:
            slot = self.tokens(piece)
        elif rng.random() < 0.3:
            slot = self.tokens(corrupt(piece, self.noise, rng))
        else:
            heard = garble(piece, rng, strength=rng.uniform(0, 0.25) * noise)
            slot = spell_out(heard, self.tokens, rng, rate=rng.random() * noise)
            slot = stretch(slot, rng, most=rng.randint(1, 2))
        return Example("", "garbled", slot, self.tokens(piece))


def _batches(
    sentences: Sequence[str], garbler: Garbler, prompt: Prompt, options: LLMOptions
) -> Iterator[Batch]:
    """Yield batches of items of similar length without end; none exceeds the context."""
    rng, pool_size = garbler.rng, 8 * options.batch_size
    limit = options.max_positions - prompt.overhead
    for done in itertools.count(step=8):
        progress = min(1.0, done / options.steps)
        pool = [garbler.item(rng.choice(sentences), progress) for _ in range(pool_size)]
        pool = [e for e in pool if len(e.slot) + len(e.target) <= limit]
        pool.sort(key=lambda e: len(e.slot) + len(e.target))
        starts = list(range(0, len(pool), options.batch_size))
        rng.shuffle(starts)
        for start in starts:
            yield collate(pool[start : start + options.batch_size], prompt, lambda frames: frames)


def answer_logits(model: LlamaForCausalLM, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits [N, V] at the positions that predict the answer and its end, and the labels [N]."""
    hidden = model.model(batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
    labels = batch.labels[:, 1:]
    wanted = labels != IGNORED
    return model.lm_head(hidden[:, :-1][wanted]), labels[wanted]


def answer_loss(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Mean cross entropy of the answers and their end tokens."""
    logits, labels = answer_logits(model, batch)
    return torch.nn.functional.cross_entropy(logits.float(), labels)


@torch.no_grad()
def copy_accuracy(
    model: LlamaForCausalLM, tokenizer: Any, prompt: Prompt, sentences: Sequence[str]
) -> float:
    """Share of answer tokens predicted right from a clean slot, given the right tokens before.

    Args:
        model: the LLM.
        tokenizer: its tokenizer.
        prompt: the prompt around the slot.
        sentences: texts, each in the slot and as the answer.
    """
    right = total = 0
    for start in range(0, len(sentences), 32):
        ids = [
            tokenizer(s, add_special_tokens=False).input_ids for s in sentences[start : start + 32]
        ]
        examples = [Example("", "clean_text", tokens, tokens) for tokens in ids]
        logits, labels = answer_logits(model, collate(examples, prompt, lambda frames: frames))
        right += int((logits.argmax(-1) == labels).sum())
        total += len(labels)
    return right / total
