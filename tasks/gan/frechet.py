"""The Fréchet distance of generated images to real ones, from the features of either."""

import torch
from torch import Tensor


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Return the squared Fréchet distance of two samples, each taken as a normal distribution.

    |mean difference|² + tr(C1 + C2 - 2 (C1 C2)^½), lower is better, 0 for equal moments. With fewer
    samples than features the covariances are singular, and rounding shows: a millionth of the
    traces, either way of 0. In the features of an Inception network this is the FID.

    Args:
        real, fake: features, [B, F] and [B', F], of two samples or more.

    Raises:
        ValueError: the features cannot be compared.

    Source: Heusel et al. 2017 (arXiv:1706.08500), equation 6.
    """
    if min(len(real), len(fake)) < 2 or real.shape[1:] != fake.shape[1:]:
        raise ValueError(
            f"need two samples or more of the same features, got {tuple(real.shape)} and "
            f"{tuple(fake.shape)}"
        )
    real, fake = real.double(), fake.double()
    c1, c2 = torch.cov(real.T), torch.cov(fake.T)
    root = _root(c1)
    # tr (C1 C2)^½ = tr (C1^½ C2 C1^½)^½, whose argument is symmetric
    cross = torch.linalg.eigvalsh(root @ c2 @ root).clamp(min=0).sqrt().sum()
    mean = ((real.mean(0) - fake.mean(0)) ** 2).sum()
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
