"""Key-value cache of a search: tokens are written into memory that is allocated ahead."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import DynamicCache, DynamicLayer


class BeamLayer(DynamicLayer):
    """Keys and values of one layer, [rows, heads, T, D].

    transformers' own layer copies all of them for each token, and once more when beams are
    reordered. Here a token is written in place. A row that extends another row of its utterance
    copies only what came after the prompt, which both share.

    Args:
        room: most positions after the prompt.
    """

    def __init__(self, room: int):
        super().__init__()
        self.room, self.prompt, self.length = room, 0, 0

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Add keys and values of further positions; return those of all."""
        start, self.length = self.length, self.length + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values, self.prompt = key_states, value_states, self.length
            return key_states, value_states
        assert self.length <= self.held_keys.shape[-2], "there is no room left"
        self._see(len(self.keys))
        self.keys[:, :, start:] = key_states
        self.values[:, :, start:] = value_states
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self.length

    def join(
        self, parts: Sequence["BeamLayer"], groups: Sequence[Sequence[int]], length: int
    ) -> None:
        """Take prompts that were read in groups.

        Args:
            parts: this layer's keys and values of each group.
            groups: rows that each of them read.
            length: positions to which all prompts are padded, on the left.
        """
        first = parts[0]
        self.lazy_initialization(first.keys, first.values)
        self.prompt = self.length = length

        def joined(states: Sequence[Tensor]) -> Tensor:
            _, heads, _, width = states[0].shape
            whole = states[0].new_zeros(sum(map(len, groups)), heads, length, width)
            for own, group in zip(states, groups, strict=True):
                whole[list(group), :, length - own.shape[2] :] = own
            return whole

        self.keys = joined([part.keys for part in parts])
        self.values = joined([part.values for part in parts])

    def spread(self, rows: Tensor, most: int) -> None:
        """Copy prompts to the rows of the search: row r gets that of utterance rows[r]."""
        shape = (most, self.keys.shape[1], self.prompt + self.room)
        prompts = (self.keys[rows], self.values[rows])
        self.held_keys, self.held_values = (
            states.new_empty(*shape, states.shape[-1]) for states in prompts
        )
        self._see(len(rows))
        self.keys[:], self.values[:] = prompts

    def go_on(self, rows: Tensor, changed: Tensor, moved: Tensor) -> None:
        """Let row r extend row rows[r].

        Args:
            rows: [N] row of the last step that each row extends.
            changed: [C] rows that extend another row than themselves.
            moved: [M] rows that now hold another utterance than before, so also another prompt.
        """
        written = slice(self.prompt, self.length)
        for held in (self.held_keys, self.held_values):
            held[changed, :, written] = held[rows[changed], :, written]
            if len(moved):
                held[moved, :, : self.prompt] = held[rows[moved], :, : self.prompt]
        self._see(len(rows))

    def _see(self, rows: int) -> None:
        self.keys = self.held_keys[:rows, :, : self.length]
        self.values = self.held_values[:rows, :, : self.length]


class BeamCache(DynamicCache):
    """Key-value cache of an LLM for the rows of a search.

    Layers with a sliding window or a recurrent state are transformers' own.

    Args:
        config: the LLM's.
        room: most positions after the prompt.
    """

    def __init__(self, config: PreTrainedConfig, room: int):
        super().__init__(config=config)
        self.layers = [BeamLayer(room) if type(x) is DynamicLayer else x for x in self.layers]

    @property
    def can_join(self) -> bool:
        """Whether prompts may be read in groups: no layer is transformers' own."""
        return all(isinstance(layer, BeamLayer) for layer in self.layers)

    def join(
        self, parts: Sequence["BeamCache"], groups: Sequence[Sequence[int]], length: int
    ) -> None:
        """Take prompts that were read in groups; see `can_join`.

        Args:
            parts: caches of the groups.
            groups: rows that each of them read.
            length: positions of the longest prompt.
        """
        for number, layer in enumerate(self.layers):
            layer.join([part.layers[number] for part in parts], groups, length)

    def spread(self, rows: Tensor, most: int) -> None:
        """Copy the prompts to the rows of the search: row r gets that of utterance rows[r].

        Args:
            rows: [N] utterance of each row.
            most: most rows that the search will have.
        """
        for layer in self.layers:
            if isinstance(layer, BeamLayer):
                layer.spread(rows, most)
            else:
                layer.reorder_cache(rows)

    def go_on(self, rows: Tensor, moved: Tensor) -> None:
        """Let row r extend row rows[r]; the search has len(rows) rows from now on.

        Args:
            rows: [N] row of the last step that each row extends.
            moved: [M] rows that now hold another utterance than before.
        """
        changed = (rows != torch.arange(len(rows), device=rows.device)).nonzero()[:, 0]
        for layer in self.layers:
            if isinstance(layer, BeamLayer):
                layer.go_on(rows, changed, moved)
            else:
                layer.reorder_cache(rows)
