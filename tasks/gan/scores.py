"""How good are generated images: Inception score and Fréchet distance, from features alone."""

import torch
from torch import Tensor


def inception_score(probabilities: Tensor) -> float:
    """Return exp(E KL(p(y|x) || p(y))), from 1 to the number of classes, in one split.

    Args:
        probabilities: p(y|x) of each image, [B, classes]; each row sums to 1.

    Source: Salimans et al. 2016 (arXiv:1606.03498), section 4.
    """
    p = probabilities.double()
    marginal = p.mean(0, keepdim=True)
    divergence = torch.special.xlogy(p, p) - torch.special.xlogy(p, marginal)  # [B, classes]
    return float(divergence.sum(1).mean().exp())


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Return the squared Fréchet distance of two samples, each taken as a normal distribution.

    |mean difference|² + tr(C1 + C2 - 2 (C1 C2)^½), lower is better, 0 for equal moments.

    Args:
        real, fake: features, [B, F] and [B', F].

    Source: Heusel et al. 2017 (arXiv:1706.08500), equation 6.
    """
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
