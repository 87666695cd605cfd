"""Soft prompt: learnt vectors that stand in place of speech (Ma et al., 2412.06967)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from speechllm.errors import ConfigError
from speechllm.files.layout import PHASE
from speechllm.files.own import read_mapping, read_tensors
from speechllm.model.bundle_record import SHA256

SOFT_PROMPT = "soft_prompt"
"""Name of the soft prompt in a model's scaffold."""


class SoftPrompt(nn.Module):
    """Soft prompt of d vectors in the space of the LLM's embeddings.

    Args:
        start: [d, E] first values.
        mlp: send the vectors through three linear layers with ReLU, as the reproduction of
            2601.20900 does; vectors and layers are then both learnt.
    """

    def __init__(self, start: Tensor, mlp: bool = False):
        super().__init__()
        self.vectors = nn.Parameter(start.detach().float().clone())
        width = start.shape[1]
        self.mlp = nn.Sequential()
        if mlp:
            linear = [nn.Linear(width, width) for _ in range(3)]
            self.mlp = nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2])

    def forward(self) -> Tensor:
        """Vectors [d, E] for the prompt's positions."""
        return self.mlp(self.vectors)

    def load(self, path: Path) -> None:
        """Load the soft prompt that another run has learnt.

        Args:
            path: tensors of that run's first phase.

        Raises:
            ConfigError: there is no such file, or its tensors have other names or shapes.
            DataError: the file is damaged.
        """
        if not path.is_file():
            raise ConfigError(
                f"there is no soft prompt {path}",
                "give prompt/trained.safetensors from the folder of a finished soft_prompt run",
            )
        prefix = f"scaffold.{SOFT_PROMPT}."
        phase = path.with_name(PHASE)
        sha256 = read_mapping(phase).get(SHA256) if phase.is_file() else None
        tensors = read_tensors(path, sha256=sha256)
        found = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        wanted = self.state_dict()
        shapes = [
            {name: list(tensor.shape) for name, tensor in tensors.items()}
            for tensors in (found, wanted)
        ]
        if shapes[0] != shapes[1]:
            raise ConfigError(
                f"{path} holds {shapes[0]}, where {shapes[1]} is wanted",
                "set length and mlp as in the run that learnt it, on a base of the same LLM",
            )
        self.load_state_dict(found)


def first_vectors(
    init: str, length: int, embedding: nn.Embedding, tokenizer: Any, bos: int
) -> Tensor:
    """First values of a soft prompt: random numbers, random words, or bos.

    Args:
        init: `normal` draws from N(0, standard deviation of the embeddings); `random_words` takes
            entries of the vocabulary, none twice while there are enough; `bos` repeats one entry.
        length: number of vectors.
        embedding: token embeddings of the LLM.
        tokenizer: the LLM's; its special tokens are no words.
        bos: the token to repeat.

    Returns:
        [length, E] vectors.
    """
    table = embedding.weight.detach().float()
    if table.is_meta:  # a sketch of a model has no values
        return torch.empty(length, table.shape[1])
    if init == "normal":
        return torch.randn(length, table.shape[1]) * table.std().cpu()
    if init == "bos":
        return table[bos].repeat(length, 1)
    special = set(tokenizer.all_special_ids)
    words = torch.tensor([token for token in range(len(tokenizer)) if token not in special])
    chosen = words[torch.randperm(len(words))].repeat(-(-length // len(words)))[:length]
    return table[chosen.to(table.device)]
