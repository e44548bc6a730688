"""The Inception score of generated images, from what a classifier says of them."""

from typing import NamedTuple

import torch
from torch import Tensor


class InceptionScore(NamedTuple):
    """Mean and standard deviation over splits; 0 if there is one split."""

    mean: float
    sd: float


def inception_score(probabilities: Tensor, splits: int = 1) -> InceptionScore:
    """Return exp(E KL(p(y|x) || p(y))) of each split, averaged; 1 to the number of classes.

    p(y) is the mean prediction within a split. As in the published code, splits are consecutive
    samples, so samples should be in random order, and sd divides by the number of splits, not by
    one less: it is the spread of the splits, not the error of the mean. The score grows with the
    samples of a split: compare like with like. Customary are 50,000 samples in 10 splits.

    Args:
        probabilities: p(y|x) of each image, [B, classes]; each row sums to 1.
        splits: how many, a divisor of B.

    Raises:
        ValueError: the samples cannot be cut into so many equal splits.

    Source: Salimans et al. 2016 (arXiv:1606.03498), section 4.
    """
    samples = len(probabilities)
    if not 1 <= splits <= samples or samples % splits:
        raise ValueError(
            f"{samples:,} samples cannot be cut into {splits} equal splits: give a number that "
            "divides them"
        )
    scores = torch.stack([_score(part.double()) for part in probabilities.chunk(splits)])  # [S]
    return InceptionScore(float(scores.mean()), float(scores.std(correction=0)))


def _score(p: Tensor) -> Tensor:
    """Return the score of one split: p [B, classes] -> []."""
    marginal = p.mean(0, keepdim=True)  # [1, classes]
    divergence = torch.special.xlogy(p, p) - torch.special.xlogy(p, marginal)  # [B, classes]
    score: Tensor = divergence.sum(1).mean().exp()
    return score
