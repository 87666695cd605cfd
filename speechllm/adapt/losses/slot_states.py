"""Hidden states of the LLM at the positions of the speech slot."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from speechllm.errors import ConfigError
from speechllm.model.llm import head_sees_only
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example, collate


def slot_states(
    model: SpeechLLM, examples: Sequence[Example], layers: Collection[int]
) -> Mapping[int, Sequence[Tensor]]:
    """Run prompts with slots through the LLM; keep the hidden states at the slot.

    Attention is causal, so the states do not depend on what follows the slot.

    Args:
        model: model; gradients flow if they are enabled.
        examples: at least one; their answers are not shown.
        layers: 0 is the LLM's input, n the output of its n-th layer.

    Returns:
        States [positions of the slot, E] of each example, by layer.
    """
    prompt, length = model.prompt, model.projector.output_length
    batch = collate(examples, prompt, length, with_target=False).to(model.device)
    filled = model.fill(batch)
    spoken = filled.speech_mask.sum(1).tolist()
    sizes = [n if e.has_speech else len(e.slot) for n, e in zip(spoken, examples, strict=True)]
    slot = torch.zeros_like(filled.speech_mask)
    end = slot.shape[1] - len(prompt.suffix)  # pads stand on the left
    for row, size in zip(slot, sizes, strict=True):
        row[end - size : end] = True
    with head_sees_only(model.llm, torch.zeros_like(slot)):
        states = model.llm(
            inputs_embeds=filled.embeddings,
            attention_mask=filled.attention_mask,
            output_hidden_states=True,
        ).hidden_states
    return {layer: states[layer][slot].split(sizes) for layer in layers}


def layer_number(model: SpeechLLM, layer: int, key: str) -> int:
    """Number of a layer counted from the LLM's input, which is 0; negative ones count from the end.

    Args:
        model: model with the LLM.
        layer: number as in the config; -1 is the last layer.
        key: config key that the error names.

    Raises:
        ConfigError: there is no such layer.
    """
    depth = model.llm.config.get_text_config().num_hidden_layers
    if not -depth - 1 <= layer <= depth:
        raise ConfigError(f"{key}: there is no layer {layer}; the last one of the LLM is {depth}")
    return layer % (depth + 1)
