"""The gradients of losses/autograd.py written out in numpy for dense networks: faster on a CPU.

On batches of 32 points of 64 numbers, autograd's overhead costs more than the arithmetic. A test
holds both files equal up to rounding. On a GPU, autograd.py is used.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks.gan.losses import autograd
from tasks.gan.networks.dense import SLOPE, Discriminator, Generator

TINY = 1e-30  # where the gradient is 0, so is that of its norm, as autograd has it


def critic_gradients(
    critic: nn.Module, real: Tensor, fake: Tensor, between: Tensor
) -> Sequence[Tensor]:
    """Return what `autograd.critic_gradients` returns.

    v = w · h2, h2 = S2 (W2 h1 + b2), h1 = S1 (W1 x + b1), where the slopes S are constant almost
    everywhere. So the gradient by x is g = W1ᵀ S1 W2ᵀ S2 w, and that of the penalty follows from
    it by the product rule.

    Args:
        real, fake, between: [B, 64] each.
    """
    assert isinstance(critic, Discriminator)
    if real.device.type != "cpu":
        return autograd.critic_gradients(critic, real, fake, between)
    (w1, b1), (w2, b2), (w, _) = map(_arrays, (critic.first, critic.second, critic.last))
    count, judged = len(real), 2 * len(real)  # the others are those between
    x = np.concatenate((real.numpy(), fake.numpy(), between.numpy()))  # [3 B, 64]
    h1, s1 = _leaky(x @ w1.T + b1)  # [3 B, W]
    h2, s2 = _leaky(h1 @ w2.T + b2)  # [3 B, W]
    # mean v(fake) - mean v(real)
    e2 = s2[:judged] * (w / count)  # [2 B, W], by what goes into the second activation
    e2[:count] *= -1
    e1 = (e2 @ w2) * s1[:judged]
    means = h2[count:judged].sum(axis=0) - h2[:count].sum(axis=0)  # [W], times B
    # PENALTY * mean (|g| - 1)²
    s1, s2 = s1[judged:], s2[judged:]
    a2 = w * s2  # [B, W]
    a1 = (a2 @ w2) * s1  # [B, W]
    g = a1 @ w1  # [B, 64]
    norm = np.sqrt((g * g).sum(axis=1, keepdims=True))  # [B, 1]
    by_g = g * ((2 * autograd.PENALTY / count) * (norm - 1) / np.maximum(norm, TINY))
    by_a1 = (by_g @ w1.T) * s1
    by_a2 = (by_a1 @ w2.T) * s2
    return _tensors(
        e1.T @ x[:judged] + a1.T @ by_g,
        e1.sum(axis=0),
        e2.T @ h1[:judged] + a2.T @ by_a1,
        e2.sum(axis=0),
        (means / count + by_a2.sum(axis=0))[np.newaxis],
        np.zeros(1, w.dtype),  # the last bias is the same in both means
    )


def generator_gradients(
    generator: nn.Module, critic: nn.Module, latent: Tensor
) -> Sequence[Tensor]:
    """Return what `autograd.generator_gradients` returns; latent: [B, 16]."""
    assert isinstance(generator, Generator)
    assert isinstance(critic, Discriminator)
    if latent.device.type != "cpu":
        return autograd.generator_gradients(generator, critic, latent)
    (w1, b1), (w2, b2), (w3, b3) = map(_arrays, (generator.first, generator.second, generator.last))
    z = latent.numpy()
    h1 = np.maximum(z @ w1.T + b1, 0)  # [B, W]
    h2 = np.maximum(h1 @ w2.T + b2, 0)  # [B, W]
    x = np.tanh(h2 @ w3.T + b3)  # [B, 64]
    e3 = _input_gradient(critic, x) * (x * x - 1) / len(x)  # - d v / d x * tanh', of the mean
    e2 = (e3 @ w3) * (h2 > 0)
    e1 = (e2 @ w2) * (h1 > 0)
    sums = (e1.sum(axis=0), e2.sum(axis=0), e3.sum(axis=0))
    return _tensors(e1.T @ z, sums[0], e2.T @ h1, sums[1], e3.T @ h2, sums[2])


Array = NDArray[np.floating]


def _input_gradient(critic: Discriminator, x: Array) -> Array:
    """Return what critic.input_gradient does, [B, 64]."""
    (w1, b1), (w2, b2), (w, _) = map(_arrays, (critic.first, critic.second, critic.last))
    h1, s1 = _leaky(x @ w1.T + b1)
    _, s2 = _leaky(h1 @ w2.T + b2)
    gradient: Array = (((w * s2) @ w2) * s1) @ w1
    return gradient


def _leaky(x: Array) -> tuple[Array, Array]:
    """Return the leaky ReLU of x, and its derivative."""
    slopes = np.where(x > 0, x.dtype.type(1), x.dtype.type(SLOPE))
    return x * slopes, slopes


def _arrays(layer: nn.Linear) -> tuple[Array, Array]:
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def _tensors(*arrays: Array) -> Sequence[Tensor]:
    return [torch.from_numpy(array) for array in arrays]
