"""ImageNet's Inception v3, which reports and never selects.

It is torchvision's network with torchvision's weights, not the network of December 2015 with which
Inception scores are published: that one was trained separately, has 1,008 outputs, whose biases the
published code leaves out, and scales images up by another bilinear rule, from whole numbers of 0 to
255. So scores and FIDs compare within this repository, not with published ones. How far apart they
are for a GAN's samples has not been measured here. For the 50,000 training images of CIFAR-10, the
published score is 11.24 ± 0.12 (Salimans et al. 2016), and with a torchvision network it was found
to be 9.737 ± 0.148 (Barratt and Sharma 2018, arXiv:1801.01973): about 13 % lower.
"""

import functools
import hashlib
import os
import pickle
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tasks.download import data_folder
from tasks.gan.data.cifar10 import DataError
from tasks.gan.data.vision import torchvision
from tasks.torch_state import load_state

SHA256 = "0cc3c7bd"  # its first digits, which torchvision puts into the name of the file
NAME = f"inception_v3_google-{SHA256}.pth"
URL = f"https://download.pytorch.org/models/{NAME}"
SIDE = 299  # pixels


class Seen(NamedTuple):
    """What the network makes of images: p(class | image) [B, 1000], pooled features [B, 2048]."""

    probabilities: Tensor
    features: Tensor


class InceptionV3(nn.Module):
    """Inception v3 for images of any size in [-1, 1], which is what its first layer expects.

    (torchvision's `transform_input` turns images that were normalised for its other networks back
    into that range; ours never leave it.)

    Args:
        network: torchvision's, with weights.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.last = network.get_submodule("fc")
        self.body = network
        self.body.fc = nn.Identity()

    def forward(self, images: Tensor) -> Seen:
        """Return predictions and features of images [B, 3, H, W]."""
        x = nn.functional.interpolate(images, (SIDE, SIDE), mode="bilinear")  # [B, 3, 299, 299]
        features = self.body(x)  # [B, 2048]
        return Seen(self.last(features).softmax(1), features)


@torch.no_grad()
def look(images: Tensor, network: nn.Module | None = None, batch: int = 100) -> Seen:
    """Return what Inception v3 sees in images [B, 3, H, W] in [-1, 1], on their device.

    Args:
        network: of `load`; default: the one with the weights of `weights_path`.
        batch: how many images at a time; no more than memory is at stake.

    Raises:
        DataError: the weights are not there, or are others.
    """
    network = network or inception(images.device)
    probabilities, features = zip(
        *(network(part) for part in torch.split(images, batch)), strict=True
    )
    return Seen(torch.cat(probabilities), torch.cat(features))


@functools.cache
def inception(device: torch.device) -> InceptionV3:
    """Return Inception v3 with the weights of `weights_path`; raise DataError, see `load`."""
    return load(weights_path()).to(device)


def weights_path() -> Path:
    """Return the file of the weights: PBT_INCEPTION, or torchvision's own beside the data."""
    return Path(os.environ.get("PBT_INCEPTION") or data_folder() / NAME)


def load(path: Path, sha256: str = SHA256) -> InceptionV3:
    """Return Inception v3 with the weights of a file, on the CPU.

    Args:
        path: as torchvision publishes it.
        sha256: its checksum, or the first digits of it.

    Raises:
        DataError: there is no such file, its checksum is another, or it holds another network.
    """
    if not path.is_file():
        raise DataError(
            f"there are no weights of Inception v3 in {path}: fetch {URL} and put it there, or set "
            "PBT_INCEPTION to the file"
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(sha256):
        raise DataError(
            f"{path} is not {NAME}: its sha256 should begin with {sha256} and begins with "
            f"{found[: len(sha256)]}. It has not been opened; fetch {URL} again"
        )
    with torch.device("meta"):  # no memory, and no random numbers, for weights to be replaced
        network = torchvision().models.inception_v3(weights=None, init_weights=False)
    try:
        network.load_state_dict(load_state(path), assign=True)
    except (RuntimeError, TypeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[:2]
        raise DataError(f"{path} holds no Inception v3: {' '.join(reason)}") from error
    network.AuxLogits = None  # a second classifier, which only its training needs
    return InceptionV3(network).eval().requires_grad_(False)
