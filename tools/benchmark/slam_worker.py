"""A worker of slam.py: SLAM-LLM's model, dataset and collator. One turn trains on all utterances.

Its `train` knows no CPU, so that loop is written out here as it is there. Modules that it imports
and that no step uses (tracking, checkpoints, resampling) are stood in for, and recordings are read
by this build, since its own way is to call ffmpeg.
"""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, WhisperModel
from turns import seconds, serve

from speechllm.data.dirs.kaldi import DataDir
from speechllm.data.speech.audio import load_audio

settings = json.loads(sys.argv[1])
sys.path.insert(0, str(Path(settings["slam"]) / "src"))
for name in ("wandb", "deepspeed.utils.zero_to_fp32", "pkg_resources", "torchaudio"):
    for end in [n for n, letter in enumerate(name + ".") if letter == "."]:
        sys.modules[name[:end]] = MagicMock(__spec__=None)

import whisper  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402
from slam_llm.datasets.speech_dataset import get_speech_dataset  # noqa: E402
from slam_llm.models.slam_model import model_factory  # noqa: E402
from slam_llm.utils.config_utils import get_dataloader_kwargs  # noqa: E402

NAMES = {
    "embed_positions.weight": "positional_embedding",
    "layers.": "blocks.",
    "self_attn_layer_norm": "attn_ln",
    "self_attn.q_proj": "attn.query",
    "self_attn.k_proj": "attn.key",
    "self_attn.v_proj": "attn.value",
    "self_attn.out_proj": "attn.out",
    "fc1": "mlp.0",
    "fc2": "mlp.2",
    "final_layer_norm": "mlp_ln",
    "layer_norm": "ln_post",
}
"""Parts of Whisper's encoder: in transformers, and in openai-whisper, which SLAM-LLM loads."""


def write_whisper(path: Path) -> None:
    """The encoder as a checkpoint of openai-whisper; of the decoder, which is not used, a stub."""
    encoder = WhisperModel.from_pretrained(settings["encoder"]).encoder
    config = encoder.config
    audio = {
        "n_mels": config.num_mel_bins,
        "n_audio_ctx": config.max_source_positions,
        "n_audio_state": config.d_model,
        "n_audio_head": config.encoder_attention_heads,
        "n_audio_layer": config.encoder_layers,
    }
    text = {"n_vocab": 8, "n_text_ctx": 8, "n_text_layer": 1}
    text |= {"n_text_state": config.d_model, "n_text_head": config.encoder_attention_heads}
    tensors = whisper.model.Whisper(whisper.ModelDimensions(**audio, **text)).state_dict()
    for name, tensor in encoder.state_dict().items():
        for here, there in NAMES.items():
            name = name.replace(here, there)
        assert tensors[f"encoder.{name}"].shape == tensor.shape
        tensors[f"encoder.{name}"] = tensor
    torch.save({"dims": {**audio, **text}, "model_state_dict": tensors}, path)


def configs(folder: Path) -> DictConfig:
    """Of its recipe for LibriSpeech with Whisper, with LoRA."""
    encoder, llm = (AutoConfig.from_pretrained(settings[key]) for key in ("encoder", "llm"))
    write_whisper(folder / "whisper.pt")
    data = DataDir.load(settings["data"])
    lines = [{"key": u, "source": u, "target": text} for u, text in data.text.items()]
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    lora = {"r": 8, "lora_alpha": 32, "target_modules": ["q_proj", "v_proj"], "lora_dropout": 0.05}
    off = dict.fromkeys(("enable_fsdp", "enable_ddp", "enable_deepspeed", "quantization"), False)
    return OmegaConf.create(
        {
            "model": {
                "llm_name": "llm",
                "llm_path": settings["llm"],
                "llm_dim": llm.hidden_size,
                "encoder_name": "whisper",
                "encoder_path": str(folder / "whisper.pt"),
                "encoder_path_hf": None,
                "whisper_decode": False,
                "encoder_dim": encoder.d_model,
                "encoder_projector": "linear",
                "encoder_projector_ds_rate": 5,
            },
            "train": {
                "model_name": "asr",
                "freeze_encoder": True,
                "freeze_llm": True,
                "use_peft": True,
                "peft_config": {**lora, "task_type": "CAUSAL_LM"},
                "batching_strategy": "custom",
                "batch_size_training": 4,
                **off,
            },
            "data": {
                "train_data_path": str(folder / "train.jsonl"),
                "input_type": "mel",
                "mel_size": encoder.num_mel_bins,
            },
        }
    )


def load_llm(path: str, **options: Any) -> nn.Module:
    """As it loads it: younger transformers refuse options that are None, and would keep the type
    in which weights are saved.
    """
    given = {name: value for name, value in options.items() if value is not None}
    return from_pretrained(path, dtype=torch.float32, **given)


from_pretrained = AutoModelForCausalLM.from_pretrained
AutoModelForCausalLM.from_pretrained = load_llm
folder = Path(settings["work"]) / "slam"
folder.mkdir(exist_ok=True)
with redirect_stdout(sys.stderr):  # it prints, and this worker's output is its answers
    config = configs(folder)
    model, tokenizer = model_factory(config.train, config.model, metric="acc")
projector = load_file(settings["weights"])
for mine, its in (("layers.0", "linear1"), ("layers.2", "linear2")):
    for kind in ("weight", "bias"):
        parameter = getattr(getattr(model.encoder_projector, its), kind)
        parameter.data = projector[f"projector.{mine}.{kind}"]
audio = DataDir.load(settings["data"]).audio
whisper.load_audio = lambda utt: load_audio(audio[utt])
dataset = get_speech_dataset(config.data, tokenizer, "train")
loader = torch.utils.data.DataLoader(
    dataset, num_workers=0, **get_dataloader_kwargs(config.train, dataset, tokenizer, "train")
)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)


def work() -> tuple[float, dict]:
    """Train; returns utterances in a second, and positions of the LLM that one took."""
    model.train()
    seen, positions, started = 0, 0, seconds()
    for batch in loader:
        with torch.autocast("cpu", torch.bfloat16, settings["dtype"] == "bf16"):
            outputs, _ = model(**batch)
        outputs.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seen += len(batch["input_ids"])
        positions += batch["input_ids"].numel()
    return seen / (seconds() - started), {"positions": positions / seen}


if __name__ == "__main__":
    serve(work)
