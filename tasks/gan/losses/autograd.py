"""The two losses of WGAN-GP, as gradients of the weights: by autograd, for any networks."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

CriticGradients = Callable[[nn.Module, Tensor, Tensor, Tensor], Sequence[Tensor]]
GeneratorGradients = Callable[[nn.Module, nn.Module, Tensor], Sequence[Tensor]]
PENALTY = 10.0  # weight of the gradient penalty in the critic's loss


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


def critic_gradients(
    critic: nn.Module, real: Tensor, fake: Tensor, between: Tensor
) -> Sequence[Tensor]:
    """Return the gradient of the critic's loss with respect to each of its parameters, in order.

    The loss is mean critic(fake) - mean critic(real) + 10 x the penalty between them.

    Args:
        critic: a `Critic`.
        real, fake: images [B, ...].
        between: a point between each two, [B, ...].

    Source: Gulrajani et al. 2017 (arXiv:1704.00028), equation 3.
    """
    values = critic(torch.cat((real, fake)))  # [2 B]
    loss = values[len(real) :].mean() - values[: len(real)].mean()
    loss = loss + PENALTY * gradient_penalty(critic, between)  # type: ignore[arg-type]
    return torch.autograd.grad(loss, list(critic.parameters()))


def generator_gradients(
    generator: nn.Module, critic: nn.Module, latent: Tensor
) -> Sequence[Tensor]:
    """Return the gradient of - mean critic(generator(latent)), of each of the generator's."""
    loss = -critic(generator(latent)).mean()
    return torch.autograd.grad(loss, list(generator.parameters()))
