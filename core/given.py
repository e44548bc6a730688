"""Validate what a user gives a run: its rules, and hypers to start with or to follow."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass

from core.anneal import Rule
from core.member import Hypers, ReadOnly, Value
from core.rules import MUST, RuleError, naming, refused
from core.space import Choice, Integer, Space
from core.values import check_names, plain

ARGUMENTS: Mapping[str, int] = {"ready": 1, "report": 1, "exploit": 3, "explore": 3}


def check_is_rule(role: str, rule: object) -> None:
    """Raise ValueError unless this can be called as a rule of that role is."""
    if isinstance(rule, type):
        how = "an instance of it, as in" if is_dataclass(rule) else "a function, or an instance as"
        raise ValueError(
            f"{role} is the class {rule.__name__}: give {how} {role}={rule.__name__}(...)"
        )
    if not callable(rule):
        example = {"ready": "Every(5)", "report": "Every(1)", "exploit": "Truncation(0.2)"}
        raise ValueError(
            f"{role} must be a rule such as {example.get(role, 'Perturb()')}, got {rule!r}: "
            f"{MUST[role]}"
        )
    if not takes(rule, ARGUMENTS[role]):
        raise ValueError(
            f"{role}={getattr(rule, '__qualname__', rule)} takes {inspect.signature(rule)}: "
            f"{MUST[role]}"
        )


def takes(function: Callable[..., object], count: int) -> bool:
    """Whether a function can be called with so many arguments; True where that is not known."""
    try:
        inspect.signature(function).bind(*(None,) * count)
    except TypeError:
        return False
    except ValueError:  # of some functions of C nobody knows
        return True
    return True


def check_hypers(hypers: Hypers, space: Space, what: str, *, may_fall: bool = False) -> Hypers:
    """Return the hypers as a record holds them.

    Args:
        what: is given them, for the sentence.
        may_fall: whether a number may be below its domain, down to 0, as when annealed.

    Raises:
        ValueError: they are not of the space.
    """
    if not isinstance(hypers, Mapping):
        raise ValueError(f"{what} is {hypers!r}: give a value by name, {{'name': value}}")
    exact = space.exact(hypers)
    legal = space.legal(exact)
    strange = [name for name, value in exact.items() if legal[name] != value]
    if any(not (may_fall and _has_fallen(exact[name], legal[name])) for name in strange):
        where = ", ".join(f"{n} = {exact[n]!r} (nearest: {legal[n]!r})" for n in strange)
        raise ValueError(f"{what} {dict(hypers)} is not in the domain of the space: {where}")
    if not space.allows(exact):
        raise ValueError(f"{what} {dict(hypers)} breaks the constraint of the space")
    return ReadOnly(exact)


def _has_fallen(value: Value, least: Value) -> bool:
    if isinstance(value, str) or not isinstance(least, float):  # options, and whole numbers
        return False
    return 0 <= value < least


def check_points(
    points: Sequence[tuple[int, Hypers]], space: Space
) -> tuple[tuple[int, Hypers], ...]:
    """Return (step, hypers) that all members can follow, the hypers as a record holds them.

    Raises:
        ValueError: they cannot be followed.
    """
    pairs = isinstance(points, tuple | list) and all(
        isinstance(pair, tuple | list) and len(pair) == 2 for pair in points
    )
    if not pairs or any(type(step) is not int for step, _ in points):
        raise ValueError(
            "a schedule is a tuple of (step, hypers), each step a whole number, as in "
            f"((0, {{'rate': 0.1}}), (8, {{'rate': 0.01}})); got {points!r}"
        )
    steps = [step for step, _ in points]
    if points and (steps[0] != 0 or steps != sorted(set(steps))):
        raise ValueError(f"the steps of a schedule must rise from 0, got {steps}")
    return tuple(
        (step, check_hypers(hypers, space, f"at step {step}, the schedule", may_fall=True))
        for step, hypers in points
    )


def follow(rule: Rule, start: Hypers, step: int, space: Space) -> Hypers:
    """Return what a member that began with `start` trains with after a step.

    Raises:
        RuleError: the rule raised, or returned something else than a value for each name.
    """
    with naming("schedule", rule):
        found = rule(dict(start), step)
    if not isinstance(found, Mapping):
        raise refused("schedule", rule, f"returned {found!r} at step {step}")
    try:
        return space.exact(found)
    except ValueError as error:
        what = f"returned {dict(found)!r} at step {step}; {error}"
        raise refused("schedule", rule, what) from error


def check_rule(rule: Rule, start: Hypers, steps: int, space: Space) -> None:
    """Raise ValueError unless a member can follow the rule from this start, at its two ends."""
    try:
        ends = [rule(dict(start), step) for step in (0, steps)]
        for hypers in ends:
            check_names(hypers, space)
    except KeyError as error:
        raise ValueError(
            f"the schedule asks for {error}, where the space has {', '.join(space)}"
        ) from error
    except RuleError:
        raise
    except (ValueError, TypeError) as error:
        raise ValueError(f"the schedule does not fit the space: {error}") from error
    for name, value in (item for hypers in ends for item in hypers.items()):
        prior = space[name]
        broken = isinstance(prior, Integer) and not isinstance(plain(value), int)
        if broken or (isinstance(prior, Choice) and plain(value) not in prior.options):
            raise ValueError(
                f"the schedule makes {name!r} {value!r}, which is no value of {prior}: a rule "
                "keeps whole numbers whole, and options among the options"
            )
    for step in (0, steps):
        follow(rule, start, step, space)
