"""A model's LLM as transformers and peft load it, without anything of this build."""

import torch
from torch import nn
from transformers import AutoModelForCausalLM

from speechllm.model.llm import add_lora
from speechllm.model.speech_llm import SpeechLLM

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def plain_llm(model: SpeechLLM, dtype: str) -> nn.Module:
    """An LLM with the weights of the model's, LoRA beside them; all of it in that dtype."""
    llm = AutoModelForCausalLM.from_pretrained(model.config.llm, dtype=torch.float32)
    if model.config.lora:
        llm = add_lora(llm, model.config.lora)
    llm.load_state_dict(model.llm.state_dict())
    return llm.to(DTYPES[dtype]).eval()
