"""The gradient penalty of WGAN-GP, which keeps the slope of the critic near 1."""

from typing import Protocol

import torch
from torch import Tensor

WEIGHT = 10.0  # of the penalty in the critic's loss


class Critic(Protocol):
    """A piecewise linear critic, which knows its own gradient."""

    def __call__(self, x: Tensor, /) -> Tensor: ...
    def input_gradient(self, x: Tensor) -> Tensor:
        """Return d critic(x) / d x, of the shape of x, as a function of the weights."""
        ...


def gradient_penalty(critic: Critic, between: Tensor) -> Tensor:
    """Return the mean of (|gradient at a point| - 1)².

    Args:
        between: points on the lines from a real to a fake image each, [B, ...].

    Source: Gulrajani et al. 2017 (arXiv:1704.00028), equation 3.
    """
    norm: Tensor = critic.input_gradient(between).flatten(1).norm(dim=1)
    return ((norm - 1) ** 2).mean()


def reference_penalty(critic: Critic, between: Tensor) -> Tensor:
    """Return the same by autograd, for any critic: what `gradient_penalty` is tested against."""
    between = between.detach().requires_grad_()
    [gradient] = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norm: Tensor = gradient.flatten(1).norm(dim=1)
    return ((norm - 1) ** 2).mean()
