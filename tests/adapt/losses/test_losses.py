"""Each loss and its gradient against values computed by hand."""

import math

import pytest
import torch

from speechllm.adapt.losses.losses import Temperature, coral, info_nce, mmd

PARTNERS = [[1.0, 0.0], [0.0, 1.0]]


def leaf(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, requires_grad=True)


def test_info_nce_of_orthogonal_partners() -> None:
    """Cosines are 1 and 0: each row has -log(e / (e + 1)), in both directions."""
    speech, text = leaf(PARTNERS), torch.tensor(PARTNERS)
    loss = info_nce(speech, text, 1.0)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)))
    loss.backward()
    # 1/2 [(p - 1) text_0 + (1 - p) text_1] with p = sigmoid(1), without what is along speech_0.
    assert speech.grad[0].tolist() == pytest.approx([0, 0.5 * (1 - 1 / (1 + math.exp(-1)))])


def test_info_nce_looks_in_both_directions() -> None:
    """Both texts are the first speech: log 2 for speech; for text log(1 + 1/e) and log(1 + e)."""
    loss = info_nce(torch.tensor(PARTNERS), torch.tensor([[1.0, 0.0], [1.0, 0.0]]), 1.0)
    text = (math.log(1 + math.exp(-1)) + math.log(1 + math.e)) / 2
    assert loss.item() == pytest.approx((math.log(2) + text) / 2)


def test_info_nce_ignores_length_and_is_zero_for_a_pair_alone() -> None:
    x, y = torch.randn(5, 3), torch.randn(5, 3)
    assert info_nce(7 * x, y, 0.1).item() == pytest.approx(info_nce(x, y, 0.1).item(), rel=1e-5)
    assert info_nce(x[:1], y[:1], 0.1).item() == 0


def test_the_temperature_is_learnt() -> None:
    """d log(1 + exp(-1/t)) / dt = sigmoid(-1) at t = 1; t = floor + exp(theta)."""
    temperature = Temperature(1.0)
    assert temperature().item() == pytest.approx(1.0)
    info_nce(torch.tensor(PARTNERS), torch.tensor(PARTNERS), temperature()).backward()
    expected = 1 / (1 + math.e) * (1 - Temperature.FLOOR)
    assert temperature.theta.grad.item() == pytest.approx(expected)
    temperature.theta.data.fill_(-50.0)
    assert temperature().item() == pytest.approx(Temperature.FLOOR)


def test_coral_is_the_distance_of_covariances() -> None:
    """diag(2, 0) and diag(0, 2): 8 / (4 * 2^2)."""
    x, y = leaf([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    loss = coral(x, y)
    assert loss.item() == pytest.approx(0.5)
    loss.backward()
    # X (C_x - C_y) / (d^2 (n - 1))
    assert x.grad.tolist() == [[0.5, 0.0], [-0.5, 0.0]]


def test_coral_does_not_see_the_means() -> None:
    x = torch.randn(6, 3)
    assert coral(x, x + 5).item() == pytest.approx(0, abs=1e-6)


def test_mmd_of_two_points() -> None:
    """1 + 1 - 2 exp(-1/2), and its slope."""
    x = leaf([[0.0]])
    loss = mmd(x, torch.tensor([[1.0]]), bandwidth=1.0)
    assert loss.item() == pytest.approx(2 - 2 * math.exp(-0.5))
    loss.backward()
    assert x.grad.item() == pytest.approx(-2 * math.exp(-0.5))


def test_mmd_takes_the_median_distance_of_all_points() -> None:
    """0, 2 and 3 are 2, 3 and 1 apart: the median is 2."""
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0]])
    near, middle, far = (math.exp(-(d**2) / 8) for d in (1, 2, 3))
    expected = (2 + 2 * middle) / 4 + 1 - 2 * (far + near) / 2
    assert mmd(x, y).item() == pytest.approx(expected)
    assert mmd(x, y).item() == pytest.approx(mmd(x, y, bandwidth=2.0).item())


def test_mmd_of_equal_samples_is_zero_and_has_a_gradient() -> None:
    x = torch.ones(3, 2, requires_grad=True)
    loss = mmd(x, torch.ones(4, 2))
    loss.backward()
    assert loss.item() == pytest.approx(0) and torch.isfinite(x.grad).all()
