"""GPU memory that training takes: weights and optimiser counted, activations estimated."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from speechllm.config import TrainConfig

if TYPE_CHECKING:
    from speechllm.model.speech_llm import SpeechLLM

GIB = 2**30
FOUR_BITS = 0.5 + 0.127 / 8  # bytes; with the constants of double quantisation (2305.14314, s. 3)
TRANSCRIPT_SHARE = 0.25  # of a batch's positions; the rest is prompt, speech and pads
ADAMW = 8  # bytes for each trained number: two moments
LOGIT = 12  # bytes for each logit: itself, its log-softmax and its gradient, in float32


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU while training.

    Attributes:
        frozen: weights that are not trained, in the precision in which they are kept.
        trained: trained weights, in float32.
        gradients: gradients of the trained weights.
        optimiser: the optimiser's moments.
        activations: what the backward pass needs of the forward pass; an estimate.
        logits: logits at label positions, with their gradient; an estimate.
    """

    frozen: float
    trained: float
    gradients: float
    optimiser: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        return sum(vars(self).values())


def training_memory(model: "SpeechLLM", train: TrainConfig | None) -> Memory:
    """Memory of a training step; parameters that require gradients now are the trained ones.

    Args:
        model: the model; it may be a sketch without weights.
        train: size of a batch and precision; None for a model that is not trained.
    """
    quantised = _linear_weights(model.llm) if model.config.load_in_4bit else set()
    frozen = sum(
        p.numel() * (FOUR_BITS if id(p) in quantised else p.element_size())
        for p in model.parameters()
        if not p.requires_grad
    )
    trained = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    activations = logits = 0.0
    if train:
        text = model.llm.config.get_text_config()
        lora = len(model.config.lora.targets) if model.config.lora else 0
        width = 4 if train.precision == "fp32" else 2
        kept = bytes_per_position(text, width, lora, train.gradient_checkpointing)
        activations = train.batch_positions * kept
        logits = train.batch_positions * TRANSCRIPT_SHARE * text.vocab_size * LOGIT
    return Memory(frozen, trained, trained, trained / 4 * ADAMW, activations, logits)


def bytes_per_position(text: Any, width: int, lora: int, checkpointing: bool) -> float:
    """Bytes that the forward pass keeps for each position of a batch, in all layers together.

    Counted for a layer of the Llama kind with frozen weights and fused attention, which keeps no
    scores: the inputs of two norms in float32, queries, keys, values and output of attention,
    three inner vectors of the MLP, and the inputs of LoRA.

    Args:
        text: the LLM's config.
        width: bytes of a number in the forward pass.
        lora: number of LoRA's target modules in a layer.
        checkpointing: keep each layer's input only, and the inside of one layer at a time.
    """
    hidden = text.hidden_size
    heads = text.num_attention_heads
    head = getattr(text, "head_dim", None) or hidden // heads
    keys = (getattr(text, "num_key_value_heads", None) or heads) * head
    attention = 2 * heads * head + 2 * keys
    layer = 8 * hidden + width * (attention + 3 * text.intermediate_size + lora * hidden)
    if checkpointing:
        return text.num_hidden_layers * width * hidden + layer
    return text.num_hidden_layers * layer


def _linear_weights(llm: nn.Module) -> set[int]:
    """Weights that 4-bit loading compresses: those of linear layers, but for the head."""
    head = llm.get_output_embeddings()
    return {id(m.weight) for m in llm.modules() if isinstance(m, nn.Linear) and m is not head}
