"""The classifiers whose opinion of images is a score.

`python -m tasks.gan.classifier digits` trains the two of the digits, in seconds;
`python -m tasks.gan.classifier cifar10 --device cuda` trains the one of CIFAR-10 and keeps it
beside the data. Interrupted, the same command goes on. Both say how many unseen images are named
rightly.
"""

import argparse
import functools
import hashlib
import sys
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from tasks.gan.classifier import cifar10 as cifar_classifier
from tasks.gan.classifier import cifar10_training as cifar_training
from tasks.gan.classifier import digits as digits_classifier

Kind = Literal["convolutional", "dense", "cifar10"]
AT_ONCE = 1000 * 3 * 32 * 32  # numbers, at most, that go through a network together


@functools.cache
def classifier(kind: Kind) -> nn.Sequential:
    """Return a trained classifier, whose last layer gives logits [B, 10].

    Those of the digits are trained if need be; the one of CIFAR-10 must have been.

    Raises:
        DataError: there is none for CIFAR-10, or none that is fit to judge.
    """
    return cifar_classifier.load() if kind == "cifar10" else digits_classifier.trained(kind)


def probabilities(kind: Kind, images: Tensor) -> Tensor:
    """Return p(class | image), [B, 10], on the device of the images.

    Args:
        images: in [-1, 1]; [B, 3, 32, 32] for "cifar10", else [B, 64] or [B, 1, 8, 8].
    """
    network = classifier(kind)
    return _apply(nn.Sequential(network, nn.Softmax(1)), kind, images)


@functools.cache
def fingerprint(kind: Kind) -> str:
    """Return the beginning of a hash of the weights: under others, scores are other numbers."""
    hashed = hashlib.sha256()
    for name, tensor in classifier(kind).state_dict().items():
        hashed.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return hashed.hexdigest()[:12]


def features(kind: Kind, images: Tensor) -> Tensor:
    """Return what the last layer of a classifier sees of images, [B, F]; see `probabilities`."""
    return _apply(classifier(kind)[:-1], kind, images)


@torch.no_grad()
def _apply(network: nn.Module, kind: Kind, images: Tensor) -> Tensor:
    if kind != "cifar10":
        images = images.flatten(1)  # [B, 64]
    network = network.to(images.device)
    parts = torch.split(images, max(1, AT_ONCE // images[:1].numel()))
    return torch.cat([network(part) for part in parts])


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tasks.gan.classifier", description=__doc__)
    kinds = parser.add_subparsers(dest="data", required=True)
    kinds.add_parser("digits", help="both, in seconds")
    cifar = kinds.add_parser("cifar10", help="minutes on a GPU")
    best = "cuda" if torch.cuda.is_available() else "cpu"
    cifar.add_argument("--device", type=_device, default=best, help="default here: %(default)s")
    epochs = cifar_training.Settings().epochs
    cifar.add_argument("--epochs", type=int, default=epochs, help="default: %(default)s")
    cifar.add_argument("--again", action="store_true", help="replace the one that is there")
    options = parser.parse_args(arguments)
    try:
        if options.data == "digits":
            return _digits()
        if not options.again and (sound := _is_there()):
            print(sound)
            return 0
        return _cifar10(options.device, options.epochs)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: type the same again to go on from the last whole epoch", file=sys.stderr)
        return 130


def _digits() -> int:
    for kind in digits_classifier.SEEDS:
        share = digits_classifier.accuracy(classifier(kind), kind)
        print(f"{kind}: {share:.3f} of 397 unseen digits")
    return 0


def _device(name: str) -> torch.device:
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise argparse.ArgumentTypeError(f"{name} is no device here: {reason}") from error


def _is_there() -> str:
    """Say where a sound classifier is, if one is: running experiments may be judged by it."""
    try:
        cifar_classifier.load()
    except ValueError:
        return ""
    path = cifar_classifier.path_of_classifier()
    return f"cifar10: there is one already, {path}; --again trains another in its place"


def _cifar10(device: torch.device, epochs: int) -> int:
    reached = cifar_training.train(cifar_training.Settings(epochs=epochs), device)
    path, least = cifar_classifier.path_of_classifier(), cifar_classifier.LEAST_ACCURACY
    print(f"cifar10: {reached:.4f} of the test images; kept in {path}")
    if reached >= least:
        return 0
    print(f"error: {least} are needed for a score: train for more epochs", file=sys.stderr)
    return 1
