"""Algorithm 1 of Population Based Training (Jaderberg et al. 2017, arXiv:1711.09846)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from numpy.random import Generator

from core.member import FRESH, Hypers, Member
from core.peers import Peers
from core.rules import LookFailed, naming, refused, truth
from core.settings import PBT, first_hypers, follow
from core.streams import random_numbers


def worker(me: Member, trainer: Learner, population: Population, pbt: PBT) -> Iterator[Member]:
    """Run Algorithm 1 for one member.

    Yields the member after each update of the population. As a generator it runs only when asked:
    a job exhausts one worker; a test takes turns among many, and so replays any schedule. Its
    random numbers depend on (seed, id, step) alone: a turn that is repeated draws the same.
    """
    # fmt: off
    while me.waiting or me.step < pbt.steps:                   # while not end of training
        if not me.waiting:                                     #   (one that waits has done it)
            trainer.step(me.hypers)                            #   θ ← step(θ | h)
            me = me.trained(trainer.eval(), trainer.raised)    #   p ← eval(θ)
            me = scheduled(me, pbt)                            #   (one with a schedule is given h)
        if me.waiting or is_ready(me, pbt):                    #   if ready(p, t, P)
            while (seen := population.seen_by(me)) is None:    #     (in lockstep: publish, and wait)
                me = me if me.waiting else population.update(replace(me, waiting=True), trainer)
                yield me
            choice = exploit(me, seen, population, pbt)        #     h', θ' ← exploit(h, θ, p, P)
            if choice.moves:                                   #     if θ ≠ θ'
                if choice.weights is not None:
                    trainer.load(choice.weights)
                hypers = explore(me, choice, pbt)              #       h, θ ← explore(h', θ', P)
                me = me.copied(choice.donor, hypers)
                me = me.rescored(trainer.eval())               #       p ← eval(θ)
            me = me.decided(seen.seen)                         #     (what was looked at is recorded)
        me = population.update(me, trainer)                    #   update P with (θ, h, p, t + 1)
        yield me
    # fmt: on


class WeightsLost(Exception):
    """The weights of a record are gone, or are not what the record says."""


Token = object
"""What stands for weights here: the backend that made it knows what it is, a file or an object."""


class Learner(Protocol):
    """A trainer as Algorithm 1 sees it: `eval` returns a tuple, and nothing raises (NaN instead)."""

    raised: int  # how often the trainer has raised since the member was last published

    def step(self, hypers: Hypers) -> None: ...
    def eval(self) -> tuple[float, ...]: ...
    def load(self, weights: Token) -> None: ...


class Population(Protocol):
    """The population as Algorithm 1 sees it from one member."""

    def seen_by(self, me: Member) -> Peers | None:
        """Return the members that `me` may compare itself with, itself among them.

        None in lockstep as long as `me` or another has not published this step.
        """
        ...

    def weights(self, member: Member) -> Token:
        """Return weights that stay until they are loaded; raise WeightsLost if they are gone."""
        ...

    def fresh(self, me: Member) -> Token:
        """Return weights that were never trained, from a seed of their own."""
        ...

    def update(self, me: Member, trainer: Learner) -> Member:
        """Publish the member with the trainer's weights; return it with the record's number."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What exploit chose.

    donor: the record to copy: another member's, or an older one of the member's own; the member as
        it is, to stay; None to begin anew, with fresh weights and hypers from the priors.
    moves: whether it copies a record or begins anew.
    seen: the members that the rule could look at; explore may look at more of them.
    rng: where exploit left it; explore goes on drawing from it.
    weights: of the donor, or fresh ones; None where none are inherited.
    """

    donor: Member | None
    moves: bool
    seen: Peers
    rng: Generator
    weights: Token | None


def exploit(me: Member, seen: Peers, population: Population, pbt: PBT) -> Decision:
    """Ask the run's exploit; while the weights of its choice are lost, ask again without it."""
    while True:
        donor, rng = decide(me, seen, pbt)
        moves = not is_same(me, donor)
        weights = None
        if moves and "weights" in pbt.inherit:
            try:
                weights = population.fresh(me) if donor is None else population.weights(donor)
            except WeightsLost:
                assert donor is not None, "fresh weights cannot be lost"
                seen.leave_out(donor.id)
                continue
        return Decision(donor, moves, seen, rng, weights)


def is_same(me: Member, donor: Member | None) -> bool:
    """Whether a donor is the member itself as it is now, and no older record of it."""
    return donor is not None and (donor.id, donor.step) == (me.id, me.step)


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


def report_due(me: Member, before: Member, pbt: PBT) -> Literal["ask", "keep", "none"]:
    """Return where the report of a record comes from.

    "ask": from the trainer, which holds new weights. "keep": from the record before, as these are
    the same weights: a trainer that was saved and loaded meanwhile might say something else.

    Args:
        me: as it is published now. before: as it was published last.
    """
    is_last = not me.waiting and me.step >= pbt.steps
    if me.dropped is not None or not before.waiting:
        return "ask" if is_last or is_reported(me, pbt) else "none"
    return "keep" if is_last else "none"


def decide(me: Member, seen: Peers, pbt: PBT) -> tuple[Member | None, Generator]:
    """Return the record that `me` copies if it sees `seen`: a function of just these.

    `me` itself means to stay, None to begin anew. A record that has diverged is never copied,
    whatever the rule; a member that has failed too often stays.

    Raises:
        RuleError: the rule raised, or did not return a record that it was shown.
    """
    rng = random_numbers(pbt.seed, "decision", me.id, me.step)
    try:
        with naming("exploit", pbt.exploit):
            chosen = pbt.exploit(me, seen, rng)
    except LookFailed as failed:
        raise failed.__cause__ or failed from None
    donor = chosen if isinstance(chosen, Member) else None
    shown = donor is not None and (donor is me or seen.has_shown(donor))
    if not shown and chosen is not FRESH:
        raise refused("exploit", pbt.exploit, f"returned {chosen!r}")
    if donor is not None and (back := seen.age(donor)) > 0 and back >= pbt.keep:
        raise refused(
            "exploit",
            pbt.exploit,
            f"returned a record of member {donor.id} of {back} steps back, and weights are kept for "
            f"fewer than keep={pbt.keep} steps: give the PBT keep={back + 1} or more",
        )
    stays = me.failures > pbt.rescues or (donor is not None and not donor.healthy)
    return (me if stays else donor), rng


def explore(me: Member, choice: Decision, pbt: PBT) -> Hypers:
    """Return the hypers that `me` goes on with: what it inherits, explored."""
    space, inherited = pbt.task.space, me.hypers
    if "hypers" in pbt.inherit:
        inherited = space.sample(choice.rng) if choice.donor is None else choice.donor.hypers
    try:
        return space.explored(inherited, pbt.explore, choice.rng, choice.seen)
    except LookFailed as failed:
        raise failed.__cause__ or failed from None


def start(id: int, pbt: PBT) -> Member:
    """Return a member before its first step: a function of (run seed, id) alone."""
    return scheduled(Member(id=id, hypers=first_hypers(id, pbt)), pbt)


def scheduled(me: Member, pbt: PBT) -> Member:
    """Return the member with the hypers that hold from its step on, if the run has a schedule."""
    if not pbt.schedule:
        return me
    if callable(pbt.schedule):
        first = first_hypers(me.id, pbt)
        return replace(me, hypers=follow(pbt.schedule, first, me.step, pbt.task.space))
    return replace(me, hypers=next(h for t, h in reversed(pbt.schedule) if t <= me.step))
