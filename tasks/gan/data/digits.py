"""Real images: the 1,797 handwritten digits that come with scikit-learn, 8x8 pixels, grey."""

import functools

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

PIXELS = 64
CLASSES = 10
HELD_OUT = 397  # images that a classifier is not trained on


@functools.cache
def digits() -> tuple[Tensor, Tensor]:
    """Return all images [1797, 64] in [-1, 1], and their classes [1797]."""
    images, classes = load_digits(return_X_y=True)
    return torch.tensor(images / 8 - 1, dtype=torch.float32), torch.tensor(classes)


def split(seed: int) -> tuple[Tensor, Tensor]:
    """Return the indices of 1,400 images to train a classifier on, and of the 397 others."""
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(digits()[0])))
    return order[:-HELD_OUT], order[-HELD_OUT:]
