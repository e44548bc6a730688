"""The residual network that classifies CIFAR-10."""

import torch
from torch import Tensor, nn

NAME = "ResNet-14"  # weighted layers on the longest way; a file says whose weights it holds


def resnet(width: int, classes: int = 10) -> nn.Sequential:
    """Return an untrained classifier: images [B, 3, 32, 32] in [-1, 1] -> logits [B, classes].

    All but its last layer give features, [B, 4 W].

    Args:
        width: W, channels at full resolution; four times as many at the end.

    Source: after He et al. 2016 (arXiv:1512.03385), section 4.2; two blocks at each resolution,
        and wider.
    """
    return nn.Sequential(
        _convolution(3, width, 3),  # [B, W, 32, 32]
        nn.BatchNorm2d(width),
        nn.ReLU(),
        Block(width, width),  # [B, W, 32, 32]
        Block(width, width),
        Block(width, 2 * width, stride=2),  # [B, 2 W, 16, 16]
        Block(2 * width, 2 * width),
        Block(2 * width, 4 * width, stride=2),  # [B, 4 W, 8, 8]
        Block(4 * width, 4 * width),
        nn.AdaptiveAvgPool2d(1),  # [B, 4 W, 1, 1]
        nn.Flatten(),  # [B, 4 W]
        nn.Linear(4 * width, classes),
    )


class Block(nn.Module):
    """Two convolutions and a way around them: [B, C, H, W] -> [B, C', H / stride, W / stride]."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.way = nn.Sequential(
            _convolution(channels, out, 3, stride),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            _convolution(out, out, 3),
            nn.BatchNorm2d(out),
        )
        self.around: nn.Module = nn.Identity()
        if channels != out:
            self.around = nn.Sequential(_convolution(channels, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways, rectified."""
        return torch.relu(self.way(x) + self.around(x))


def _convolution(channels: int, out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, bias=False)
