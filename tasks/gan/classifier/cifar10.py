"""The CIFAR-10 classifier whose Inception score selects: how it is kept and loaded.

The paper does not give the architecture of its own. This is a ResNet-14 of 64 to 256 channels,
trained for 30 epochs with crops, flips and smoothed labels (cifar_training.py): a recipe that
should reach about 93 % of the test images. That has not been measured yet; what a trained one has
reached stands in its file.
"""

import hashlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tasks.download import data_folder
from tasks.gan.classifier.resnet import NAME, resnet
from tasks.gan.data.cifar10 import DataError
from tasks.torch_state import load_state, save_state

LEAST_ACCURACY = 0.9  # of the test images; below it a score means little
COMMAND = "python -m tasks.gan.classifier cifar10"


def path_of_classifier() -> Path:
    """Return the file of the classifier, beside the data."""
    return data_folder() / "cifar10-classifier.pt"


def keep(model: nn.Module, settings: Mapping[str, float], reached: float, path: Path) -> None:
    """Write a classifier into one file, and its sha256 beside it, as `sha256sum` does."""
    content = {
        "architecture": NAME,
        "settings": dict(settings),
        "accuracy": reached,  # of CIFAR-10's test images
        "torch": str(torch.__version__),
        "weights": {name: tensor.cpu() for name, tensor in model.state_dict().items()},
    }
    write(content, path)
    _sum_path(path).write_text(f"{_sha256(path)}  {path.name}\n")


def load(path: Path | None = None, least_accuracy: float = LEAST_ACCURACY) -> nn.Sequential:
    """Return the trained classifier, on the CPU.

    Raises:
        DataError: it is not there, is damaged, of another architecture, or not good enough.
    """
    path = path or path_of_classifier()
    train_one = f"train one: {COMMAND} --device cuda"
    for file in (path, _sum_path(path)):
        if not file.is_file():
            raise DataError(f"there is no {file}, of a trained CIFAR-10 classifier: {train_one}")
    expected = _sum_path(path).read_text().split(" ")[0]
    if (found := _sha256(path)) != expected:
        raise DataError(
            f"{path} is damaged: its sha256 should be {expected} and is {found}. It has not been "
            f"opened; {train_one}"
        )
    content = read(path, train_one)
    try:
        architecture, reached = content["architecture"], float(content["accuracy"])
        width, weights = content["settings"]["width"], content["weights"]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no classifier ({error!r}): {train_one}") from error
    if architecture != NAME:
        raise DataError(f"{path} holds a {architecture}, where a {NAME} is needed: {train_one}")
    if not reached >= least_accuracy:  # so that NaN is less
        raise DataError(
            f"{path} names only {reached:.1%} of the test images rightly, where "
            f"{least_accuracy:.0%} are needed for a score that means something: {train_one}"
        )
    try:
        with torch.device("meta"):  # no memory, and no random numbers, for what is replaced
            model = resnet(width)
        model.load_state_dict(weights, assign=True)
    except (RuntimeError, TypeError) as error:
        raise DataError(f"{path} holds no weights of a {NAME}: {train_one}") from error
    return model.eval().requires_grad_(False)


def read(path: Path, remedy: str) -> dict[str, Any]:
    """Return what `write` wrote.

    Raises:
        DataError: the file is damaged, or somebody else's; then the remedy.
    """
    try:
        content = load_state(path)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{path} cannot be read: {remedy}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds something else: {remedy}")
    return content


def write(content: Mapping[str, object], path: Path) -> None:
    """Replace a file at once, so that no half of it is ever there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    save_state(content, new)
    os.replace(new, path)


def _sum_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
