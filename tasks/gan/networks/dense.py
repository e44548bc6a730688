"""Generator and discriminator for 8x8 images: dense, because 64 pixels need no convolution."""

import torch
from torch import Tensor, nn

from tasks.gan.data.digits import PIXELS

LATENT = 16
WIDTH = 64
SLOPE = 0.2  # of the discriminator's leaky ReLU


class Generator(nn.Module):
    """Images from noise: z [B, 16] -> x [B, 64] in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(LATENT, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.last = nn.Linear(WIDTH, PIXELS)

    def forward(self, z: Tensor) -> Tensor:
        """Return the images of the latent points z."""
        x = torch.relu(self.first(z))  # [B, 64]
        x = torch.relu(self.second(x))  # [B, 64]
        return torch.tanh(self.last(x))  # [B, 64]


class Discriminator(nn.Module):
    """A critic: x [B, 64] -> [B], larger for images that look real. No normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(PIXELS, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.last = nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the critic's value of each image."""
        x = nn.functional.leaky_relu(self.first(x), SLOPE)  # [B, 64]
        x = nn.functional.leaky_relu(self.second(x), SLOPE)  # [B, 64]
        values: Tensor = self.last(x).squeeze(1)  # [B]
        return values

    def input_gradient(self, x: Tensor) -> Tensor:
        """Return d forward(x) / d x, [B, 64], as a function of the weights.

        The network is piecewise linear, so its gradient is a product of its weights and of slopes
        that do not change with them: one backward pass through this equals the second derivative
        of autograd, and costs less.
        """
        slopes = []  # of each hidden unit, [B, 64] a layer
        for layer in (self.first, self.second):
            x = layer(x)
            slopes.append(torch.where(x > 0, x.new_tensor(1.0), x.new_tensor(SLOPE)))
            x = x * slopes[-1]
        gradient = self.last.weight * slopes[1]  # [B, 64]
        gradient = (gradient @ self.second.weight) * slopes[0]  # [B, 64]
        return gradient @ self.first.weight  # [B, 64]
