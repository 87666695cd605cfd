import pytest
import torch

from speechllm.config import ProjectorConfig
from speechllm.model.projector import Projector


@pytest.mark.parametrize("kind", ["linear", "conv1d", "convnext"])
def test_padding_never_leaks(kind: str) -> None:
    torch.manual_seed(0)
    projector = Projector(ProjectorConfig(kind=kind, downsampling=3, hidden=8), 4, 6).eval()
    frames = torch.randn(2, 11, 4)
    lengths = torch.tensor([11, 7])
    together = projector(frames, lengths)
    assert together.shape == (3 + 2, 6)  # a remainder of frames is dropped
    assert projector.output_length(11) == 3 and projector.output_length(7) == 2
    alone = projector(frames[1:, :7], lengths[1:])
    torch.testing.assert_close(together[3:], alone)
    frames[1, 7:] = 1e9
    torch.testing.assert_close(projector(frames, lengths), together)


@pytest.mark.parametrize("kind", ["linear", "conv1d", "convnext"])
def test_nobody_may_have_a_position(kind: str) -> None:
    projector = Projector(ProjectorConfig(kind=kind, downsampling=3, hidden=8), 4, 6).eval()
    assert projector(torch.randn(2, 2, 4), torch.tensor([2, 1])).shape == (0, 6)


def test_linear_concatenates_frames() -> None:
    projector = Projector(ProjectorConfig(downsampling=2, hidden=8), 3, 5)
    frames = torch.arange(12.0).view(1, 4, 3)
    expected = projector.layers(torch.arange(12.0).view(2, 6))
    torch.testing.assert_close(projector(frames, torch.tensor([4])), expected)


@pytest.mark.parametrize("kind", ["linear", "conv1d"])
def test_some_positions_can_be_hidden(kind: str) -> None:
    torch.manual_seed(0)
    config = ProjectorConfig(kind=kind, downsampling=3, hidden=8, position_dropout=0.25)
    projector = Projector(config, 4, 6)
    frames, lengths = torch.randn(2, 300, 4), torch.tensor([300, 300])
    heard = projector(frames, lengths)
    silence = projector(torch.zeros(1, 3, 4), torch.tensor([3]))
    found = projector(frames, lengths, hide=True)
    hidden = torch.isclose(found, silence).all(1)
    assert 30 < hidden.sum() < 70
    torch.testing.assert_close(found[~hidden], heard[~hidden])


def test_convnext_sees_neighbours() -> None:
    """Two blocks with kernels of 7 see 6 positions to both sides, and no further."""
    torch.manual_seed(0)
    projector = Projector(ProjectorConfig(kind="convnext", downsampling=1, hidden=32), 4, 6).eval()
    frames, lengths = torch.randn(1, 40, 4), torch.tensor([40])
    before = projector(frames, lengths)
    frames[0, 20] += 1
    changed = (projector(frames, lengths) - before).abs().amax(1) > 1e-7
    assert changed.nonzero()[:, 0].tolist() == list(range(14, 27))


def test_published_size() -> None:
    """WavLM-Large + Vicuna-7B: 18.88 M parameters (SLAM-ASR)."""
    projector = Projector(ProjectorConfig(), 1024, 4096)
    assert sum(p.numel() for p in projector.parameters()) == 18_880_512


def test_published_size_of_conv1d() -> None:
    """MaLa-ASR's convolution: about 15.74 M parameters."""
    projector = Projector(ProjectorConfig(kind="conv1d"), 1024, 4096)
    assert sum(p.numel() for p in projector.parameters()) / 1e6 == pytest.approx(15.74, abs=0.01)
