"""What a GAN is trained on: CIFAR-10, as in the paper; and digits, by two kinds of networks."""

import functools
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from core.task import Report
from tasks.gan import pictures
from tasks.gan.classifier.classifiers import classifier, fingerprint, probabilities
from tasks.gan.data.cifar10 import cifar10, scaled
from tasks.gan.data.digits import digits
from tasks.gan.losses import autograd as losses
from tasks.gan.losses import dense as dense_losses
from tasks.gan.networks import dcgan, dense
from tasks.gan.scores import imagenet
from tasks.gan.scores.frechet import Moments, frechet_distance, moments, principal_components
from tasks.gan.scores.inception import inception_score
from tasks.gan.trainer import Problem

COMPONENTS = 20  # principal components of the pixels, for the digits' Fréchet distance


def digit_images() -> Tensor:
    """Return the digits, [1797, 64], and have the classifiers ready before the first score."""
    classifier("convolutional"), classifier("dense")
    return digits()[0]


def digit_squares() -> Tensor:
    """Return the digits as pictures, [1797, 1, 8, 8]."""
    return digit_images().view(-1, 1, 8, 8)


def digits_score(images: Tensor) -> float:
    """Return the Inception score of digits under the convolutional classifier."""
    return inception_score(probabilities("convolutional", images.cpu().flatten(1))).mean


def digits_report(images: Tensor) -> Report:
    """Return numbers of digits [B, ...] that selection has not seen.

    held_out: their Inception score under the dense classifier; fresh: under the convolutional one;
    frechet: their distance to all digits; judge: which classifier it was that selected; samples: 64
    of them, as a picture.
    """
    images = images.cpu().flatten(1)  # [B, 64]
    mean, axes, real = _components()
    return {
        "held_out": inception_score(probabilities("dense", images)).mean,
        "fresh": digits_score(images),
        "frechet": frechet_distance(real, moments((images - mean) @ axes)),
        "judge": fingerprint("convolutional"),
        "samples": pictures.grid(images[:64].view(64, 1, 8, 8)),
    }


@functools.cache
def _components() -> tuple[Tensor, Tensor, Moments]:
    mean, axes = principal_components(digits()[0], COMPONENTS)
    return mean, axes, moments((digits()[0] - mean) @ axes)


DIGITS = Problem(
    generator=dense.Generator,
    critic=dense.Discriminator,
    latent=dense.LATENT,
    images=digit_images,
    batch=32,  # of 128 in the paper
    critic_updates=1,  # of 5
    updates=240,
    score=digits_score,
    report=digits_report,
    to_select=2000,  # the score's standard deviation is then about 0.05
    to_report=5000,
    critic_gradients=dense_losses.critic_gradients,
    generator_gradients=dense_losses.generator_gradients,
)

DIGITS_CONVOLUTIONAL = replace(
    DIGITS,
    generator=partial(dcgan.Generator, dense.LATENT, (16, 8), 1, 8),
    critic=partial(dcgan.Discriminator, (8, 16), 1, 8),
    images=digit_squares,
    updates=120,
    critic_gradients=losses.critic_gradients,
    generator_gradients=losses.generator_gradients,
)


def cifar10_images() -> Tensor:
    """Return the training images, [50000, 3, 32, 32] bytes; fail now where a score would later."""
    images, _ = cifar10("train")  # first: what else there may be to do begins with these
    classifier("cifar10"), imagenet.inception(torch.device("cpu"))
    return images


def cifar10_score(images: Tensor) -> float:
    """Return the Inception score under the CIFAR-10 classifier, mean of ten splits."""
    return inception_score(probabilities("cifar10", images), SPLITS).mean


def cifar10_report(images: Tensor) -> Report:
    """Return numbers of images [B, 3, 32, 32] that selection has not seen.

    held_out, held_out_sd: their Inception score under ImageNet's Inception v3, mean and standard
    deviation over ten splits; fresh: the mean under the CIFAR-10 classifier; fid: their Fréchet
    distance to the training images, in Inception's features; judge: which classifier it was that
    selected; samples: 64 of them, as a picture.
    """
    seen = imagenet.look(images)
    score = inception_score(seen.probabilities, SPLITS)
    return {
        "held_out": score.mean,
        "held_out_sd": score.sd,
        "fresh": cifar10_score(images),
        "fid": frechet_distance(_real_moments(images.device), moments(seen.features)),
        "judge": fingerprint("cifar10"),
        "samples": pictures.grid(images[:64]),
    }


@functools.cache
def _real_moments(device: torch.device) -> Moments:
    images = scaled(cifar10("train")[0].to(device))
    return moments(imagenet.look(images).features)


SPLITS = 10  # of the samples, as is customary
CIFAR10 = Problem(
    generator=partial(dcgan.Generator, 128, (256, 128, 64), 3, 32),
    critic=partial(dcgan.Discriminator, (128, 256, 512), 3, 32),
    latent=128,
    images=cifar10_images,
    batch=128,
    critic_updates=5,
    updates=5000,
    score=cifar10_score,
    report=cifar10_report,
    to_select=50_000,
    to_report=50_000,
)
