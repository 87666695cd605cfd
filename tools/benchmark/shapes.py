"""Random models in the sizes of real ones, and noise as long as speech: nothing is fetched."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from tiny import SENTENCES

RATE = 16000


@dataclass(frozen=True)
class Shape:
    """Sizes, in the words of transformers' configs.

    Attributes:
        encoder: of a WavLM that norms its layers' input.
        llm: of a Llama.
        utterances: of the data dir.
        shortest, longest: seconds of an utterance; the others lie evenly between.
    """

    encoder: dict[str, Any]
    llm: dict[str, Any]
    utterances: int
    shortest: float
    longest: float


SHAPES = {
    "large": Shape(  # WavLM-Large, Llama-3.2-3B, utterances of LibriSpeech
        encoder=dict(
            hidden_size=1024,
            num_hidden_layers=24,
            num_attention_heads=16,
            intermediate_size=4096,
            conv_dim=(512,) * 7,
        ),
        llm=dict(
            vocab_size=128256,
            hidden_size=3072,
            intermediate_size=8192,
            num_hidden_layers=28,
            num_attention_heads=24,
            num_key_value_heads=8,
            head_dim=128,
        ),
        utterances=1000,
        shortest=5,
        longest=20,
    ),
    "tiny": Shape(
        encoder=dict(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            conv_dim=(16,) * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=2,
        ),
        llm=dict(
            vocab_size=512,
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=8,
        ),
        utterances=12,
        shortest=0.5,
        longest=1.5,
    ),
}


def make_encoder(folder: Path, sizes: dict[str, Any], device: str) -> int:
    """A random WavLM in float32, as it is published, and its extractor; returns parameters."""
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

    config = WavLMConfig(feat_extract_norm="layer", do_stable_layer_norm=True, **sizes)
    with torch.device(device):
        model = WavLMModel(config)
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)
    return model.num_parameters()


def make_llm(folder: Path, sizes: dict[str, Any], device: str) -> int:
    """A random Llama in bfloat16, and a small tokenizer with a chat template.

    The tokenizer knows few of the LLM's tokens; to it the others are nothing at all.
    """
    from transformers import AutoModelForCausalLM, LlamaConfig

    from speechllm.standin.llm import train_tokenizer

    tokenizer = train_tokenizer(SENTENCES, 400)
    config = LlamaConfig(
        max_position_embeddings=131072,
        rms_norm_eps=1e-5,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **sizes,
    )
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.num_parameters()


def make_noise(folder: Path, shape: Shape, words_per_second: float) -> float:
    """A data dir of noise, whose transcripts are as dense as speech; returns its seconds."""
    from speechllm.data.dirs.kaldi import write_data_dir

    rng = np.random.default_rng(0)
    words = [word for sentence in SENTENCES for word in sentence.split()]
    ids = [f"noise-{number:04}" for number in range(shape.utterances)]
    lengths = np.linspace(shape.shortest, shape.longest, shape.utterances)
    text, wav, seconds = {}, {}, {}
    (folder / "wav").mkdir(parents=True, exist_ok=True)
    for number, (utt, length) in enumerate(zip(ids, lengths, strict=True)):
        path = folder / "wav" / f"{utt}.wav"
        samples = rng.standard_normal(round(length * RATE), dtype=np.float32) / 10
        soundfile.write(path, samples, RATE)
        seconds[utt], wav[utt] = len(samples) / RATE, str(path)
        count = max(1, round(length * words_per_second))
        text[utt] = " ".join(words[(number + place) % len(words)] for place in range(count))
    write_data_dir(folder, text=text, wav=wav, utt2spk={u: u for u in ids}, utt2dur=seconds)
    return sum(seconds.values())
