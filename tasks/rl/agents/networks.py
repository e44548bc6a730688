"""What stands between an observation and an agent's heads: A3C's convolutions, or a dense layer."""

import math

import torch
from torch import Tensor, nn

from tasks.rl.environments.batch import Spec

UNITS = 256  # of the last layer, as in A3C


class Torso(nn.Module):
    """[B, *shape] -> [B, features].

    Planes of 36 pixels or more: 16 filters of 8x8 at stride 4, 32 of 4x4 at stride 2, 256 units.
    Smaller ones: 3x3 at stride 2 for both. A vector: two layers of 64 tanh units.

    Source: Mnih et al. 2016 (arXiv:1602.01783), section 5.1, for the convolutions.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.scale = 1 / 255 if spec.pixels else 1.0
        self.convolutions: nn.Module | None = None
        self.maps = (0, 0, 0)  # channels, height, width behind the convolutions
        if len(spec.shape) == 1:
            self.features = 64
            self.dense: nn.Module = nn.Sequential(
                _linear(spec.shape[0], 64), nn.Tanh(), _linear(64, 64), nn.Tanh()
            )
            return
        channels, height, width = spec.shape
        large = min(height, width) >= 36
        first = nn.Conv2d(channels, 16, 8, 4) if large else nn.Conv2d(channels, 16, 3, 2)
        second = nn.Conv2d(16, 32, 4, 2) if large else nn.Conv2d(16, 32, 3, 2)
        self.convolutions = nn.Sequential(first, nn.ReLU(), second, nn.ReLU())
        with torch.no_grad():
            self.maps = tuple(self.convolutions(torch.zeros(1, *spec.shape)).shape[1:])
        self.features = UNITS
        self.dense = nn.Sequential(nn.Linear(math.prod(self.maps), UNITS), nn.ReLU())

    def convolved(self, observations: Tensor) -> Tensor:
        """Return what is behind the convolutions, [B, all]; the observation itself of a vector."""
        if self.convolutions is None:
            return observations.float() if self.scale == 1.0 else observations.float() * self.scale
        if torch.is_grad_enabled() and observations.device.type == "cpu":
            # a backward pass is faster so on a CPU, but acting slower
            observations = observations.contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.convolutions(observations.float() * self.scale)
        return maps.flatten(1)

    def forward(self, observations: Tensor) -> Tensor:
        """Return the features, [B, features]."""
        features: Tensor = self.dense(self.convolved(observations))
        return features


def _linear(inputs: int, outputs: int, gain: float = math.sqrt(2)) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def head(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    """Return a linear head; a small gain for a policy that begins nearly uniform."""
    return _linear(inputs, outputs, gain)


def over_time(
    cell: nn.LSTMCell, inputs: Tensor, first: Tensor, memory: tuple[Tensor, Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Run an LSTM over [T, N, inputs], forgetting where an episode begins: [T, N, cells]."""
    h, c = memory
    outputs = []
    for x, begins in zip(inputs, first, strict=True):
        keep = (~begins).to(h.dtype).unsqueeze(1)
        h, c = cell(x, (h * keep, c * keep))
        outputs.append(h)
    return torch.stack(outputs), (h, c)
