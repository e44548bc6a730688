"""Samples as one picture, as a report carries it."""

import base64
import io

import torch
from PIL import Image
from torch import Tensor

ROWS = 8


def grid(images: Tensor) -> str:
    """Return 64 images, [64, C, S, S] in [-1, 1], in 8 rows: a PNG in base64 as browsers read it.

    Grey ones are shown as ink on paper.
    """
    tiles = torch.nn.functional.pad(images.cpu(), (1, 1, 1, 1), value=-1.0)  # [64, C, S+2, S+2]
    channels, side = tiles.shape[1:3]
    rows = tiles.view(ROWS, ROWS, channels, side, side)
    picture = rows.permute(0, 3, 1, 4, 2).reshape(ROWS * side, ROWS * side, channels)
    pixels = ((picture.clamp(-1, 1) + 1) * 127.5).round().byte().numpy()  # [Y, X, C]
    file = io.BytesIO()
    Image.fromarray(pixels if channels == 3 else 255 - pixels[..., 0]).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
