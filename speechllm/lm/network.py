"""Networks that score tokens from left to right, and keep a state."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from speechllm.lm.config import NetworkConfig
from speechllm.model.compute.half import try_out


class Network(ABC):
    """Interface of networks that read rows of tokens piece by piece.

    Attributes:
        size: number of tokens that it knows.
    """

    size: int

    @abstractmethod
    def advance(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Read ids [N, T]; return logits of the token after each [N, T, V], and the new state.

        The old state may be changed in place, so it must not be used again.
        """

    @abstractmethod
    def select(self, state: Any, rows: Tensor) -> Any:
        """State of rows [M], in any order and number; the old state must not be used again."""


class LstmLM(Network, nn.Module):
    """LSTM whose output layer is tied to its embedding (Press and Wolf, 1608.05859)."""

    def __init__(self, config: NetworkConfig, size: int):
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(size, config.width)
        nn.init.normal_(self.embedding.weight, std=config.width**-0.5)
        between = config.dropout if config.layers > 1 else 0.0
        self.lstm = nn.LSTM(
            config.width, config.width, config.layers, dropout=between, batch_first=True
        )
        self.dropout = nn.Dropout(config.dropout)
        self.bias = nn.Parameter(torch.zeros(size))

    def advance(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        with torch.autocast(ids.device.type, enabled=False):
            hidden, state = self.lstm(self.dropout(self.embedding(ids)), state)
            return self.dropout(hidden) @ self.embedding.weight.T + self.bias, state

    def select(self, state: Any, rows: Tensor) -> Any:
        return tuple(part.index_select(1, rows) for part in state)


class CausalNetwork(Network):
    """Causal LM of transformers, with its cache as the state."""

    def __init__(self, model: Any):
        try_out(model, "the language model", "set precision: fp32")
        self.model = model
        self.size = model.get_input_embeddings().weight.shape[0]

    def advance(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        found = self.model(input_ids=ids, past_key_values=state, use_cache=True)
        return found.logits, found.past_key_values

    def select(self, state: Any, rows: Tensor) -> Any:
        state.reorder_cache(rows)
        return state


def make_module(config: NetworkConfig, size: int) -> nn.Module:
    """New LSTM, or small Llama, for `size` tokens."""
    if config.kind == "lstm":
        return LstmLM(config, size)
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size,
            hidden_size=config.width,
            intermediate_size=4 * config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=2048,
            attention_dropout=config.dropout,
            tie_word_embeddings=True,
            initializer_range=config.width**-0.5,
            attn_implementation="sdpa",
        )
    )


def as_network(module: nn.Module) -> Network:
    """`Network` that reads with a module of `make_module`."""
    return module if isinstance(module, Network) else CausalNetwork(module)
