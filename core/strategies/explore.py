"""Which hyperparameters a copy goes on with: a rule is (hypers, space, rng) -> hypers.

A rule that looks at the population, as one with a model does, has a fourth argument that is called
`population`; it holds the member that decides (core/peers.py). A rule with parameters is a frozen
dataclass with `__call__`; one without is a function.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from numpy.random import Generator

from core.member import Hypers
from core.peers import Peers
from core.rules import ask
from core.space import Space

Explore = Callable[..., Hypers]


def _check_factors(factors: tuple[float, ...]) -> None:
    if not factors or not all(factor > 0 and math.isfinite(factor) for factor in factors):
        raise ValueError(f"factors must be positive numbers, at least one, got {factors}")


@dataclass(frozen=True, slots=True)
class Perturb:
    """Explore nearby: multiply each hyperparameter by a factor of its own, drawn from `factors`.

    The result may leave the prior that the value once came from, but never its domain. A real value
    of exactly 0 stays 0, and {1.2, 0.8} drifts down by 2 % a move in the logarithm: this is the
    paper's rule as it is. `SymmetricPerturb` has neither property.

    Args:
        factors: what to multiply by; dimensionless, positive.

    Source: Jaderberg et al. 2017 (arXiv:1711.09846), sections 4.1.1 and 4.2.1 (0.8 and 1.2), 4.3.1
        (0.5 and 2.0).
    """

    factors: tuple[float, ...] = (0.8, 1.2)

    def __post_init__(self) -> None:
        _check_factors(self.factors)

    def __call__(self, hypers: Hypers, space: Space, rng: Generator) -> Hypers:
        return {
            name: space[name].scaled(value, self.factors[rng.integers(len(self.factors))], rng)
            for name, value in hypers.items()
        }


@dataclass(frozen=True, slots=True)
class SymmetricPerturb:
    """Explore nearby without drift: multiply or divide by one factor, with equal chance.

    A real value of 0, which no factor can move, is drawn anew from its prior.

    Args:
        factor: above 1; dimensionless.

    Source: the unbiased form of Espeholt et al. 2018 (IMPALA, arXiv:1802.01561), with 1.2.
    """

    factor: float = 1.2

    def __post_init__(self) -> None:
        if not (self.factor > 1 and math.isfinite(self.factor)):
            raise ValueError(f"factor must be a number above 1, got {self.factor}")

    def __call__(self, hypers: Hypers, space: Space, rng: Generator) -> Hypers:
        factors = (self.factor, 1 / self.factor)
        new = {}
        for name, value in hypers.items():
            moved = space[name].scaled(value, factors[rng.integers(2)], rng)
            new[name] = space[name].sample(rng) if value == moved == 0 else moved
        return new


@dataclass(frozen=True, slots=True)
class Noise:
    """Explore nearby: add normal noise to each number; choices and fixed values stay.

    Args:
        scale: the standard deviation, in the unit of the hyperparameters.
        names: the hyperparameters to move; () for all.

    Source: our reading of the toy of Jaderberg et al. 2017, figure 2, in which a value starts at 0
        and yet moves.
    """

    scale: float
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.scale > 0 and math.isfinite(self.scale)):
            raise ValueError(f"scale must be a positive number, got {self.scale}")

    def __call__(self, hypers: Hypers, space: Space, rng: Generator) -> Hypers:
        return {
            name: space[name].shifted(value, self.scale * rng.standard_normal())
            if not self.names or name in self.names
            else value
            for name, value in hypers.items()
        }


@dataclass(frozen=True, slots=True)
class Resample:
    """Explore afar: draw each hyperparameter anew from its prior, with some probability.

    Args:
        probability: of each hyperparameter on its own, in [0, 1]. Not stated by the paper.

    Source: Jaderberg et al. 2017 (arXiv:1711.09846), section 4.1.1.
    """

    probability: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability must be in [0, 1], got {self.probability}")

    def __call__(self, hypers: Hypers, space: Space, rng: Generator) -> Hypers:
        return {
            name: space[name].sample(rng) if rng.random() < self.probability else value
            for name, value in hypers.items()
        }


@dataclass(frozen=True, slots=True)
class Chain:
    """Explore by several rules in turn, as in `Chain((Perturb(), Resample(0.1)))`."""

    rules: tuple[Explore, ...]

    def __call__(
        self, hypers: Hypers, space: Space, rng: Generator, population: Peers | None = None
    ) -> Hypers:
        for rule in self.rules:
            hypers = ask(rule, hypers, space, rng, population)
        return hypers


def keep(hypers: Hypers, space: Space, rng: Generator) -> Hypers:
    """Explore nothing: go on with what was inherited."""
    return hypers
