"""The speech slot of a batch, filled."""

from dataclasses import dataclass

from torch import Tensor

from speechllm.slot.collate import IGNORED, Batch


@dataclass(frozen=True)
class Filled:
    """A batch as the LLM is given it; L may be less than the batch's own where speech shrank.

    Attributes:
        embeddings: [B, L, E], padded on the left.
        attention_mask: [B, L]; 0 on pads.
        labels: [B, L]; IGNORED outside target + eos.
        speech_mask: [B, L]; True at the positions of speech.
        kept: [N] bool, which of the projector's positions these are; None for all of them.
    """

    embeddings: Tensor
    attention_mask: Tensor
    labels: Tensor
    speech_mask: Tensor
    kept: Tensor | None = None


def fill_slot(embeddings: Tensor, slot: Tensor, speech: Tensor) -> Tensor:
    """Put projected speech where the slot is.

    Args:
        embeddings: [B, L, E] token embeddings.
        slot: [B, L] bool, True at the N positions of speech.
        speech: [N, E] in row-major order of the slot's positions.

    Returns:
        [B, L, E]; the argument is left as it was.

    Raises:
        ValueError: the slot does not have exactly N positions.
    """
    if int(slot.sum()) != len(speech):
        raise ValueError(f"{len(speech)} speech embeddings for {int(slot.sum())} positions")
    return embeddings.masked_scatter(slot[..., None], speech.to(embeddings.dtype))


def without_positions(embeddings: Tensor, batch: Batch, kept: Tensor) -> Filled:
    """Take positions of speech out: what is left moves up to the right, pads fill up the left.

    Args:
        embeddings: [B, L, E] of the batch.
        batch: whose slots they fill.
        kept: [N] bool, which positions of speech stay, in row-major order.
    """
    stays = batch.attention_mask.bool().masked_scatter(batch.speech_mask, kept)
    order = stays.long().argsort(dim=1, stable=True)  # what goes comes first; else as it was
    order = order[:, int((~stays).sum(1).min()) :]

    def moved(values: Tensor, pad: int) -> Tensor:
        return values.masked_fill(~stays, pad).gather(1, order)

    return Filled(
        embeddings.gather(1, order[..., None].expand(-1, -1, embeddings.shape[2])),
        moved(batch.attention_mask, 0),
        moved(batch.labels, IGNORED),
        moved(batch.speech_mask.long(), 0).bool(),
        kept,
    )
