"""From encoder frames to LLM embeddings at a lower rate."""

import torch
from torch import Tensor, nn

from speechllm.config import ProjectorConfig


class Projector(nn.Module):
    """Turns every `downsampling` frames into one LLM position; a remainder is dropped.

    `linear` concatenates the frames (SLAM-ASR, 2402.08846, section 3); `conv1d` convolves them
    with kernel = stride first (MaLa-ASR). Positions do not see each other, so padding beyond an
    utterance never leaks into it.
    """

    def __init__(self, config: ProjectorConfig, encoder_width: int, llm_width: int):
        super().__init__()
        self.downsampling = config.downsampling
        self.convolution: nn.Conv1d | None = None
        width = config.downsampling * encoder_width
        if config.kind == "conv1d":
            self.convolution = nn.Conv1d(encoder_width, encoder_width, config.downsampling)
            width = encoder_width
        self.layers = nn.Sequential(
            nn.Linear(width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, llm_width)
        )

    def output_length(self, frames: int) -> int:
        """LLM positions that so many encoder frames become."""
        return frames // self.downsampling

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Project a padded batch.

        Args:
            frames: [A, T, D] encoder output.
            lengths: [A] valid frames of each utterance.

        Returns:
            [N, E] embeddings of all utterances' positions one after the other, without padding.
        """
        a, t, d = frames.shape
        k = self.downsampling
        groups = frames[:, : t // k * k].reshape(a, t // k, k, d)
        positions = torch.arange(t // k, device=frames.device)
        groups = groups[positions < (lengths // k)[:, None]]  # [N, k, D]
        if self.convolution is None:
            return self.layers(groups.flatten(1))
        return self.layers(self.convolution(groups.transpose(1, 2)).squeeze(-1).relu())
