"""Random models and noise of small sizes, to try the benchmark out in seconds."""

from pathlib import Path

import numpy as np
import soundfile
import torch
from transformers.utils import logging

SENTENCES = ("the cow eats green grass", "sell the old tractor today", "rain falls on the field")
UTTERANCES = 8


def make_tiny(folder: Path) -> dict[str, Path]:
    """Encoder, LLM, two data dirs, and a bundle, unless they are there; by run.py's options."""
    found = {n: folder / n for n in ("encoder", "llm", "source", "target", "bundle")}
    if not found["bundle"].is_dir():
        logging.disable_progress_bar()
        torch.manual_seed(0)
        _make_encoder(found["encoder"])
        _make_llm(found["llm"])
        _make_set(found["source"])
        _make_set(found["target"])
        _make_bundle(found["bundle"], found["encoder"], found["llm"])
    return {**found, "set": found["target"]}


def _make_encoder(folder: Path) -> None:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    small = dict(d_model=32, encoder_layers=2, decoder_layers=1, vocab_size=16)
    heads = dict(encoder_attention_heads=2, decoder_attention_heads=2)
    tokens = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1)
    sizes = dict(encoder_ffn_dim=128, decoder_ffn_dim=128)
    WhisperModel(WhisperConfig(**small, **heads, **tokens, **sizes)).save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)


def _make_llm(folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    from speechllm.standin.llm import train_tokenizer

    tokenizer = train_tokenizer(SENTENCES, 300)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _make_bundle(folder: Path, encoder: Path, llm: Path) -> None:
    from speechllm.config import LoraConfig, ModelConfig
    from speechllm.model.bundle import save_bundle
    from speechllm.model.speech_llm import SpeechLLM, set_trainable

    parts = {"encoder": str(encoder.resolve()), "llm": str(llm.resolve())}
    model = SpeechLLM(ModelConfig(**parts, encoder_window="cut", lora=LoraConfig(rank=2, alpha=4)))
    set_trainable(model, ("projector.*", "llm.*lora_*"))
    folder.mkdir()
    save_bundle(folder, model)


def _make_set(folder: Path) -> None:
    from speechllm.data.dirs.kaldi import write_data_dir

    rng = np.random.default_rng(0)
    ids = [f"{folder.name}-{n}" for n in range(UTTERANCES)]
    wav, seconds = {}, {}
    for number, utt in enumerate(ids):
        path = folder / "wav" / f"{utt}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds[utt] = 0.5 + number / 8
        soundfile.write(path, rng.normal(0, 0.1, int(seconds[utt] * 16000)), 16000)
        wav[utt] = str(path)
    text = {utt: SENTENCES[n % len(SENTENCES)] for n, utt in enumerate(ids)}
    speakers = dict.fromkeys(ids, folder.name)
    write_data_dir(folder, text=text, wav=wav, utt2spk=speakers, utt2dur=seconds)
