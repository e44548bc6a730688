"""Search spaces: where each hyperparameter starts (prior) and where it may ever go (domain)."""

import difflib
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from numpy.random import Generator

from core.member import Hypers, Value

EVERYWHERE = (-math.inf, math.inf)
TRIES = 1000  # draws after which a constraint counts as impossible to satisfy


class Prior(Protocol):
    """What a space knows of one hyperparameter. The five kinds below are all that there are."""

    def sample(self, rng: Generator) -> Value:
        """Draw a first value from the prior."""
        ...

    def scaled(self, value: Value, factor: float, rng: Generator) -> Value:
        """Return `value` times `factor`, as far as the kind of the hyperparameter allows it."""
        ...

    def shifted(self, value: Value, amount: float) -> Value:
        """Return `value` plus `amount`, in the domain."""
        ...

    def legal(self, value: Value) -> Value:
        """Return the value of the domain that is nearest to `value`; raise if there is none."""
        ...


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"got {value!r} where a number is needed")
    return float(value)


def _clip(value: float, domain: tuple[float, float]) -> float:
    """Return the nearest number of the domain; never infinity, which no record could hold."""
    return float(min(max(value, domain[0], -sys.float_info.max), domain[1], sys.float_info.max))


def _check_range(prior: "Uniform | LogUniform | Integer") -> None:
    least, most = prior.domain
    if not prior.low <= prior.high:
        raise ValueError(f"the prior {prior} is empty: give it low <= high")
    if not (math.isfinite(prior.low) and math.isfinite(prior.high)):
        raise ValueError(f"the prior {prior} is unbounded: give it a finite low and high")
    if not (least <= prior.low and prior.high <= most):
        raise ValueError(
            f"the prior {prior} reaches out of its domain [{least}, {most}]: "
            "narrow the prior, or widen the domain to all values that make sense"
        )


@dataclass(frozen=True, slots=True)
class Uniform:
    """A number that starts anywhere in [low, high] with equal chance.

    low, high: the prior, in the unit of the hyperparameter.
    domain: the values that make sense at all. Exploring may leave the prior, never the domain.

    Raises:
        ValueError: the prior is empty, unbounded, or reaches out of the domain.
    """

    low: float
    high: float
    domain: tuple[float, float] = EVERYWHERE

    def __post_init__(self) -> None:
        _check_range(self)

    def sample(self, rng: Generator) -> Value:
        """Draw a first value from the prior."""
        return float(rng.uniform(self.low, self.high))

    def scaled(self, value: Value, factor: float, rng: Generator) -> Value:
        """Return the product, in the domain; 0 stays 0."""
        return self.legal(_number(value) * factor)

    def shifted(self, value: Value, amount: float) -> Value:
        """Return the sum, in the domain."""
        return self.legal(_number(value) + amount)

    def legal(self, value: Value) -> Value:
        """Return the nearest value of the domain."""
        return _clip(_number(value), self.domain)


@dataclass(frozen=True, slots=True)
class LogUniform:
    """A positive number that starts in [low, high], uniformly in its logarithm.

    low, high: the prior, in the unit of the hyperparameter; both positive.
    domain: the values that make sense at all. Exploring may leave the prior, never the domain.

    Raises:
        ValueError: the prior is empty, not positive, unbounded, or reaches out of the domain.
    """

    low: float
    high: float
    domain: tuple[float, float] = (0.0, math.inf)

    def __post_init__(self) -> None:
        _check_range(self)
        if not self.low > 0:
            raise ValueError(f"the prior {self} needs low > 0: the logarithm of {self.low} is none")

    def sample(self, rng: Generator) -> Value:
        """Draw a first value from the prior."""
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return _clip(drawn, (self.low, self.high))  # exp(log(x)) may round out of the prior

    def scaled(self, value: Value, factor: float, rng: Generator) -> Value:
        """Return the product, in the domain."""
        return self.legal(_number(value) * factor)

    def shifted(self, value: Value, amount: float) -> Value:
        """Return the sum, in the domain."""
        return self.legal(_number(value) + amount)

    def legal(self, value: Value) -> Value:
        """Return the nearest value of the domain, and never 0: no factor leads away from it."""
        return _clip(max(_number(value), sys.float_info.min), self.domain)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number that starts anywhere in low, low + 1, ..., high with equal chance.

    Scaling rounds, but moves by at least one, so that small numbers (and 0) never get stuck.

    low, high: the prior; both whole, both included.
    domain: the values that make sense at all. Exploring may leave the prior, never the domain.

    Raises:
        ValueError: the prior is empty, not whole, or reaches out of the domain.
    """

    low: int
    high: int
    domain: tuple[float, float] = EVERYWHERE

    def __post_init__(self) -> None:
        _check_range(self)
        for bound in (self.low, self.high, *self.domain):
            if math.isfinite(bound) and bound != round(bound):
                raise ValueError(f"{bound} in {self} is not whole: an Integer needs whole bounds")

    def sample(self, rng: Generator) -> Value:
        """Draw a first value from the prior."""
        return int(rng.integers(self.low, self.high, endpoint=True))

    def scaled(self, value: Value, factor: float, rng: Generator) -> Value:
        """Return the rounded product, at least one away from `value` unless the domain ends."""
        before = round(_number(value))
        if factor == 1:
            return self.legal(before)
        outward = 1 if (factor > 1) == (before >= 0) else -1
        after = round(before * factor)
        moved = max(after, before + 1) if outward > 0 else min(after, before - 1)
        return self.legal(moved)

    def shifted(self, value: Value, amount: float) -> Value:
        """Return the rounded sum, in the domain."""
        return self.legal(_number(value) + amount)

    def legal(self, value: Value) -> Value:
        """Return the nearest whole number of the domain."""
        return round(_clip(_number(value), self.domain))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few options, each the first with equal chance.

    options: numbers or names; what is listed is the prior and the domain.
    ordered: whether neighbours are alike. Scaling an ordered choice moves to the next option up or
        down (and stays at either end); scaling an unordered one draws any other option.

    Raises:
        ValueError: no option, or one of them twice.
    """

    options: tuple[Value, ...]
    ordered: bool = False

    def __post_init__(self) -> None:
        if not self.options or len(set(self.options)) != len(self.options):
            raise ValueError(f"{self} needs at least one option, and none twice")
        for option in self.options:
            if isinstance(option, bool) or not isinstance(option, int | float | str):
                raise ValueError(f"the option {option!r} of {self} is neither a number nor a name")
            if isinstance(option, float) and not math.isfinite(option):
                raise ValueError(f"the option {option!r} of {self} is not finite")

    def sample(self, rng: Generator) -> Value:
        """Draw a first option."""
        return self.options[rng.integers(len(self.options))]

    def scaled(self, value: Value, factor: float, rng: Generator) -> Value:
        """Move to a neighbour (ordered) or to any other option (unordered)."""
        here = self.options.index(self.legal(value))
        if self.ordered:
            step = (factor > 1) - (factor < 1)
            return self.options[min(max(here + step, 0), len(self.options) - 1)]
        others = [option for i, option in enumerate(self.options) if i != here]
        return others[rng.integers(len(others))] if others else value

    def shifted(self, value: Value, amount: float) -> Value:
        """Return `value`: a sum means nothing here."""
        return self.legal(value)

    def legal(self, value: Value) -> Value:
        """Return `value` if it is an option."""
        if value not in self.options:
            raise ValueError(f"{value!r} is not an option of {self}")
        return value


@dataclass(frozen=True, slots=True)
class Fixed:
    """A hyperparameter that no explorer moves; a run may start members elsewhere in its domain.

    value: a number or a name.
    domain: the numbers that make sense at all; of no meaning for a name.

    Raises:
        ValueError: the value is not in the domain.
    """

    value: Value
    domain: tuple[float, float] = EVERYWHERE

    def __post_init__(self) -> None:
        self.legal(self.value)

    def sample(self, rng: Generator) -> Value:
        """Return the value."""
        return self.value

    def scaled(self, value: Value, factor: float, rng: Generator) -> Value:
        """Return `value`: it is fixed."""
        return value

    def shifted(self, value: Value, amount: float) -> Value:
        """Return `value`: it is fixed."""
        return value

    def legal(self, value: Value) -> Value:
        """Return `value`, which must be of the kind of the fixed one, and in the domain."""
        if isinstance(self.value, str) or isinstance(value, str):
            if type(value) is not type(self.value):
                raise ValueError(f"{value!r} is not of the kind of {self.value!r}")
            return value
        if not self.domain[0] <= _number(value) <= self.domain[1]:
            raise ValueError(f"the fixed value {value} is out of its domain {list(self.domain)}")
        return value


@dataclass(frozen=True, slots=True)
class Space(Mapping[str, Prior]):
    """All hyperparameters of a task, by name.

    Args:
        priors: name -> Uniform, LogUniform, Integer, Choice or Fixed.
        constraint: a function of the module's top level that says whether values go together; a
            start is drawn anew, an explored set explored anew, until it does.

    Raises:
        ValueError: no prior, something else than a prior, or a constraint that no draw satisfies.
    """

    priors: Mapping[str, Prior]
    constraint: Callable[[Hypers], bool] | None = None

    def __post_init__(self) -> None:
        if not self.priors:
            raise ValueError("the space is empty: name at least one hyperparameter (Fixed will do)")
        for name, prior in self.priors.items():
            if not isinstance(prior, Uniform | LogUniform | Integer | Choice | Fixed):
                raise ValueError(
                    f"{name!r} has {prior!r} for a prior; give it a Uniform, LogUniform, Integer, "
                    "Choice or Fixed from core.space"
                )

    def __getitem__(self, name: str) -> Prior:
        return self.priors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.priors)

    def __len__(self) -> int:
        return len(self.priors)

    def sample(self, rng: Generator) -> Hypers:
        """Draw first values for all hyperparameters, such as the constraint allows."""
        for _ in range(TRIES):
            hypers = {name: prior.sample(rng) for name, prior in self.priors.items()}
            if self.allows(hypers):
                return hypers
        raise ValueError(
            f"none of {TRIES} draws from the priors satisfies the constraint "
            f"{getattr(self.constraint, '__qualname__', self.constraint)!r}: loosen it, or draw "
            "from narrower priors"
        )

    def legal(self, hypers: Hypers) -> Hypers:
        """Return `hypers` with each value at the nearest one of its domain.

        Raises:
            ValueError: the names are not those of the space, or a value is of no use at all.
        """
        check_names(hypers, self)
        return {name: prior.legal(hypers[name]) for name, prior in self.priors.items()}

    def allows(self, hypers: Hypers) -> bool:
        """Whether the values go together."""
        return self.constraint is None or bool(self.constraint(hypers))

    def explored(
        self,
        hypers: Hypers,
        explore: Callable[[Hypers, "Space", Generator], Hypers],
        rng: Generator,
    ) -> Hypers:
        """Return what `explore` makes of `hypers`, legal and allowed; `hypers` if it finds none."""
        for _ in itertools.repeat(None, TRIES if self.constraint else 1):
            new = self.legal(explore(hypers, self, rng))
            if self.allows(new):
                return new
        return hypers


def check_names(names: Iterable[str], space: Mapping[str, object]) -> None:
    """Raise ValueError unless `names` are exactly the hyperparameters of `space`."""
    names = set(names)
    for name in sorted(names - set(space)):
        near = difflib.get_close_matches(name, space, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(space))}."
        raise ValueError(f"{name!r} is not a hyperparameter of this task. {hint}")
    if missing := sorted(set(space) - names):
        raise ValueError(
            f"no value for {', '.join(missing)}; a member needs one for every hyperparameter. "
            "To hold one fixed, give it the prior Fixed(value)."
        )
