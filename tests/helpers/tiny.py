"""Tiny random models and data: the real architectures and the real code, in milliseconds."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

if TYPE_CHECKING:
    from speechllm.model.speech_llm import SpeechLLM

RATE = 16000
TRAIN = {"steps": 4, "batch_positions": 1200, "warmup_steps": 1, "lr": 1e-3, "log_every": 1}
SENTENCES = (
    "the cow eats green grass",
    "sell the old tractor today",
    "rain falls on the wheat field",
    "a horse drinks cold water",
    "open the gate for the sheep",
    "plant the seeds in early spring",
    "the farmer repairs a broken fence",
    "milk is cooled in the tank",
)


def make_encoder(folder: Path, seed: int = 0) -> Path:
    """A random Wav2Vec2-BERT of 25 Hz and width 16, with its feature extractor."""
    import torch
    from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig, Wav2Vec2BertModel

    torch.manual_seed(seed)
    config = Wav2Vec2BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        feature_projection_input_dim=320,
        conv_depthwise_kernel_size=3,
        vocab_size=8,
    )
    Wav2Vec2BertModel(config).save_pretrained(folder)
    SeamlessM4TFeatureExtractor(stride=4).save_pretrained(folder)
    return folder


def make_ctc_encoder(folder: Path, seed: int = 0) -> Path:
    """As `make_encoder`, with a CTC head over letters as its phones (blank 0, unknown 1)."""
    import json

    import torch
    from transformers import AutoConfig, Wav2Vec2BertForCTC, Wav2Vec2PhonemeCTCTokenizer

    vocab = ["<pad>", "<unk>", *"abcdefghijklmnopqrstuvwxyz"]
    config = AutoConfig.from_pretrained(make_encoder(folder, seed))
    config.vocab_size, config.pad_token_id = len(vocab), 0
    torch.manual_seed(seed)
    Wav2Vec2BertForCTC(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocab)}))
    Wav2Vec2PhonemeCTCTokenizer(
        str(folder / "vocab.json"),
        bos_token=None,
        eos_token=None,
        unk_token="<unk>",
        pad_token="<pad>",
        phone_delimiter_token=" ",
        do_phonemize=False,
    ).save_pretrained(folder)
    return folder


def make_llm(folder: Path, seed: int = 0) -> Path:
    """A random Llama of width 16 with a chat template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from speechllm.standin.llm import train_tokenizer

    torch.manual_seed(seed)
    tokenizer = train_tokenizer(SENTENCES, 300)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_speech_llm(folder: Path, **settings: object) -> "SpeechLLM":
    """A random Speech LLM of the two in eval mode; `settings` are those of ModelConfig."""
    from speechllm.config import ModelConfig
    from speechllm.model.speech_llm import SpeechLLM

    parts = {"encoder": str(make_encoder(folder / "encoder")), "llm": str(make_llm(folder / "llm"))}
    settings = {"projector": {"downsampling": 2, "hidden": 16}, **parts, **settings}
    return SpeechLLM(ModelConfig(**settings)).eval()


def make_set(folder: Path, speaker: str, audio: bool = True, seed: int = 0) -> Path:
    """A data dir of eight utterances, half a second to two seconds of noise each."""
    from speechllm.data.dirs.kaldi import write_data_dir

    rng = np.random.default_rng(seed)
    ids = [f"{speaker}-{n}" for n in range(len(SENTENCES))]
    text = dict(zip(ids, SENTENCES, strict=True))
    if not audio:
        write_data_dir(folder, text=text)
        return folder
    wav, durations = {}, {}
    for utt in ids:
        samples = rng.normal(0, 0.1, rng.integers(8000, 32000))
        path = folder / "wav" / f"{utt}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, 16000)
        wav[utt], durations[utt] = str(path), len(samples) / 16000
    speakers = dict.fromkeys(ids, speaker)
    write_data_dir(folder, text=text, wav=wav, utt2spk=speakers, utt2dur=durations)
    return folder


def make_spoken(folder: Path) -> Path:
    """A data dir in which every letter has a tone of its own."""
    from speechllm.data.dirs.kaldi import write_data_dir

    wav, text, seconds = {}, {}, {}
    (folder / "wav").mkdir(parents=True)
    for n, sentence in enumerate(SENTENCES):
        pitch = np.repeat([150 * 1.12 ** (ord(c) - 96) if c != " " else 0 for c in sentence], 1600)
        wav[f"s-{n}"], text[f"s-{n}"] = f"{folder}/wav/{n}.wav", sentence
        seconds[f"s-{n}"] = len(pitch) / RATE
        soundfile.write(wav[f"s-{n}"], 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE), RATE)
    speakers = dict.fromkeys(wav, "s")
    write_data_dir(folder, text=text, wav=wav, utt2spk=speakers, utt2dur=seconds)
    return folder


def make_spoken_source(work: Path) -> list[Path]:
    """Tiny models, and two spoken sets (train, dev) with their features, in a folder."""
    from speechllm.cli import main

    make_encoder(work / "encoder")
    make_llm(work / "llm")
    sets = [make_spoken(work / "data" / name) for name in ("train", "dev")]
    features = ["features", "--encoder", f"{work}/encoder", "--dump", f"{work}/dump"]
    main([*features, *map(str, sets)])
    main([*features, "--merge", *map(str, sets)])
    return sets
