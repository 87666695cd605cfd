"""Layers for CPUs give what torch's own give: values, gradients, and masks of the right rate."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from speechllm.model.compute import cpu_layers
from speechllm.model.compute.cpu_layers import Dropout, Linear, product, with_cpu_layers


@pytest.fixture(autouse=True)
def always_onednn(monkeypatch):
    monkeypatch.setattr(cpu_layers, "onednn_is_faster", lambda: True)


@pytest.mark.parametrize("shape", [(5,), (7, 5), (2, 3, 5), (1, 5)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_a_product_and_its_gradients_are_those_of_torch(shape, with_bias):
    torch.manual_seed(0)
    given = [torch.randn(*shape), torch.randn(4, 5), torch.randn(4) if with_bias else None]
    found, wanted = [], []
    for function, results in ((product, found), (functional.linear, wanted)):
        leaves = [g if g is None else g.clone().requires_grad_() for g in given]
        output = function(*leaves)
        (output * torch.arange(output.numel()).view_as(output)).sum().backward()
        results += [output, *(leaf.grad for leaf in leaves if leaf is not None)]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_a_product_of_strides_is_that_of_its_values():
    x, weight = torch.randn(6, 8)[:, ::2], torch.randn(4, 3).T
    torch.testing.assert_close(product(x, weight), x @ weight.T)


def test_frozen_weights_get_no_gradient():
    layer = with_cpu_layers(nn.Linear(5, 4)).requires_grad_(False)
    x = torch.randn(3, 5, requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(3, 5))
    assert layer.weight.grad is None


def test_other_precisions_are_left_to_torch():
    layer = with_cpu_layers(nn.Linear(5, 4))
    x = torch.randn(3, 5)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer.double()(x.double()).dtype == torch.float64


def test_nothing_multiplied_is_nothing():
    assert product(torch.ones(0, 5), torch.ones(4, 5)).shape == (0, 4)


def test_plain_layers_change_and_others_stay():
    class Own(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(5, 5), nn.Dropout(0.1), Own(5, 5), nn.Dropout1d(0.1))
    plain = copy.deepcopy(model).eval()
    with_cpu_layers(model)
    assert [type(m) for m in model] == [Linear, Dropout, Own, nn.Dropout1d]
    x = torch.randn(3, 5)
    torch.testing.assert_close(model.eval()(x), plain(x))
    assert list(model.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_and_scales_the_rest(p, dtype):
    torch.manual_seed(0)
    x = torch.ones(401, 503, dtype=dtype, requires_grad=True)
    y = Dropout(p)(x)
    y.sum().backward()
    assert abs(float((y == 0).float().mean()) - p) < 0.005
    kept = torch.tensor(1 / (1 - p)).to(dtype)
    torch.testing.assert_close(y[y != 0].float(), kept.float().expand(int((y != 0).sum())))
    torch.testing.assert_close(x.grad, y.detach())  # ones went in


def test_dropout_is_a_function_of_the_seed():
    layer, x = Dropout(0.3), torch.ones(7, 9)
    torch.manual_seed(1)
    first = layer(x)
    assert not torch.equal(first, layer(x))
    torch.manual_seed(1)
    assert torch.equal(first, layer(x))


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_dropout_of_nothing_and_of_all(p):
    assert torch.equal(Dropout(p)(torch.ones(4, 3)), torch.full((4, 3), 1 - p))


def test_no_dropout_in_eval_mode():
    assert torch.equal(Dropout(0.5).eval()(torch.ones(4, 3)), torch.ones(4, 3))
