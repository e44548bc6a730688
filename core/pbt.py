"""Algorithm 1 of Population Based Training (Jaderberg et al. 2017, arXiv:1711.09846)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.random import Generator, SeedSequence

from core.anneal import Rule
from core.given import check_hypers, check_is_rule, check_points, check_rule, follow
from core.member import Hypers, Member
from core.peers import Peers
from core.rules import LookFailed, naming, refused, truth
from core.strategies import Every, Exploit, Explore, Ready, keep, never
from core.task import Task
from core.values import plain

Mode = Literal["asynchronous", "lockstep"]
Inherited = Literal["weights", "hypers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PBT:
    """A run, described: all that decides its result. A preset is a function that returns one.

    task: what is trained.
    members: the size of the population.
    steps: how many steps each member is trained for.
    ready, exploit, explore: the rules; see core/strategies.py.
    inherit: what a member takes from the one that it copies. With "hypers" alone it keeps its own
        weights, with "weights" alone its own hypers are explored, with () it only explores.
    start: the first hypers of the first members; the others draw theirs from the priors.
    schedule: what is followed in place of a search, so nobody may ever be ready: (step, hypers), what
        holds from each of these steps on, the first being 0, for everybody (a replay of what another
        run has found); or a rule by which each member goes on from its own start (core/anneal.py).
    report: the steps at which `Trainer.report` is asked, besides the last one.
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
    rescues: int = 3
    seed: int = 0
    mode: Mode = "asynchronous"

    def __post_init__(self) -> None:
        if not isinstance(self.task, Task):
            raise ValueError(f"task must be a Task(trainer, space), got {self.task!r}")
        for role in ("ready", "exploit", "explore", "report"):
            check_is_rule(role, getattr(self, role))
        for name, least in (("members", 1), ("steps", 1), ("seed", 0), ("rescues", 0)):
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
            raise ValueError("whoever follows a schedule is never ready")
        if callable(self.schedule):
            check_rule(self.schedule, _first(0, self), self.steps, space)
            return
        self._keep("schedule", check_points(self.schedule, space))
        if self.schedule and self.start:
            raise ValueError("whoever follows the schedule of all has no start of its own")

    def _keep(self, name: str, value: object) -> None:
        """Keep a setting in the one form in which it is used, which nobody can change."""
        object.__setattr__(self, name, value)


class WeightsLost(Exception):
    """The weights of a record are gone, or are not what the record says."""


@dataclass(frozen=True, slots=True)
class Loadable:
    """Weights to load: a file, and for a copy the seed of the random stream to go on with."""

    path: Path
    reseed: int | None = None


class Learner(Protocol):
    """A trainer as Algorithm 1 sees it: `eval` returns a tuple, and nothing raises (NaN instead)."""

    raised: int  # how often the trainer has raised since the member was last published

    def step(self, hypers: Hypers) -> None: ...
    def eval(self) -> tuple[float, ...]: ...
    def load(self, weights: Loadable) -> None: ...


class Population(Protocol):
    """The population as Algorithm 1 sees it from one member."""

    def seen_by(self, me: Member) -> Peers | None:
        """Return the members that `me` may compare itself with, itself among them.

        None in lockstep as long as `me` or another has not published this step.
        """
        ...

    def weights(self, member: Member) -> Loadable:
        """Return weights that nobody can take away any more; raise WeightsLost if they are gone."""
        ...

    def update(self, me: Member, trainer: Learner) -> Member:
        """Publish the member with the trainer's weights; return it with the record's number."""
        ...


def worker(me: Member, trainer: Learner, population: Population, pbt: PBT) -> Iterator[Member]:
    """Run Algorithm 1 for one member.

    Yields the member after each update of the population. As a generator it runs only when asked:
    a job exhausts one worker; a test takes turns among many, and so replays any schedule. Its
    random numbers depend on (seed, id, step) alone: whoever repeats a turn draws the same again.
    """
    # fmt: off
    while me.waiting or me.step < pbt.steps:                   # while not end of training
        if not me.waiting:                                     #   (who waits in lockstep has done it)
            trainer.step(me.hypers)                            #   θ ← step(θ | h)
            me = me.trained(trainer.eval(), trainer.raised)    #   p ← eval(θ)
            me = scheduled(me, pbt)                            #   (who replays a schedule is given h)
        if me.waiting or is_ready(me, pbt):                    #   if ready(p, t, P)
            while (seen := population.seen_by(me)) is None:    #     (in lockstep: publish, and wait)
                me = me if me.waiting else population.update(replace(me, waiting=True), trainer)
                yield me
            choice = exploit(me, seen, population, pbt)        #     h', θ' ← exploit(h, θ, p, P)
            me = me.decided(choice.seen)
            if choice.donor.id != me.id:                       #     if θ ≠ θ'
                if choice.weights:
                    trainer.load(choice.weights)
                hypers = explore(me, choice, pbt)              #       h, θ ← explore(h', θ', P)
                me = me.copied(choice.donor, hypers)
                me = me.rescored(trainer.eval())               #       p ← eval(θ)
        me = population.update(me, trainer)                    #   update P with (θ, h, p, t + 1)
        yield me
    # fmt: on


@dataclass(frozen=True, slots=True)
class Decision:
    """What exploit came to: whom to copy (oneself: nobody), and after a look at which records."""

    donor: Member
    rng: Generator  # where exploit left it; explore goes on drawing from it
    seen: Mapping[int, int | None]
    weights: Loadable | None


def exploit(me: Member, seen: Peers, population: Population, pbt: PBT) -> Decision:
    """Ask the run's exploit; ask again, without him, while the chosen one's weights are lost."""
    while True:
        donor, rng = decide(me, seen, pbt)
        weights = None
        if donor.id != me.id and "weights" in pbt.inherit:
            try:
                weights = population.weights(donor)
            except WeightsLost:
                seen.leave_out(donor.id)
                continue
        return Decision(donor, rng, seen.seen, weights)


def is_ready(me: Member, pbt: PBT) -> bool:
    """Ask the run's rule whether a member is ready."""
    with naming("ready", pbt.ready):
        said = pbt.ready(me)
    return truth("ready", pbt.ready, said)


def is_reported(me: Member, pbt: PBT) -> bool:
    """Ask the run's rule whether a member's trainer reports at this step."""
    with naming("report", pbt.report):
        said = pbt.report(me)
    return truth("report", pbt.report, said)


def decide(me: Member, seen: Peers, pbt: PBT) -> tuple[Member, Generator]:
    """Return whom `me` copies (itself: nobody) if it sees `seen`: a function of just these.

    Whoever has diverged is never copied, whatever the rule; whoever failed too often stays.

    Raises:
        RuleError: the rule raised, or did not return a member that it was shown.
    """
    rng = random_numbers(pbt.seed, "decision", me.id, me.step)
    try:
        with naming("exploit", pbt.exploit):
            donor = pbt.exploit(me, seen, rng)
    except LookFailed as failed:
        raise failed.__cause__ or failed from None
    if not (donor is me or (isinstance(donor, Member) and seen.has_shown(donor))):
        raise refused("exploit", pbt.exploit, f"returned {donor!r}")
    return (donor if donor.healthy and me.failures <= pbt.rescues else me), rng


def explore(me: Member, choice: Decision, pbt: PBT) -> Hypers:
    """Return the hypers that `me` goes on with after it copied the donor."""
    inherited = choice.donor.hypers if "hypers" in pbt.inherit else me.hypers
    return pbt.task.space.explored(inherited, pbt.explore, choice.rng)


def start(id: int, pbt: PBT) -> Member:
    """Return a member before its first step: a function of (run seed, id) alone."""
    return scheduled(Member(id=id, hypers=_first(id, pbt)), pbt)


def _first(id: int, pbt: PBT) -> Hypers:
    if id < len(pbt.start):
        return pbt.start[id]
    return pbt.task.space.sample(random_numbers(pbt.seed, "start", id))


def scheduled(me: Member, pbt: PBT) -> Member:
    """Return the member with the hypers that hold from its step on, if the run has a schedule."""
    if not pbt.schedule:
        return me
    if callable(pbt.schedule):
        first = _first(me.id, pbt)
        return replace(me, hypers=follow(pbt.schedule, first, me.step, pbt.task.space))
    return replace(me, hypers=next(h for t, h in reversed(pbt.schedule) if t <= me.step))


PURPOSES = ("start", "trainer", "decision", "reseed")
SEED_BITS = 31  # of a trainer's seeds: what the generators of numpy, scikit-learn and SB3 take


def random_numbers(seed: int, purpose: str, *place: int) -> Generator:
    """Return the random numbers for one place of a run, such as ("decision", id, step)."""
    return np.random.default_rng(_sequence(seed, purpose, *place))


def random_seed(seed: int, purpose: str, *place: int, bits: int = SEED_BITS) -> int:
    """Return a seed in [0, 2**bits) for one place of a run, for a trainer's own generators."""
    drawn = int(_sequence(seed, purpose, *place).generate_state(1, np.uint64)[0])
    return drawn >> (64 - bits)


def _sequence(seed: int, purpose: str, *place: int) -> SeedSequence:
    # spawn_key, because the plain entropy (7, 3) and (7, 3, 0) are the same stream
    return SeedSequence(seed, spawn_key=(PURPOSES.index(purpose), *place))
