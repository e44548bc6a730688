"""The Fréchet distance of generated images to real ones, from the features of either."""

from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """What is left of a sample's features: their mean [F] and covariance [F, F], in doubles."""

    mean: Tensor
    covariance: Tensor


def moments(features: Tensor) -> Moments:
    """Return the moments of features [B, F]; ValueError if these are fewer than two samples."""
    if len(features) < 2:
        raise ValueError(f"need two samples or more, got features of {tuple(features.shape)}")
    features = features.double()
    return Moments(features.mean(0), torch.cov(features.T))


def frechet_distance(real: Moments, fake: Moments) -> float:
    """Return the squared Fréchet distance of two samples, each taken as a normal distribution.

    |mean difference|² + tr(C1 + C2 - 2 (C1 C2)^½), lower is better, 0 for equal moments. With fewer
    samples than features the covariances are singular, and rounding shows: a millionth of the
    traces, either way of 0. In the features of an Inception network this is the FID.

    Raises:
        ValueError: they are moments of other features.

    Source: Heusel et al. 2017 (arXiv:1706.08500), equation 6.
    """
    if len(real.mean) != len(fake.mean):
        raise ValueError(f"of {len(real.mean)} features and of {len(fake.mean)}: need the same")
    c1, c2 = real.covariance, fake.covariance
    root = _root(c1)
    # tr (C1 C2)^½ = tr (C1^½ C2 C1^½)^½, whose argument is symmetric
    cross = torch.linalg.eigvalsh(root @ c2 @ root).clamp(min=0).sqrt().sum()
    mean = ((real.mean - fake.mean) ** 2).sum()
    return float(mean + c1.trace() + c2.trace() - 2 * cross)


def _root(matrix: Tensor) -> Tensor:
    """Return the square root of a symmetric, positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


def principal_components(images: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the mean image [F] and the first principal axes [F, count]."""
    mean = images.mean(0)
    _, vectors = torch.linalg.eigh(torch.cov(images.double().T))
    return mean, vectors[:, -count:].to(images.dtype)
