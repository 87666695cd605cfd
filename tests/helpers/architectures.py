"""A tiny random folder of each architecture, with its real tokenizer or extractor class."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.helpers.tiny import SENTENCES, make_encoder

WIDTH = 16
CONVOLUTIONS = {  # two instead of seven; 100 Hz instead of 50
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8, 8),
    "conv_stride": (16, 10),
    "conv_kernel": (20, 10),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}


def _seed() -> None:
    import torch

    torch.manual_seed(0)


def _wav2vec2_like(name: str, **settings: Any) -> Callable[[Path], Path]:
    """Encoders that hear samples: the large ones normalise layers, the base ones groups."""

    def make(folder: Path) -> Path:
        import transformers

        config = getattr(transformers, f"{name}Config")(**CONVOLUTIONS, **settings)
        _seed()
        getattr(transformers, f"{name}Model")(config).save_pretrained(folder)
        large = config.feat_extract_norm == "layer"
        transformers.Wav2Vec2FeatureExtractor(
            do_normalize=large, return_attention_mask=large
        ).save_pretrained(folder)
        return folder

    return make


def make_whisper(folder: Path) -> Path:
    """Windows of two seconds instead of thirty; a whole recogniser with decoder and tokenizer."""
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    tokenizer = WhisperTokenizer(**_bpe())
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=8,
        d_model=WIDTH,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        max_source_positions=100,
        max_target_positions=32,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    _seed()
    WhisperForConditionalGeneration(config).save_pretrained(folder)
    extractor = WhisperFeatureExtractor(feature_size=8, chunk_length=2)
    WhisperProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


def make_parakeet(folder: Path) -> Path:
    """FastConformer with a CTC head: 12.5 Hz."""
    from transformers import (
        ParakeetCTCConfig,
        ParakeetEncoderConfig,
        ParakeetFeatureExtractor,
        ParakeetForCTC,
    )

    encoder = ParakeetEncoderConfig(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        num_mel_bins=16,
        subsampling_conv_channels=4,
        initializer_range=0.3,  # else all frames are alike
        conv_kernel_size=3,
    )
    _seed()
    config = ParakeetCTCConfig(vocab_size=8, pad_token_id=7, encoder_config=encoder.to_dict())
    ParakeetForCTC(config).save_pretrained(folder)
    ParakeetFeatureExtractor(feature_size=16).save_pretrained(folder)
    return folder


def _tower(name: str) -> Callable[[Path], Path]:
    """A whole audio LLM, of which only the tower is used."""

    def make(folder: Path) -> Path:
        from tests.helpers.speech_llms import MAKERS

        return MAKERS[name](folder)

    return make


def make_voxtral(folder: Path) -> Path:
    """Windows of two seconds; four frames of the tower are stacked by what comes after it."""
    from transformers import VoxtralConfig, VoxtralForConditionalGeneration, WhisperFeatureExtractor

    layers = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": WIDTH}
    config = VoxtralConfig(
        audio_config={
            **layers,
            "num_mel_bins": 8,
            "intermediate_size": 4 * WIDTH,
            "max_source_positions": 100,
        },
        text_config={
            "model_type": "llama",
            **layers,
            "intermediate_size": 32,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "vocab_size": 32,
        },
        audio_token_id=3,
    )
    _seed()
    VoxtralForConditionalGeneration(config).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=8, chunk_length=2).save_pretrained(folder)
    return folder


ENCODERS: dict[str, tuple[Callable[[Path], Path], float]] = {
    "wavlm_large": (_wav2vec2_like("WavLM", **LAYER_NORM), 100),
    "wavlm_base": (_wav2vec2_like("WavLM"), 100),
    "hubert": (_wav2vec2_like("Hubert", **LAYER_NORM), 100),
    "wav2vec2": (_wav2vec2_like("Wav2Vec2", **LAYER_NORM), 100),
    "wav2vec2_base": (_wav2vec2_like("Wav2Vec2"), 100),
    "wav2vec2_conformer": (_wav2vec2_like("Wav2Vec2Conformer", feat_extract_norm="layer"), 100),
    "sew": (_wav2vec2_like("SEW", feat_extract_norm="layer", squeeze_factor=2), 100),
    "wav2vec2_bert": (make_encoder, 25),
    "whisper": (make_whisper, 50),
    "parakeet": (make_parakeet, 12.5),
    "qwen2_audio": (_tower("qwen2_audio"), 25),
    "qwen3_asr": (_tower("qwen3_asr"), 13),
    "voxtral": (make_voxtral, 50),
    "granite_speech": (_tower("granite_speech"), 50),
}
"""Architecture -> what makes its folder, and its frames per second."""


def _bpe() -> dict[str, Any]:
    """Vocabulary and merges of a byte-level BPE over the tests' sentences."""
    from speechllm.standin.llm import train_tokenizer

    model = json.loads(train_tokenizer(SENTENCES, 300).backend_tokenizer.to_str())["model"]
    return {"vocab": model["vocab"], "merges": [tuple(pair) for pair in model["merges"]]}


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = CHATML.replace(
    "assistant\n{% endif %}",
    "assistant\n{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}",
)
LLAMA3 = (
    "{{ bos_token }}{% if not date_string is defined %}{% if strftime_now is defined %}"
    "{% set date_string = strftime_now('%d %b %Y') %}{% else %}"
    "{% set date_string = '26 Jul 2024' %}{% endif %}{% endif %}"
    "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
    "Today Date: {{ date_string }}\n\n<|eot_id|>"
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user and assistant') }}{% endif %}"
    "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %}"
    " {{ m.content | trim }}{{ eos_token }}{% endif %}{% endfor %}"
)
PHI3 = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SMOLLM3 = THINKING.replace(
    "{% for m in messages %}",
    "<|im_start|>system\n## Metadata\n\nToday Date: {{ strftime_now('%d %B %Y') }}<|im_end|>\n"
    "{% for m in messages %}",
    1,
)
VICUNA = (
    "{{ bos_token }}A chat between a curious user and an assistant. "
    "{% for m in messages %}{{ m.role | upper }}: {{ m.content }} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
TEXT = {
    "hidden_size": WIDTH,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,  # else all logits are alike
}


def _pieces() -> dict[str, Any]:
    """Vocabulary and merges as SentencePiece has them: words begin with ▁, bytes as a fallback."""
    from tokenizers import Tokenizer, models, normalizers, trainers

    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    special = ["<unk>", "<s>", "</s>", "<pad>", "<bos>", "<eos>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=450,
        special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    backend.train_from_iterator([word for s in SENTENCES for word in s.split()], trainer)
    model = json.loads(backend.to_str())["model"]
    return {"vocab": model["vocab"], "merges": [tuple(pair) for pair in model["merges"]]}


def _tokenizer(name: str, special: dict[str, str]) -> Any:
    """A tokenizer of one of transformers' classes."""
    import transformers

    from speechllm.standin.llm import train_tokenizer

    if name == "PreTrainedTokenizerFast":
        backend = train_tokenizer(SENTENCES, 300).backend_tokenizer
        return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    vocabulary = _pieces() if name in ("LlamaTokenizer", "GemmaTokenizer") else _bpe()
    return getattr(transformers, name)(**vocabulary, **special)


def _llm(
    model: str,
    tokenizer: str,
    template: str | None,
    special: dict[str, str] | None = None,
    roles: str = "",
    **settings: Any,
) -> Callable[[Path], Path]:
    """A causal LM with the tokenizer class, special tokens and chat template of its family."""

    def make(folder: Path) -> Path:
        import transformers

        used = _tokenizer(tokenizer, special or {})
        used.add_tokens(roles.split(), special_tokens=True)
        used.chat_template = template
        used.save_pretrained(folder)
        ids = {
            name: getattr(used, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")
        }
        causal = getattr(transformers, f"{model}ForCausalLM")
        config = causal.config_class(**{**TEXT, **settings}, vocab_size=len(used), **ids)
        _seed()
        causal(config).save_pretrained(folder)
        return folder

    return make


BEGIN_END = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}  # and no pad token
QWEN = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}  # and no bos token
GEMMA_TOKENS = "<start_of_turn> <end_of_turn>"
IM = {name: "<|im_end|>" for name in ("eos_token", "pad_token")}
LLMS: dict[str, Callable[[Path], Path]] = {
    "llama3": _llm(
        "Llama",
        "PreTrainedTokenizerFast",
        LLAMA3,
        BEGIN_END,
        "<|start_header_id|> <|end_header_id|>",
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 256,
        },
    ),
    "qwen2": _llm("Qwen2", "Qwen2Tokenizer", CHATML, QWEN, "<|im_start|>"),
    "qwen3": _llm(
        "Qwen3",
        "Qwen2Tokenizer",
        THINKING,
        QWEN,
        "<|im_start|> <think> </think>",
        head_dim=8,
        tie_word_embeddings=True,
    ),
    "gemma2": _llm("Gemma2", "GemmaTokenizer", GEMMA, {}, GEMMA_TOKENS, head_dim=8),
    "gemma3": _llm("Gemma3", "GemmaTokenizer", GEMMA, {}, GEMMA_TOKENS, head_dim=8),
    "mistral": _llm("Mistral", "LlamaTokenizer", MISTRAL, {}, "[INST] [/INST]", sliding_window=64),
    "phi3": _llm(
        "Phi3", "LlamaTokenizer", PHI3, {"eos_token": "<|end|>"}, "<|user|> <|assistant|>"
    ),
    "smollm2": _llm(
        "Llama",
        "GPT2Tokenizer",
        CHATML,
        {"bos_token": "<|im_start|>", "unk_token": "<|im_end|>", **IM},
        tie_word_embeddings=True,
    ),
    "smollm3": _llm("SmolLM3", "PreTrainedTokenizerFast", SMOLLM3, IM, "<|im_start|> <think>"),
    "vicuna": _llm("Llama", "LlamaTokenizer", None, {"pad_token": "<unk>"}),
}
"""Architecture -> what makes its folder."""

CHAT_TEMPLATES = {"vicuna": VICUNA}
"""Templates that the config must give, since the tokenizer has none."""
LORA_TARGETS = {"phi3": ["qkv_proj"]}
"""Where the attention's projections have other names than q_proj and v_proj."""


def make_bert(folder: Path) -> Path:
    """A text encoder, which is neither a speech encoder nor a causal LM."""
    from transformers import BertConfig, BertForMaskedLM

    sizes = {k: TEXT[k] for k in ("hidden_size", "intermediate_size", "num_hidden_layers")}
    config = BertConfig(vocab_size=32, num_attention_heads=2, **sizes)
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


def make_bart(folder: Path) -> Path:
    """A text encoder-decoder."""
    from transformers import BartConfig, BartForConditionalGeneration

    layers = {
        f"{side}_{what}": 2 if what != "ffn_dim" else 32
        for side in ("encoder", "decoder")
        for what in ("layers", "attention_heads", "ffn_dim")
    }
    config = BartConfig(vocab_size=32, d_model=WIDTH, max_position_embeddings=32, **layers)
    BartForConditionalGeneration(config).save_pretrained(folder)
    return folder


def make_vit(folder: Path) -> Path:
    """A vision encoder."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=8,
        patch_size=4,
    )
    ViTModel(config).save_pretrained(folder)
    return folder
