"""Losses between speech and text inside the LLM, as functions of tensors alone."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def info_nce(speech: Tensor, text: Tensor, temperature: Tensor | float) -> Tensor:
    """InfoNCE: each row has to find its partner among all rows of the other side, both ways.

    It is computed over cosines (1807.03748, equation 4), symmetric as in CLIP (2103.00020,
    figure 3).

    Args:
        speech, text: [B, E]; rows with the same index are partners.
        temperature: divides the cosines.

    Returns:
        Cross-entropy in nats, the mean over rows and both directions; 0 for one row.
    """
    cosines = functional.normalize(speech, dim=-1) @ functional.normalize(text, dim=-1).T
    logits = cosines / temperature
    own = torch.arange(len(logits), device=logits.device)
    forth, back = functional.cross_entropy(logits, own), functional.cross_entropy(logits.T, own)
    return (forth + back) / 2


class Temperature(nn.Module):
    """Learnt temperature. It stays above the bound of CLIP (2103.00020, section 2.5)."""

    FLOOR = 0.01

    def __init__(self, start: float):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(math.log(start - self.FLOOR)))

    def forward(self) -> Tensor:
        return self.FLOOR + self.theta.exp()


def coral(x: Tensor, y: Tensor) -> Tensor:
    """Squared Frobenius distance between two samples' covariances, divided by 4 E^2.

    Deep CORAL (Sun and Saenko 2016, 1607.01719, equations 1 to 3). The means do not count.

    Args:
        x: [N, E] with N > 1.
        y: [M, E] with M > 1.
    """
    return (_covariance(x) - _covariance(y)).square().sum() / (4 * x.shape[1] ** 2)


def _covariance(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    return centred.T @ centred / (len(x) - 1)


def mmd(x: Tensor, y: Tensor, bandwidth: float | None = None) -> Tensor:
    """Squared maximum mean discrepancy of two samples under an RBF kernel.

    The biased estimate of Gretton et al. 2012 (JMLR 13, equation 5), which is never negative.

    Args:
        x: [N, E].
        y: [M, E].
        bandwidth: bandwidth of the kernel exp(-distance^2 / (2 bandwidth^2)); None: the median
            distance within both samples together (their section 8), without a gradient.
    """
    both = torch.cat([x, y])
    norms = both.square().sum(1)
    squares = (norms[:, None] + norms - 2 * both @ both.T).clamp_min(0)
    if bandwidth is None:
        above = torch.ones_like(squares, dtype=torch.bool).triu(1)
        scale = squares.detach()[above].median().clamp_min(torch.finfo(x.dtype).eps)
    else:
        scale = bandwidth**2
    kernel = torch.exp(-squares / (2 * scale))
    n = len(x)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()
