"""The two losses of WGAN-GP, as gradients of the weights: by autograd, for any networks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tasks.gan.losses import penalty

CriticGradients = Callable[[nn.Module, Tensor, Tensor, Tensor], Sequence[Tensor]]
GeneratorGradients = Callable[[nn.Module, nn.Module, Tensor], Sequence[Tensor]]


def critic_gradients(
    critic: nn.Module, real: Tensor, fake: Tensor, between: Tensor
) -> Sequence[Tensor]:
    """Return the gradient of the critic's loss with respect to each of its parameters, in order.

    The loss is mean critic(fake) - mean critic(real) + 10 x the penalty between them.

    Args:
        critic: a penalty.Critic. real, fake: images [B, ...]. between: a point between each two.

    Source: Gulrajani et al. 2017 (arXiv:1704.00028), equation 3.
    """
    values = critic(torch.cat((real, fake)))  # [2 B]
    loss = values[len(real) :].mean() - values[: len(real)].mean()
    loss = loss + penalty.WEIGHT * penalty.gradient_penalty(critic, between)  # type: ignore[arg-type]
    return torch.autograd.grad(loss, list(critic.parameters()))


def generator_gradients(
    generator: nn.Module, critic: nn.Module, latent: Tensor
) -> Sequence[Tensor]:
    """Return the gradient of - mean critic(generator(latent)), of each of the generator's."""
    loss = -critic(generator(latent)).mean()
    return torch.autograd.grad(loss, list(generator.parameters()))
