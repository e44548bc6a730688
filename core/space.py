"""Search spaces: where each hyperparameter starts (prior) and where it may ever go (domain)."""

import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Protocol

from numpy.random import Generator

from core.member import Hypers, ReadOnly, Value
from core.rules import ask, naming, refused, truth
from core.values import check_names, finite, number_of, plain, whole

EVERYWHERE = (-math.inf, math.inf)
PRIOR = (math.nan, math.nan)  # of a domain that is not stated: the ends of the prior
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

    def exact(self, value: Value) -> Value:
        """Return `value` as a record holds it: of what is equal, such as 1, 1.0 and True, one."""
        ...


def _clip(value: float, domain: tuple[float, float]) -> float:
    """Return the nearest number of the domain; never infinity, which no record could hold."""
    return float(min(max(value, domain[0], -sys.float_info.max), domain[1], sys.float_info.max))


def _check_range(prior: "Uniform | LogUniform | Integer") -> None:
    ends = (prior.low, prior.high) if prior.domain is PRIOR else prior.domain
    if not isinstance(ends, tuple | list) or len(ends) != 2:
        raise ValueError(f"the domain {ends!r} is no pair: write domain=(least, greatest)")
    found = [plain(end) for end in (prior.low, prior.high, *ends)]
    for end in found:
        if isinstance(end, bool) or not isinstance(end, int | float):
            raise ValueError(f"{end!r} is no number, and an end of {type(prior).__name__} must be")
    for name, value in zip(("low", "high", "domain"), (*found[:2], tuple(found[2:])), strict=True):
        object.__setattr__(prior, name, value)
    least, most = prior.domain
    if not prior.low <= prior.high:
        raise ValueError(f"the prior {prior} is empty: give it low <= high")
    if not (math.isfinite(prior.low) and math.isfinite(prior.high)):
        raise ValueError(f"the prior {prior} is unbounded: give it a finite low and high")
    if not (least <= prior.low and prior.high <= most):
        raise ValueError(
            f"the prior {prior} reaches out of its domain [{least}, {most}]: narrow the prior, or "
            "widen the domain to all values that make sense"
        )


@dataclass(frozen=True, slots=True)
class Uniform:
    """A number that starts anywhere in [low, high] with equal chance.

    low, high: the prior, in the unit of the hyperparameter.
    domain: the values that make sense at all; by default the prior's. Exploring may leave the prior
        where the domain is wider, never the domain: EVERYWHERE for no bound.

    Raises:
        ValueError: the prior is empty, unbounded, or reaches out of the domain.
    """

    low: float
    high: float
    domain: tuple[float, float] = PRIOR

    def __post_init__(self) -> None:
        _check_range(self)

    def sample(self, rng: Generator) -> Value:
        """Draw a first value from the prior."""
        return float(rng.uniform(self.low, self.high))

    def scaled(self, value: Value, factor: float, rng: Generator) -> Value:
        """Return the product, in the domain; 0 stays 0."""
        return self.legal(number_of(value) * factor)

    def shifted(self, value: Value, amount: float) -> Value:
        """Return the sum, in the domain."""
        return self.legal(number_of(value) + amount)

    def legal(self, value: Value) -> Value:
        """Return the nearest value of the domain."""
        return _clip(number_of(value), self.domain)

    def exact(self, value: Value) -> Value:
        """Return it as a float."""
        return finite(value)


@dataclass(frozen=True, slots=True)
class LogUniform:
    """A positive number that starts in [low, high], uniformly in its logarithm.

    low, high: the prior, in the unit of the hyperparameter; both positive.
    domain: the values that make sense at all; by default all above 0. Exploring may leave the
        prior, never the domain.

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
        return self.legal(number_of(value) * factor)

    def shifted(self, value: Value, amount: float) -> Value:
        """Return the sum, in the domain."""
        return self.legal(number_of(value) + amount)

    def legal(self, value: Value) -> Value:
        """Return the nearest value of the domain, and never 0: no factor leads away from it."""
        return _clip(max(number_of(value), sys.float_info.min), self.domain)

    def exact(self, value: Value) -> Value:
        """Return it as a float."""
        return finite(value)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number that starts anywhere in low, low + 1, ..., high with equal chance.

    Scaling rounds, but moves by at least one, so that small numbers (and 0) never get stuck.

    low, high: the prior; both whole, both included.
    domain: the values that make sense at all; by default the prior's. Exploring may leave the prior
        where the domain is wider, never the domain: EVERYWHERE for no bound.

    Raises:
        ValueError: the prior is empty, not whole, or reaches out of the domain.
    """

    low: int
    high: int
    domain: tuple[float, float] = PRIOR

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
        before = round(number_of(value))
        if factor == 1:
            return self.legal(before)
        outward = 1 if (factor > 1) == (before >= 0) else -1
        after = round(before * factor)
        moved = max(after, before + 1) if outward > 0 else min(after, before - 1)
        return self.legal(moved)

    def shifted(self, value: Value, amount: float) -> Value:
        """Return the rounded sum, in the domain."""
        return self.legal(number_of(value) + amount)

    def legal(self, value: Value) -> Value:
        """Return the nearest whole number of the domain."""
        return round(_clip(number_of(value), self.domain))

    def exact(self, value: Value) -> Value:
        """Return it as an int; it must be whole."""
        return whole(finite(value))


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
        if isinstance(self.options, str | Set | Mapping) or not isinstance(self.options, Iterable):
            raise ValueError(f"{self.options!r} is no tuple of options: a set has no order")
        object.__setattr__(self, "options", tuple(map(plain, self.options)))
        if not self.options or len(set(self.options)) != len(self.options):
            raise ValueError(f"{self} needs at least one option, and none twice")
        for option in self.options:
            if isinstance(option, bool) or not isinstance(option, int | float | str):
                raise ValueError(
                    f"the option {option!r} of {self} is neither a number nor a name: of a switch, "
                    'write 0 and 1, or names such as "off" and "on"'
                )
            if not isinstance(option, str):
                finite(option)

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
        """Return the option that equals `value`, as it is listed."""
        found = plain(value)
        kind = getattr(getattr(value, "dtype", None), "type", None)
        for option in self.options if isinstance(found, int | float | str) else ():
            rounded = kind is not None and isinstance(option, float) and kind(option) == value
            if option == found or rounded:  # a float32 is no 0.1
                return option
        raise ValueError(f"{value!r} is not an option of {self}")

    exact = legal


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
        object.__setattr__(self, "value", plain(self.value))
        if isinstance(self.value, bool):
            raise ValueError(
                f"the fixed value {self.value} is neither a number nor a name: write 0 or 1"
            )
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
        found = self.exact(value)
        if not isinstance(found, str) and not self.domain[0] <= found <= self.domain[1]:
            raise ValueError(f"the fixed value {found} is out of its domain {list(self.domain)}")
        return found

    def exact(self, value: Value) -> Value:
        """Return the fixed value if it equals `value`, else `value` as one of the same kind."""
        found, fixed = plain(value), self.value
        if isinstance(found, str) or isinstance(fixed, str):
            if not (isinstance(found, str) and isinstance(fixed, str)):
                raise ValueError(f"{value!r} is not of the kind of {fixed!r}")
            return found
        number = float(found) if isinstance(found, bool) and found == fixed else finite(found)
        if number == fixed:
            return fixed
        return int(number) if isinstance(fixed, int) and number.is_integer() else number


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
        object.__setattr__(self, "priors", ReadOnly(self.priors))
        for name, prior in self.priors.items():
            if not isinstance(name, str) or not name:
                raise ValueError(f"{name!r} is no name of a hyperparameter: give it a text")
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

    def exact(self, hypers: Hypers) -> Hypers:
        """Return `hypers` as a record holds them, in their domains or not.

        Raises:
            ValueError: the names are not those of the space, or a value is of no use at all.
        """
        check_names(hypers, self)
        return {name: self.priors[name].exact(value) for name, value in hypers.items()}

    def allows(self, hypers: Hypers) -> bool:
        """Whether the values go together."""
        if self.constraint is None:
            return True
        with naming("constraint", self.constraint):
            said = self.constraint(dict(hypers))
        return truth("constraint", self.constraint, said)

    def explored(
        self,
        hypers: Hypers,
        explore: Callable[..., Hypers],
        rng: Generator,
        population: object = None,
    ) -> Hypers:
        """Return what `explore` makes of a copy of `hypers`, if it is legal; `hypers` if it is not.

        Raises:
            RuleError: the rule raised, or returned something else than a value for each name.
        """
        for _ in itertools.repeat(None, TRIES if self.constraint else 1):
            with naming("explore", explore):
                new = ask(explore, dict(hypers), self, rng, population)
            if not isinstance(new, Mapping):
                raise refused("explore", explore, f"returned {new!r}")
            try:
                new = self.legal(new)
            except ValueError as error:
                raise refused("explore", explore, f"returned {dict(new)!r}; {error}") from error
            if self.allows(new):
                return new
        return hypers
