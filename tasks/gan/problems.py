"""The problems that a GAN is trained on here: digits, by dense or by convolutional networks."""

import functools
from dataclasses import replace
from functools import partial

from torch import Tensor

from core.task import Report
from tasks.gan import dcgan, dense, pictures
from tasks.gan.classifier import classifier, probabilities
from tasks.gan.digits import digits
from tasks.gan.frechet import frechet_distance, principal_components
from tasks.gan.inception import inception_score
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
    frechet: their distance to all digits; samples: 64 of them, as a picture.
    """
    images = images.cpu().flatten(1)  # [B, 64]
    mean, axes = _components()
    real = (digits()[0] - mean) @ axes
    return {
        "held_out": inception_score(probabilities("dense", images)).mean,
        "fresh": digits_score(images),
        "frechet": frechet_distance(real, (images - mean) @ axes),
        "samples": pictures.grid(images[:64].view(64, 1, 8, 8)),
    }


@functools.cache
def _components() -> tuple[Tensor, Tensor]:
    return principal_components(digits()[0], COMPONENTS)


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
)

DIGITS_CONVOLUTIONAL = replace(
    DIGITS,
    generator=partial(dcgan.Generator, dense.LATENT, (16, 8), 1, 8),
    critic=partial(dcgan.Discriminator, (8, 16), 1, 8),
    images=digit_squares,
    updates=120,
)
