"""Collate examples into one left-padded batch of tensors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from speechllm.slot.prompt import Prompt
from speechllm.slot.pseudo_audio.contents import Projected, Slot, Soft

IGNORED = -100
"""Label of positions that carry no loss."""


@dataclass(frozen=True)
class Example:
    """One utterance, ready to be collated.

    Attributes:
        utt_id: utterance id.
        view: name of the view that fills the slot (speechllm.slot.views).
        slot: contents of the slot.
        target: token ids of the expected answer, without end-of-sequence.
        transcript: token ids of what was said; for speech recognition those of the target.
        prompt: prompt around its slot, where it differs from that of the other examples.
        domain: domain of the utterance, as in its component.
    """

    utt_id: str
    view: str
    slot: Slot
    target: Sequence[int] = ()
    transcript: Sequence[int] = ()
    prompt: Prompt | None = None
    domain: str = ""

    @property
    def has_speech(self) -> bool:
        return isinstance(self.slot, np.ndarray)


@dataclass
class Batch:
    """Sequences prefix + slot + suffix (+ target + eos), padded on the left.

    Attributes:
        examples: the examples, in the order of the rows.
        input_ids: [B, L]; the pad id on pads and under speech.
        attention_mask: [B, L]; 0 on pads.
        labels: [B, L]; the token id at the position, IGNORED outside target + eos.
        speech_mask: [B, L]; True where projected speech goes, in row-major order.
        frames: [A, T, D] encoder output of the A rows with speech, zero-padded on the right.
        frame_lengths: [A].
        soft_mask: [B, L]; True where the soft prompt goes; None where no row has one.
        projected: [M, E] LLM inputs of the rows that bring their own, in row-major order.
        projected_mask: [B, L]; True where they go; None where no row has any.
    """

    examples: Sequence[Example]
    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    speech_mask: Tensor
    frames: Tensor | None
    frame_lengths: Tensor | None
    soft_mask: Tensor | None = None
    projected: Tensor | None = None
    projected_mask: Tensor | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """Copy the batch, with every tensor on `device`.

        From pinned memory to a GPU the copy is asynchronous; any other is complete on return.
        """
        to_gpu = torch.device(device).type == "cuda"
        return self._with(lambda tensor: tensor.to(device, non_blocking=to_gpu))

    def pinned(self) -> "Batch":
        """Copy the batch into pinned memory, which a GPU reads by itself."""
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        changed = {k: change(v) if isinstance(v, Tensor) else v for k, v in values.items()}
        return Batch(**changed)


def collate(
    examples: Sequence[Example],
    prompt: Prompt,
    speech_length: Callable[[int], int],
    with_target: bool = True,
) -> Batch:
    """Collate examples into one batch.

    Pads stand on the left and are masked. Of the usual layouts this is the only one where a
    hypothesis does not depend on the batch that it is decoded in.

    Args:
        examples: at least one.
        prompt: prompt of examples that have none of their own.
        speech_length: number of LLM positions for a number of encoder frames.
        with_target: append target and eos (training), or stop at the prompt (decoding).
    """
    rows, labels, speech, soft, projected = [], [], [], [], []
    for example in examples:
        slot = _token_ids(example.slot, prompt.pad, speech_length)
        around = example.prompt or prompt
        target = [*example.target, prompt.eos] if with_target else []
        head = [prompt.bos] if example.slot is None else [*around.prefix, *slot, *around.suffix]
        rows.append(torch.tensor(head + target))  # [l]
        labels.append(torch.tensor([IGNORED] * len(head) + target))  # [l]
        position = torch.arange(len(head) + len(target)) - len(around.prefix)  # [l]
        inside = (position >= 0) & (position < len(slot))  # [l] bool, the slot
        speech.append(inside & example.has_speech)
        soft.append(inside & isinstance(example.slot, Soft))
        projected.append(inside & isinstance(example.slot, Projected))

    def pad(sequences: list[Tensor], value: int | bool) -> Tensor:
        return pad_sequence(sequences, batch_first=True, padding_value=value, padding_side="left")

    spoken = [torch.from_numpy(e.slot).float() for e in examples if e.has_speech]  # S of [T, D]
    own = [torch.from_numpy(e.slot.vectors) for e in examples if isinstance(e.slot, Projected)]
    return Batch(
        examples=examples,
        input_ids=pad(rows, prompt.pad),  # [B, L]
        attention_mask=pad([torch.ones_like(row) for row in rows], 0),  # [B, L]
        labels=pad(labels, IGNORED),  # [B, L]
        speech_mask=pad(speech, False),  # [B, L]
        frames=pad_sequence(spoken, batch_first=True) if spoken else None,  # [S, T, D]
        frame_lengths=torch.tensor([len(s) for s in spoken]) if spoken else None,  # [S]
        soft_mask=pad(soft, False) if any(row.any() for row in soft) else None,  # [B, L]
        projected=torch.cat(own) if own else None,  # [P, E]
        projected_mask=pad(projected, False) if own else None,  # [B, L]
    )


def _token_ids(slot: Slot, pad: int, speech_length: Callable[[int], int]) -> list[int]:
    """Token ids at the slot's positions; the pad id where embeddings replace them."""
    if isinstance(slot, np.ndarray):
        return [pad] * speech_length(len(slot))
    if isinstance(slot, Soft):
        return [pad] * slot.length
    if isinstance(slot, Projected):
        return [pad] * len(slot.vectors)
    return list(slot or ())
