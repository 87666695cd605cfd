"""Tiny random Speech LLMs of every family, with their real processor and tokenizer classes."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import torch

from tests.helpers.tiny import SENTENCES

WIDTH = 16
QWEN3_ASR_TEMPLATE = (
    "<|im_start|>system\n"
    "{% for m in messages if m.role == 'system' %}{{ m.content[0].text }}{% endfor %}<|im_end|>\n"
    "{% for m in messages if m.role == 'user' %}<|im_start|>user\n{% for c in m.content %}"
    "{% if c.type == 'audio' %}<|audio_start|><|audio_pad|><|audio_end|>"
    "{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    "{% for m in messages if m.role == 'assistant' %}"
    "{{ m.content if m.content is string else m.content[0].text }}<|im_end|>\n{% endfor %}"
)
GRANITE_TEMPLATE = (
    "{% if messages[0].role != 'system' %}<|start_of_role|>system<|end_of_role|>"
    "Today's Date: {{ strftime_now('%B %d, %Y') }}.<|end_of_text|>\n{% endif %}"
    "{% for m in messages %}<|start_of_role|>{{ m.role }}<|end_of_role|>{{ m.content }}"
    "<|end_of_text|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start_of_role|>assistant<|end_of_role|>{% endif %}"
)
MISTRAL_TOKENS = (  # in the order of their ids; the processor knows the audio's, 24
    "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] "
    "[/TOOL_RESULTS] [TOOL_CALLS] [IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] "
    "[SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT] <20> <21> <22> <23> [AUDIO] [BEGIN_AUDIO] "
    "[TRANSCRIBE]"
)
QWEN_ROLES = ("<|im_start|>", "<|im_end|>")


def make_qwen2_audio(folder: Path) -> Path:
    """Windows of two seconds instead of thirty; else as the real one: 25 Hz, one linear layer.

    Its tokenizer's own end of sequence is not what ends a turn.
    """
    from transformers import (
        Qwen2AudioConfig,
        Qwen2AudioForConditionalGeneration,
        Qwen2AudioProcessor,
        Qwen2Tokenizer,
        WhisperFeatureExtractor,
    )

    tokenizer = Qwen2Tokenizer(**_bpe())
    audio = ("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
    tokenizer.add_tokens([*QWEN_ROLES, *audio], special_tokens=True)
    config = Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": 8,
            "d_model": WIDTH,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "max_source_positions": 100,
        },
        text_config={"model_type": "qwen2", "num_key_value_heads": 1, **_text(tokenizer)},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    extractor = WhisperFeatureExtractor(feature_size=8, chunk_length=2)
    Qwen2AudioProcessor(extractor, tokenizer).save_pretrained(folder)
    return _save(Qwen2AudioForConditionalGeneration(_seeded(config)), folder, tokenizer)


def make_qwen3_asr(folder: Path) -> Path:
    """12.5 Hz, two linear layers, the answer's language in the prompt; tied embeddings."""
    from transformers import (
        Qwen2Tokenizer,
        Qwen3ASRConfig,
        Qwen3ASRFeatureExtractor,
        Qwen3ASRForConditionalGeneration,
        Qwen3ASRProcessor,
    )

    audio = {"audio_token": "pad", "audio_bos_token": "start", "audio_eos_token": "end"}
    tokenizer = Qwen2Tokenizer(
        **_bpe(),
        eos_token="<|im_end|>",
        extra_special_tokens={name: f"<|audio_{token}|>" for name, token in audio.items()},
    )
    tokenizer.add_tokens([*QWEN_ROLES, "<asr_text>"], special_tokens=True)
    config = Qwen3ASRConfig(
        audio_config={
            "model_type": "qwen3_asr_encoder",
            "num_mel_bins": 8,
            "d_model": WIDTH,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "output_dim": WIDTH,
            "n_window_infer": 100,
            "downsample_hidden_size": 4,
        },
        text_config={
            "model_type": "qwen3",
            "num_key_value_heads": 1,
            "head_dim": 8,
            "tie_word_embeddings": True,
            **_text(tokenizer),
        },
        audio_token_id=tokenizer.audio_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    extractor = Qwen3ASRFeatureExtractor(feature_size=8)
    Qwen3ASRProcessor(extractor, tokenizer, QWEN3_ASR_TEMPLATE).save_pretrained(folder)
    return _save(Qwen3ASRForConditionalGeneration(_seeded(config)), folder, tokenizer)


def make_voxtral(folder: Path) -> Path:
    """Windows of 30 s, four frames stacked, a tokenizer of bytes in Mistral's own format."""
    import pytest

    pytest.importorskip("mistral_common", reason="Voxtral's tokenizer needs mistral-common")
    from transformers import (
        MistralCommonBackend,
        VoxtralConfig,
        VoxtralForConditionalGeneration,
        VoxtralProcessor,
        WhisperFeatureExtractor,
    )

    folder.mkdir(parents=True, exist_ok=True)
    special = [
        {"rank": rank, "token_str": token, "is_control": True}
        for rank, token in enumerate(MISTRAL_TOKENS.split())
    ]
    letters = [
        {"rank": n, "token_bytes": b64encode(bytes([n])).decode(), "token_str": None}
        for n in range(256)
    ]
    spectrogram = {"num_mel_bins": 8, "hop_length": 160, "window_size": 400}
    tekken = {
        "config": {
            "pattern": r"[^\s]+|\s+",
            "num_vocab_tokens": len(letters),
            "default_vocab_size": len(letters) + len(special),
            "default_num_special_tokens": len(special),
            "version": "v7",
        },
        "vocab": letters,
        "special_tokens": special,
        "audio": {
            "sampling_rate": 16000,
            "frame_rate": 12.5,
            "chunk_length_s": 30.0,
            "audio_encoding_config": spectrogram,
        },
    }
    (folder / "tekken.json").write_text(json.dumps(tekken))
    tokenizer = MistralCommonBackend.from_pretrained(folder)
    config = VoxtralConfig(
        audio_config={
            "model_type": "voxtral_encoder",
            "num_mel_bins": 8,
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
        },
        text_config={
            "model_type": "llama",
            "num_key_value_heads": 1,
            "head_dim": 8,
            **_text(tokenizer),
            "vocab_size": len(tokenizer),  # as in the real one, whose tokenizer knows no other id
        },
        audio_token_id=24,
    )
    VoxtralProcessor(WhisperFeatureExtractor(feature_size=8), tokenizer).save_pretrained(folder)
    return _save(VoxtralForConditionalGeneration(_seeded(config)), folder, tokenizer)


def make_granite_speech(folder: Path, adapter: bool = False) -> Path:
    """Two queries over windows of six frames; multiplied embeddings; a template with the date.

    With `adapter`, LoRA that matters lies beside the weights, as in the model on the hub.
    """
    from peft import LoraConfig
    from transformers import GPT2Tokenizer, GraniteSpeechConfig, PreTrainedModel
    from transformers import GraniteSpeechForConditionalGeneration as Model

    end = "<|end_of_text|>"
    tokenizer = GPT2Tokenizer(**_bpe(), unk_token=end, bos_token=end, eos_token=end, pad_token=end)
    roles = ["<|start_of_role|>", "<|end_of_role|>"]
    tokenizer.add_tokens([*roles, "<|audio|>"], special_tokens=True)
    tokenizer.chat_template = GRANITE_TEMPLATE
    config = GraniteSpeechConfig(
        encoder_config={
            "input_dim": 16,
            "num_layers": 2,
            "hidden_dim": WIDTH,
            "num_heads": 2,
            "output_dim": 6,
            "context_size": 10,
            "max_pos_emb": 16,
            "conv_kernel_size": 3,
        },
        projector_config={
            "model_type": "blip_2_qformer",
            "hidden_size": WIDTH,
            "encoder_hidden_size": WIDTH,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "cross_attention_frequency": 1,
        },
        text_config={
            "model_type": "granite",
            "num_key_value_heads": 1,
            "embedding_multiplier": 3.0,
            "logits_scaling": 4.0,
            "residual_multiplier": 0.5,
            "tie_word_embeddings": True,
            **_text(tokenizer),
        },
        audio_token_index=tokenizer.convert_tokens_to_ids("<|audio|>"),
        has_lora_adapter=adapter,
        window_size=6,
        downsample_rate=3,
    )
    tokenizer.save_pretrained(folder)
    settings = {
        "feature_extractor_type": "GraniteSpeechFeatureExtractor",
        "n_mels": 8,
        "projector_window_size": 6,
        "projector_downsample_rate": 3,
    }  # written by hand: the class itself needs torchaudio
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    model = Model(_seeded(config))
    _save(model, folder, tokenizer)
    if adapter:
        model.add_adapter(LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter)
        PreTrainedModel.save_pretrained(model, folder)  # of the model itself, the adapter alone
    return folder


MAKERS = {
    "qwen2_audio": make_qwen2_audio,
    "qwen3_asr": make_qwen3_asr,
    "voxtral": make_voxtral,
    "granite_speech": make_granite_speech,
}


def _bpe() -> dict[str, Any]:
    """Vocabulary and merges of a byte-level BPE over the tests' sentences."""
    from speechllm.standin.llm import train_tokenizer

    model = json.loads(train_tokenizer(SENTENCES, 300).backend_tokenizer.to_str())["model"]
    return {"vocab": model["vocab"], "merges": [tuple(pair) for pair in model["merges"]]}


def _text(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer) + 3,  # some rows are of no token, as in real models
        "hidden_size": WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.3,  # else all logits are alike
    }


def _seeded(config: Any) -> Any:
    torch.manual_seed(0)
    return config


def _save(model: Any, folder: Path, tokenizer: Any) -> Path:
    ends = {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")} - {None}
    model.generation_config.eos_token_id = sorted(ends)
    model.save_pretrained(folder)
    return folder
