"""A run, described: `PBT` holds all settings, and refuses those that cannot be used."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Literal

from core.member import Hypers, ReadOnly, Value
from core.rules import MUST, RuleError, looks, naming, refused, takes
from core.space import Choice, Integer, Space
from core.strategies.exploit import Exploit
from core.strategies.explore import Explore, keep
from core.strategies.ready import Every, Ready, never
from core.strategies.schedules import Rule
from core.streams import random_numbers
from core.task import Task
from core.values import check_names, plain

Mode = Literal["asynchronous", "lockstep"]
Inherited = Literal["weights", "hypers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PBT:
    """A run, described: all that decides its result. A preset is a function that returns one.

    task: what is trained.
    members: the size of the population.
    steps: how many steps each member is trained for.
    ready, exploit, explore: the rules; see core/strategies.
    inherit: what a member takes from the one that it copies. With "hypers" alone it keeps its own
        weights, with "weights" alone its own hypers are explored, with () it only explores.
    start: the first hypers of the first members; the others draw theirs from the priors.
    schedule: what is followed in place of a search, so that no member may ever be ready: pairs of
        (step, hypers), the first at step 0, which hold for all members from that step on (a replay
        of what another run found); or a rule by which each member goes on from its own start
        (core/strategies/schedules.py).
    report: the steps at which `Trainer.report` is asked, besides the last one.
    keep: the steps of a member whose weights can be copied, counted from its newest: more than 1
        for rules that copy older records.
    rescues: how many times a member whose trainer raised may start again from a donor.
    seed: of everything that is drawn by the engine or by a trainer.
    mode: "asynchronous" as in the paper; in "lockstep" a member decides when all have published
        that step, against exactly those records, and the run is a function of the seed alone.

    Raises:
        ValueError: a setting of no use, named with what would be.
    """

    task: Task
    members: int
    steps: int
    ready: Ready
    exploit: Exploit
    explore: Explore = keep
    inherit: tuple[Inherited, ...] = ("weights", "hypers")
    start: tuple[Hypers, ...] = ()
    schedule: tuple[tuple[int, Hypers], ...] | Rule = ()
    report: Ready = Every(1)
    keep: int = 1
    rescues: int = 3
    seed: int = 0
    mode: Mode = "asynchronous"

    def __post_init__(self) -> None:
        if not isinstance(self.task, Task):
            raise ValueError(f"task must be a Task(trainer, space), got {self.task!r}")
        for role in ("ready", "exploit", "explore", "report"):
            check_is_rule(role, getattr(self, role))
        for name, least in (("members", 1), ("steps", 1), ("seed", 0), ("rescues", 0), ("keep", 1)):
            value = plain(getattr(self, name))
            self._keep(name, value)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value}")
        if self.mode not in ("asynchronous", "lockstep"):
            raise ValueError(f"mode must be asynchronous or lockstep, got {self.mode!r}")
        if isinstance(self.inherit, str) or not set(self.inherit) <= {"weights", "hypers"}:
            raise ValueError(
                "inherit is a tuple that may hold 'weights' and 'hypers', as in ('weights',), got "
                f"{self.inherit!r}"
            )
        self._keep("inherit", tuple(self.inherit))
        if not isinstance(self.start, tuple | list):
            raise ValueError(
                f"start is a tuple of hypers, one for each of the first members, got {self.start!r}"
            )
        if len(self.start) > self.members:
            raise ValueError(
                f"{len(self.start)} starts are given for {self.members} members: it needs a "
                "member for each, and may have more"
            )
        space = self.task.space
        self._keep("start", tuple(check_hypers(h, space, "the start") for h in self.start))
        if self.schedule and self.ready is not never:
            raise ValueError(
                "a member that follows a schedule is never ready: give ready=never with schedule="
            )
        if callable(self.schedule):
            check_rule(self.schedule, first_hypers(0, self), self.steps, space)
            return
        self._keep("schedule", check_points(self.schedule, space))
        if self.schedule and self.start:
            raise ValueError(
                "a schedule says what all members start with: give schedule= or start=, not both"
            )

    def _keep(self, name: str, value: object) -> None:
        """Keep a setting in the one form in which it is used, which nobody can change."""
        object.__setattr__(self, name, value)


def first_hypers(id: int, pbt: PBT) -> Hypers:
    """Return the hypers that a member starts with: given ones, or drawn from the priors."""
    if id < len(pbt.start):
        return pbt.start[id]
    return pbt.task.space.sample(random_numbers(pbt.seed, "start", id))


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
    count = ARGUMENTS[role] + (role == "explore" and looks(rule))
    if not takes(rule, count):
        raise ValueError(
            f"{role}={getattr(rule, '__qualname__', rule)} takes {inspect.signature(rule)}: "
            f"{MUST[role]}"
        )


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
