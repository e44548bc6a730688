"""Hypers that a run is given, in place of drawn or explored ones: whether they can be in force."""

from collections.abc import Sequence

from core.anneal import Rule
from core.member import Hypers, Value
from core.space import Choice, Integer, Space, check_names


def check_hypers(hypers: Hypers, space: Space, what: str, *, may_fall: bool = False) -> None:
    """Raise ValueError unless the hypers are of the space.

    Args:
        what: is given them, for the sentence.
        may_fall: whether a number may be below its domain, down to 0, as when annealed.
    """
    check_names(hypers, space)
    legal = space.legal(hypers)
    strange = [name for name, value in hypers.items() if legal[name] != value]
    if any(not (may_fall and _has_fallen(hypers[name], legal[name])) for name in strange):
        raise ValueError(f"{what} {dict(hypers)} is not in the domain of the space")
    if not space.allows(hypers):
        raise ValueError(f"{what} {dict(hypers)} breaks the constraint of the space")


def _has_fallen(value: Value, least: Value) -> bool:
    if isinstance(value, str) or not isinstance(least, float):  # options, and whole numbers
        return False
    return 0 <= value < least


def check_points(points: Sequence[tuple[int, Hypers]], space: Space) -> None:
    """Raise ValueError unless these are (step, hypers) that all members can follow."""
    steps = [step for step, _ in points]
    if points and (steps[0] != 0 or steps != sorted(set(steps))):
        raise ValueError(f"the steps of a schedule must rise from 0, got {steps}")
    for step, hypers in points:
        check_hypers(hypers, space, f"at step {step}, the schedule", may_fall=True)


def check_rule(rule: Rule, start: Hypers, steps: int, space: Space) -> None:
    """Raise ValueError unless a member can follow the rule from this start, at its two ends."""
    try:
        ends = [rule(start, step) for step in (0, steps)]
        for hypers in ends:
            check_names(hypers, space)
    except KeyError as error:
        raise ValueError(
            f"the schedule asks for {error}, where the space has {', '.join(space)}"
        ) from error
    except ValueError as error:
        raise ValueError(f"the schedule does not fit the space: {error}") from error
    for name, value in (item for hypers in ends for item in hypers.items()):
        prior = space[name]
        broken = isinstance(prior, Integer) and not isinstance(value, int)
        if broken or (isinstance(prior, Choice) and value not in prior.options):
            raise ValueError(
                f"the schedule makes {name!r} {value!r}, which is no value of {prior}: a rule "
                "keeps whole numbers whole, and options among the options"
            )
