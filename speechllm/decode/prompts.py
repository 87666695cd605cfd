"""Keys and values of a search: a prompt is read once for all its beams, and stays where it is."""

import inspect
from typing import Any

from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from speechllm.model.slot import Filled


class BeamLayer(DynamicLayer):
    """Keys and values of one layer, [rows, heads, T, D], in room that is made ahead.

    transformers' own layer copies all of them for each token, and once more when beams change
    places. Here a token is written into its place, and beams exchange only what came after the
    prompt, which all beams of an utterance share.

    Args:
        room: positions that may come after the prompt.
    """

    def __init__(self, room: int):
        super().__init__()
        self.room, self.prompt, self.length = room, 0, 0

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Add those of further positions; return those of all."""
        start, self.length = self.length, self.length + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.prompt = self.length
            self._hold(key_states, value_states)
        else:
            assert self.length <= self.held_keys.shape[-2], "there is no room left"
            self.held_keys[:, :, start : self.length] = key_states
            self.held_values[:, :, start : self.length] = value_states
            self.keys = self.held_keys[:, :, : self.length]
            self.values = self.held_values[:, :, : self.length]
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self.length

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Give each utterance's prompt to all its beams."""
        if not self.is_initialized:
            return
        self._hold(
            self.keys.repeat_interleave(repeats, 0), self.values.repeat_interleave(repeats, 0)
        )

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Let row r go on from row beam_idx[r], a beam of the same utterance."""
        if not self.is_initialized:
            return
        for held in (self.held_keys, self.held_values):
            generated = held[:, :, self.prompt : self.length]
            generated.copy_(generated[beam_idx])

    def _hold(self, keys: Tensor, values: Tensor) -> None:
        rows, heads, length, _ = keys.shape
        self.held_keys, self.held_values = (
            states.new_empty(rows, heads, length + self.room, states.shape[-1])
            for states in (keys, values)
        )
        self.keys, self.values = self.held_keys[:, :, :length], self.held_values[:, :, :length]
        self.keys[:], self.values[:] = keys, values


def read_prompts(llm: nn.Module, filled: Filled, beam: int, room: int) -> Cache | None:
    """Read all of each prompt but its last position, with which the search begins.

    Args:
        llm: a causal LM of transformers, or its PEFT model.
        filled: prompts of a batch, padded on the left.
        beam: rows of each utterance in the search.
        room: most positions that the search adds.

    Returns:
        The prompts' keys and values, for `generate`. None for an LLM whose layers keep something
        else (a sliding window, a state), which is left to transformers.
    """
    llm = llm.get_base_model() if hasattr(llm, "get_base_model") else llm
    layers = DynamicCache(config=llm.config).layers
    if any(type(layer) is not DynamicLayer for layer in layers):
        return None
    cache = Cache(layers=[BeamLayer(room + 1) for _ in layers])
    mask = filled.attention_mask[:, :-1]
    if mask.shape[1]:
        decoder = llm.get_decoder()
        options: dict[str, Any] = {"attention_mask": mask}
        if "position_ids" in inspect.signature(decoder.forward).parameters:
            options["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
        embeddings = filled.embeddings[:, :-1]
        decoder(inputs_embeds=embeddings, past_key_values=cache, use_cache=True, **options)
        if beam > 1:
            cache.batch_repeat_interleave(beam)
    return cache
