"""The rules of the paper and their corrections: when a member is ready, whom it copies, what then.

ready: (member) -> bool. exploit: (me, population, rng) -> member (me = stay; the population holds
me, and is read no further than the rule looks: core/peers.py). explore: (hypers, space, rng) ->
hypers. A rule with parameters is a frozen dataclass with `__call__`, one without is a function; to
add one, write one.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from numpy.random import Generator

from core.member import Hypers, Member
from core.peers import Peers
from core.space import Space

Ready = Callable[[Member], bool]
Exploit = Callable[[Member, Peers, Generator], Member]
Explore = Callable[[Hypers, Space, Generator], Hypers]


# ------------------------------------------------------------------------------------ ready


@dataclass(frozen=True, slots=True)
class Every:
    """Ready at every multiple of `steps`.

    Args:
        steps: the ready interval, in steps of the task; at least 1.
        start: nobody is ready before this step (burn-in).
        settle: nor is a member within this many steps of its last copy.

    Source: Jaderberg et al. 2017, sections 4.2 and 4.3 (every 2,000 and 5,000 updates).
    """

    steps: int
    start: int = 0
    settle: int = 0

    def __post_init__(self) -> None:
        _check_interval(self.steps, self.start, self.settle)

    def __call__(self, me: Member) -> bool:
        return me.step % self.steps == 0 and _has_settled(me, self.start, self.settle)


@dataclass(frozen=True, slots=True)
class SinceLastReady:
    """Ready as soon as `steps` have passed since it was last ready.

    Equal to `Every` while no `start` or `settle` holds a member back; with them, the interval is
    counted anew from the moment at which the member at last was ready.

    Source: Jaderberg et al. 2017, section 4.1.1 (1e6 to 1e7 agent steps since last ready).
    """

    steps: int
    start: int = 0
    settle: int = 0

    def __post_init__(self) -> None:
        _check_interval(self.steps, self.start, self.settle)

    def __call__(self, me: Member) -> bool:
        since = me.step - me.last_ready
        return since >= self.steps and _has_settled(me, self.start, self.settle)


def never(me: Member) -> bool:
    """Be ready at no time: what is left of PBT is random search."""
    return False


def _check_interval(steps: int, start: int, settle: int) -> None:
    if steps < 1:
        raise ValueError(f"the ready interval must be at least 1 step, got {steps}")
    if start < 0 or settle < 0:
        raise ValueError(f"start and settle must not be negative, got {start} and {settle}")


def _has_settled(me: Member, start: int, settle: int) -> bool:
    return me.step >= start and (me.last_copy == 0 or me.step - me.last_copy >= settle)


# ---------------------------------------------------------------------------------- exploit


@dataclass(frozen=True, slots=True)
class Truncation:
    """Exploit by rank: whoever is in the bottom `fraction` copies somebody from the top one.

    Only the order of the scores counts, so any unit will do. Of equals, the lower id ranks higher.
    Whoever has diverged copies too, should more have diverged than the bottom holds.

    Args:
        fraction: the share of the population in either tail, in (0, 0.5]. Rounded down, but never
            to nobody: of two members, the worse one copies the better one.

    Returns:
        The member to copy, drawn uniformly from the healthy ones of the top; `me` itself to stay.

    Raises:
        ValueError: `fraction` would leave the two tails empty or let them overlap.

    Source: Jaderberg et al. 2017 (arXiv:1711.09846), section 4.1.1, with a fraction of 0.2.
    """

    fraction: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 0.5:
            raise ValueError(f"fraction must be in (0, 0.5], got {self.fraction}")

    def __call__(self, me: Member, population: Peers, rng: Generator) -> Member:
        ranked = sorted(population, key=lambda member: (-member.fitness, member.id))
        # the tiny term undoes rounding: 0.29 * 100 is 28.999999999999996 in floating point
        tail = max(1, math.floor(self.fraction * len(ranked) + 1e-9))
        low = {member.id for member in ranked[-tail:]}
        if len(ranked) < 2 or (me.healthy and me.id not in low):
            return me
        top = [member for member in ranked[:tail] if member.healthy]
        return top[rng.integers(len(top))] if top else me


@dataclass(frozen=True, slots=True)
class TTest:
    """Exploit by Welch's t-test: copy a member drawn at random if its recent scores are higher.

    Both samples are `Member.scores`: the last ten evaluations, or what `eval` returned of one.
    The rival must have the higher mean and the two-sided p-value must be below `level`; the paper
    states neither, so both are decisions of ours (a one-sided test at 0.05 is a level of 0.1).

    Special cases: a diverged member loses to any healthy one. With fewer than two scores on a side
    there is nothing to test, and the member stays. Two constant samples differ for certain if their
    values do.

    Args:
        level: the significance level, in (0, 1).

    Raises:
        ValueError: the level is no probability.

    Source: Jaderberg et al. 2017 (arXiv:1711.09846), section 4.1.1.
    """

    level: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"level must be in (0, 1), got {self.level}")

    def __call__(self, me: Member, population: Peers, rng: Generator) -> Member:
        rival = population.another(rng)
        if rival is None or not rival.healthy:
            return me
        if not me.healthy:
            return rival
        mine = [score for score in me.scores if math.isfinite(score)]
        theirs = [score for score in rival.scores if math.isfinite(score)]
        return rival if _is_higher(theirs, mine, self.level) else me


def _is_higher(high: Sequence[float], low: Sequence[float], level: float) -> bool:
    from scipy import stats  # half a second that no other rule needs

    if min(len(high), len(low)) < 2:
        return False
    unit = max(map(abs, (*high, *low))) or 1.0  # the test has none, and huge scores overflow
    high, low = [score / unit for score in high], [score / unit for score in low]
    if statistics.fmean(high) <= statistics.fmean(low):
        return False
    if len(set(high)) == len(set(low)) == 1:
        return True
    with_noise = stats.ttest_ind_from_stats(
        statistics.fmean(high),
        statistics.stdev(high),
        len(high),
        statistics.fmean(low),
        statistics.stdev(low),
        len(low),
        equal_var=False,
    )
    return bool(with_noise.pvalue < level)


def binary_tournament(me: Member, population: Peers, rng: Generator) -> Member:
    """Exploit by duel: meet one other member, drawn uniformly; copy it if it is the better one.

    Source: Jaderberg et al. 2017 (arXiv:1711.09846), section 4.3.1.
    """
    rival = population.another(rng)
    return rival if rival is not None and rival.fitness > me.fitness else me


@dataclass(frozen=True, slots=True)
class Among:
    """Exploit by another rule, but only among members of like age, and once enough have reported.

    The paper has none of this; an asynchronous population with fewer workers than members, or with
    workers of unequal speed, may want it.

    Args:
        exploit: the rule to ask.
        within: look only at members whose step differs by at most this; None for any.
        quorum: stay while fewer members than this (oneself included) can be looked at.
    """

    exploit: Exploit
    within: int | None = None
    quorum: int = 0

    def __post_init__(self) -> None:
        if self.within is not None and self.within < 0:
            raise ValueError(f"within must not be negative, got {self.within}")

    def __call__(self, me: Member, population: Peers, rng: Generator) -> Member:
        peers, within = population, self.within
        if within is not None:
            peers = population.where(lambda member: abs(member.step - me.step) <= within)
        return me if self.quorum and len(peers) < self.quorum else self.exploit(me, peers, rng)


# ---------------------------------------------------------------------------------- explore


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

    def __call__(self, hypers: Hypers, space: Space, rng: Generator) -> Hypers:
        for rule in self.rules:
            hypers = rule(hypers, space, rng)
        return hypers


def keep(hypers: Hypers, space: Space, rng: Generator) -> Hypers:
    """Explore nothing: go on with what was inherited."""
    return hypers
