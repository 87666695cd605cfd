"""Fill the speech slot of a batch with projected speech."""

from dataclasses import dataclass

from torch import Tensor

from speechllm.slot.collate import IGNORED, Batch


@dataclass(frozen=True)
class Filled:
    """Input of the LLM for a batch; L may be less than the batch's if CTC shortened the speech.

    Attributes:
        embeddings: [B, L, E], padded on the left.
        attention_mask: [B, L]; 0 on pads.
        labels: [B, L]; IGNORED outside target + eos.
        speech_mask: [B, L]; True at the positions of speech.
        kept: [N] bool, positions of the projector that stay; None for all of them.
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
        [B, L, E]; the argument is not changed.

    Raises:
        ValueError: the slot does not have exactly N positions.
    """
    if int(slot.sum()) != len(speech):
        raise ValueError(f"{len(speech)} speech embeddings for {int(slot.sum())} positions")
    return embeddings.masked_scatter(slot[..., None], speech.to(embeddings.dtype))


def without_positions(embeddings: Tensor, batch: Batch, kept: Tensor) -> Filled:
    """Remove positions of speech: the rest moves to the right, and pads fill the left.

    Args:
        embeddings: [B, L, E] of the batch, with its slots filled.
        batch: the batch.
        kept: [N] bool, positions of speech that stay, in row-major order.
    """
    stays = batch.attention_mask.bool().masked_scatter(batch.speech_mask, kept)
    order = stays.long().argsort(dim=1, stable=True)  # removed ones first; else the same order
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
