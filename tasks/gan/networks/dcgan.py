"""Convolutional generator and discriminator: DCGAN's, with kernels of 4x4 as in the paper.

Source: Radford et al. 2015 (arXiv:1511.06434); Jaderberg et al. 2017 (arXiv:1711.09846), appendix
    A.3: kernels of 4x4 in place of 5x5, half the feature maps in the generator, batch normalisation
    in the generator and none in the discriminator. The paper gives no table of layers: that the
    widths are those of Gulrajani et al. 2017 (arXiv:1704.00028) for CIFAR-10 is our reading.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

KERNEL, STRIDE, PADDING = 4, 2, 1  # each layer halves or doubles the sides
SLOPE = 0.2  # of the discriminator's leaky ReLU


class Generator(nn.Module):
    """Images from noise: z [B, latent] -> x [B, C, S, S] in [-1, 1].

    Batch normalisation always uses the statistics of the batch, when samples are scored too, as in
    the code of Gulrajani et al.: it has no state besides its weights.

    Args:
        latent: numbers in z.
        widths: feature maps, from the smallest image on; each layer doubles the sides.
        channels: of the images.
        side: S, of the images: a multiple of 2 ** len(widths).
    """

    def __init__(self, latent: int, widths: Sequence[int], channels: int, side: int) -> None:
        super().__init__()
        self.shape = (widths[0], *[_smallest(side, len(widths))] * 2)
        self.first = nn.Linear(latent, widths[0] * self.shape[1] ** 2, bias=False)
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(width, track_running_stats=False) for width in widths
        )
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(before, after, KERNEL, STRIDE, PADDING, bias=layer == len(widths))
            for layer, (before, after) in enumerate(itertools.pairwise((*widths, channels)), 1)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return the images of the latent points z."""
        x = self.first(z).unflatten(1, self.shape)  # [B, W0, s, s]
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = layer(torch.relu(norm(x)))  # [B, W1, 2 s, 2 s], and so on
        return torch.tanh(x)  # [B, C, S, S]


class Discriminator(nn.Module):
    """A critic: x [B, C, S, S] -> [B], larger for images that look real. No normalisation.

    Args:
        widths: feature maps, from the largest image on; each layer halves the sides.
        channels: of the images.
        side: S, of the images: a multiple of 2 ** len(widths).
    """

    def __init__(self, widths: Sequence[int], channels: int, side: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, KERNEL, STRIDE, PADDING)
            for before, after in zip((channels, *widths), widths, strict=False)
        )
        self.last = nn.Linear(widths[-1] * _smallest(side, len(widths)) ** 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the critic's value of each image."""
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), SLOPE)  # [B, W0, S/2, S/2], and so on
        values: Tensor = self.last(x.flatten(1)).squeeze(1)  # [B]
        return values

    def input_gradient(self, x: Tensor) -> Tensor:
        """Return d forward(x) / d x, [B, C, S, S], as a function of the weights.

        As in the dense one: the network is piecewise linear, so its gradient is its weights times
        slopes that do not change with them, and no second derivative is needed.
        """
        slopes = []  # of each hidden unit, [B, W, s, s] a layer
        for layer in self.layers:
            x = layer(x)
            slopes.append(torch.where(x > 0, x.new_tensor(1.0), x.new_tensor(SLOPE)))
            x = x * slopes[-1]
        gradient = self.last.weight.view(1, *slopes[-1].shape[1:])  # [1, W, s, s]
        for layer, slope in zip(reversed(self.layers), reversed(slopes), strict=True):
            gradient = nn.functional.conv_transpose2d(
                gradient * slope, layer.get_parameter("weight"), stride=STRIDE, padding=PADDING
            )
        return gradient


def _smallest(side: int, layers: int) -> int:
    """Return the sides of the smallest feature maps; ValueError where there are no such."""
    if side % 2**layers:
        raise ValueError(f"{layers} layers halve the sides, which {side} pixels do not allow")
    return side >> layers
