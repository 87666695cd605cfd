"""Projectors, which turn encoder frames into LLM embeddings at a lower rate."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechllm.config import ProjectorConfig
from speechllm.model.embedding_ctc import EmbeddingCtc


class Projector(nn.Module):
    """Turns every `downsampling` frames into one LLM position; a remainder is dropped.

    `linear` concatenates the frames (SLAM-ASR, 2402.08846, section 3); `conv1d` convolves them
    with kernel = stride first (MaLa-ASR); `convnext` concatenates them and then lets positions see
    their neighbours. Padding beyond an utterance never leaks into it.
    """

    def __init__(self, config: ProjectorConfig, encoder_width: int, llm_width: int):
        super().__init__()
        self.downsampling, self.position_dropout = config.downsampling, config.position_dropout
        self.convolution: nn.Conv1d | None = None
        self.blocks: nn.ModuleList | None = None
        width = config.downsampling * encoder_width
        if config.kind == "convnext":
            between = max(1, config.hidden // 4)
            self.reduce = nn.Linear(width, between)
            self.blocks = nn.ModuleList(
                ConvNextBlock(between, config.hidden, config.dropout) for _ in range(config.blocks)
            )
            self.layers = nn.Sequential(nn.LayerNorm(between), nn.Linear(between, llm_width))
        else:
            if config.kind == "conv1d":
                self.convolution = nn.Conv1d(encoder_width, encoder_width, config.downsampling)
                width = encoder_width
            self.layers = nn.Sequential(
                nn.Linear(width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, llm_width)
            )
        self.ctc = EmbeddingCtc(config.ctc, llm_width) if config.ctc else None

    def train(self, mode: bool = True) -> "Projector":
        """Set the mode; a frozen projector stays in eval mode, so that it has no dropout."""
        return super().train(mode and any(p.requires_grad for p in self.parameters()))

    def output_length(self, frames: int) -> int:
        """Number of LLM positions that so many encoder frames become."""
        return frames // self.downsampling

    def forward(self, frames: Tensor, lengths: Tensor, hide: bool = False) -> Tensor:
        """Project a padded batch.

        Args:
            frames: [A, T, D] encoder output.
            lengths: [A] valid frames of each utterance.
            hide: set the frames of some positions to zero (`position_dropout`).

        Returns:
            [N, E] embeddings of all utterances' positions one after the other, without padding.
        """
        a, t, d = frames.shape
        k = self.downsampling
        groups = frames[:, : t // k * k].reshape(a, t // k, k, d)
        inside = torch.arange(t // k, device=frames.device) < (lengths // k)[:, None]  # [A, P]
        groups = groups[inside]  # [N, k, D]
        if hide and self.position_dropout:
            heard = torch.rand(len(groups), device=groups.device) >= self.position_dropout
            groups = groups * heard[:, None, None]
        if self.convolution is not None:
            return self.layers(self.convolution(groups.transpose(1, 2)).squeeze(-1).relu())
        if self.blocks is None:
            return self.layers(groups.flatten(1))
        positions = self.reduce(groups.flatten(1))
        for block in self.blocks if len(positions) else ():  # there may be no position at all
            positions = block(positions, inside)
        return self.layers(positions)


class ConvNextBlock(nn.Module):
    """Residual block that mixes neighbours, then features (ConvNeXt, 2201.03545, figure 4).

    The norm comes first, as in Transformers.

    Args:
        width: width of a position.
        hidden: width between the two pointwise layers.
        dropout: dropout of what is added to the input.
    """

    KERNEL = 7

    def __init__(self, width: int, hidden: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.neighbours = nn.Conv1d(width, width, self.KERNEL, padding="same", groups=width)
        self.pointwise = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width), nn.Dropout(dropout)
        )

    def forward(self, positions: Tensor, inside: Tensor) -> Tensor:
        """Mix each position with its neighbours in the utterance, then its features.

        Args:
            positions: [N, W] of all utterances one after the other.
            inside: [A, P] bool, which positions of a padded batch these are.

        Returns:
            [N, W].
        """
        padded = positions.new_zeros(*inside.shape, positions.shape[-1], dtype=torch.float32)
        padded[inside] = self.norm(positions).float()
        # Not in half precision: grouped convolutions in bfloat16 are wrong on some CPUs.
        with torch.autocast(positions.device.type, enabled=False):
            mixed = self.neighbours(padded.transpose(1, 2)).transpose(1, 2)
        return positions + self.pointwise(mixed[inside])


class OwnProjector(nn.Module):
    """Projector of a Speech LLM that is trained already, with the interface of `Projector`.

    Each window of frames becomes the same number of positions, by whatever means of the model:
    one linear layer for each frame, stacked frames, queries over a window. Windows do not see
    each other, and an utterance's last window is filled up with zeros, as in these models, so
    padding beyond an utterance never leaks into it.

    Args:
        module: the model's projector; takes [W, n, width] for W windows.
        width: width of its input; a multiple of the frames' width if it stacks frames.
        window: number of frames in a window.
        positions: number of LLM positions that a window becomes.
    """

    def __init__(self, module: nn.Module, width: int, window: int = 1, positions: int = 1):
        super().__init__()
        self.module, self.width, self.window, self.positions = module, width, window, positions

    def train(self, mode: bool = True) -> "OwnProjector":
        """Set the mode; a frozen projector stays in eval mode, so that it has no dropout."""
        return super().train(mode and any(p.requires_grad for p in self.parameters()))

    def output_length(self, frames: int) -> int:
        """Number of LLM positions that so many encoder frames become."""
        return -(-frames // self.window) * self.positions

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Project a padded batch, like `Projector.forward`.

        Args:
            frames: [A, T, D] encoder output.
            lengths: [A] valid frames of each utterance.

        Returns:
            [N, E] embeddings of all utterances' positions one after the other.
        """
        a, t, d = frames.shape
        inside = torch.arange(t, device=frames.device) < lengths[:, None]
        frames = functional.pad(frames * inside[..., None], (0, 0, 0, -t % self.window))
        windows = frames.view(a, -1, self.window, d)
        starts = torch.arange(windows.shape[1], device=frames.device) * self.window
        windows = windows[starts < lengths[:, None]]  # [W, window, D]
        return self.module(windows.reshape(len(windows), -1, self.width)).flatten(0, 1)
