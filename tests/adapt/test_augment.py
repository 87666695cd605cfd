"""Augmentation of encoder frames."""

import torch

from speechllm.adapt.augment import augment
from speechllm.config import AugmentConfig


def batch(*lengths: int, width: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Ramps from 1 upwards, of these lengths, alike in all features."""
    ramps = [torch.arange(1.0, n + 1)[:, None].expand(n, width) for n in lengths]
    return torch.nn.utils.rnn.pad_sequence(ramps, batch_first=True), torch.tensor(lengths)


def test_nothing_is_changed_by_default() -> None:
    frames, lengths = batch(5, 3)
    found = augment(frames, lengths, AugmentConfig())
    assert found[0] is frames and found[1] is lengths


def test_a_stretched_ramp_is_a_ramp_from_and_to_the_same_values() -> None:
    torch.manual_seed(0)
    frames, lengths = batch(*[40] * 50, 1)
    found, longer = augment(frames, lengths, AugmentConfig(stretch=0.2))
    assert longer.min() == 1 and 32 <= longer[:-1].min() < 36 and 44 < longer.max() <= 48
    assert found.shape == (51, longer.max(), 64)
    for ramp, n in zip(found, longer.tolist(), strict=True):
        assert (ramp[n:] == 0).all()
        steps = ramp[:n, 0].diff()
        assert (steps >= 0).all() and (steps[2:-2] - 40 / n).abs().lt(1e-3).all()
        assert ramp[0, 0] < 1.2 and (n == 1 or ramp[n - 1, 0] > 39.8)


def test_an_utterance_is_stretched_alike_whatever_is_beside_it() -> None:
    frames, lengths = batch(20)
    torch.manual_seed(0)
    alone, n = augment(frames, lengths, AugmentConfig(stretch=0.2))
    torch.manual_seed(0)
    beside, longer = augment(*batch(20, 50), AugmentConfig(stretch=0.2))
    assert longer[0] == n[0] and torch.equal(beside[0, : n[0]], alone[0])


def test_noise_is_measured_by_the_frames_and_stays_inside() -> None:
    torch.manual_seed(0)
    frames, lengths = batch(200, 100)
    found, same = augment(frames, lengths, AugmentConfig(noise=0.1))
    assert torch.equal(same, lengths) and (found[1, 100:] == 0).all()
    real = torch.cat([frames[0], frames[1, :100]])
    added = torch.cat([(found - frames)[0], (found - frames)[1, :100]])
    assert abs(added.std() / real.std() - 0.1) < 0.005


def test_features_are_dropped_for_a_whole_utterance() -> None:
    torch.manual_seed(0)
    frames, lengths = batch(20, 20, width=1000)
    found, _ = augment(frames, lengths, AugmentConfig(feature_dropout=0.25))
    gone = found == 0
    assert torch.equal(gone.all(1), gone.any(1))
    assert not torch.equal(gone[0], gone[1])
    assert 0.2 < gone.float().mean() < 0.3
    assert torch.allclose(found[~gone], (frames / 0.75)[~gone])
