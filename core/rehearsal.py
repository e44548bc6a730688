"""What can be told of a run before its first step: whether its rules work, and what they may do."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from core.member import Member
from core.pbt import decide, is_ready, is_reported, start
from core.peers import Peers
from core.rules import RuleError, name
from core.settings import PBT
from core.space import Choice, Fixed, Integer, LogUniform, Prior, Space, Uniform
from core.strategies.exploit import Among
from core.strategies.ready import Every, SinceLastReady, never
from core.streams import random_numbers

BEGINS_ANEW = -1  # in place of the id of a donor
FEW = 8  # members of the made-up population
MANY = 20_000  # steps up to which a rule is asked about each of them


def rehearse(pbt: PBT) -> None:
    """Ask the rules of a run about a small made-up population.

    Raises:
        RuleError: one of them cannot be used; the message names it.
    """
    step = first_ready(pbt) or pbt.steps
    members = _made_up(pbt, step)
    for step in {*range(1, min(pbt.steps, FEW) + 1), pbt.steps}:
        is_reported(replace(members[0], n=step, step=step), pbt)
    if pbt.ready is never:
        return
    _repeats("ready", pbt.ready, lambda: [is_ready(me, pbt) for me in members])
    _repeats("exploit", pbt.exploit, lambda: [_donor(me, members, pbt) for me in members])
    _repeats("explore", pbt.explore, lambda: [_explored(me, members, pbt) for me in members])


def _made_up(pbt: PBT, step: int) -> list[Member]:
    """Return members that have come to a step, each with clearly other scores than the next."""
    found = []
    for id in range(min(pbt.members, FEW)):
        scores = tuple(1.0 - id / FEW + place / 1000 for place in range(10))
        trained = replace(start(id, pbt), n=step, step=step, cause="train")
        found.append(replace(trained, score=scores[-1], scores=scores))
    return found


def _donor(me: Member, members: Iterable[Member], pbt: PBT) -> int:
    donor, _ = decide(me, _peers(me, members), pbt)
    return BEGINS_ANEW if donor is None else donor.id


def _peers(me: Member, members: Iterable[Member]) -> Peers:
    """Return a population in which each member has one record."""
    known = {member.id: member for member in members}
    return Peers(me, len(known), known.get, past=lambda id, n: [known[id]])


def _explored(me: Member, members: Iterable[Member], pbt: PBT) -> object:
    rng = random_numbers(pbt.seed, "decision", me.id, me.step)
    peers = _peers(me, members)
    return dict(pbt.task.space.explored(me.hypers, pbt.explore, rng, peers))


def _repeats(role: str, rule: object, ask: Callable[[], object]) -> None:
    """Raise RuleError if a rule answers the same question in another way the second time."""
    first, second = ask(), ask()
    if first != second:
        raise RuleError(
            f"the {role} rule {name(rule)} answers one question in two ways, {str(first)[:60]} and "
            f"{str(second)[:60]}: "
            "then no decision can be recomputed. A rule draws from the generator that it is given, "
            "not from a global one, and remembers nothing from call to call"
        )


def first_ready(pbt: PBT) -> int | None:
    """Return the first step at which a member can be ready; None if there is none that is known."""
    if pbt.ready is never:
        return None
    me = replace(_made_up(replace(pbt, members=1, start=()), 1)[0])
    return next((t for t in _steps(pbt) if is_ready(replace(me, n=t, step=t), pbt)), None)


def _steps(pbt: PBT) -> Iterable[int]:
    """Return the steps to ask a rule about: of a long run, those at which one is likely."""
    if pbt.steps <= MANY:
        return range(1, pbt.steps + 1)
    interval, least = (getattr(pbt.ready, field, 0) for field in ("steps", "start"))
    likely = {*range(1, MANY // 2), *range(pbt.steps - MANY // 2, pbt.steps + 1)}
    if isinstance(interval, int) and interval > 0 and isinstance(least, int):
        likely |= {t for t in range(least, least + 2 * interval) if t % interval == 0}
    return sorted(t for t in likely if 0 < t <= pbt.steps)


def doubts(pbt: PBT) -> list[str]:
    """Return what may not be meant so, a sentence each: that nobody can ever copy anybody."""
    if pbt.ready is never:
        return []
    first = first_ready(pbt)
    if first is None and not isinstance(pbt.ready, Every | SinceLastReady):
        return [
            f"asked about a made-up member, {name(pbt.ready)} said no at each of {pbt.steps} "
            "steps: unless it looks at scores, nobody can ever be ready: a random search"
        ]
    if first is None:
        return [
            f"nobody can ever be ready: {name(pbt.ready)}, in {pbt.steps} steps. This is a random "
            "search: give a shorter interval or more steps, or ready=never if that is meant"
        ]
    found = []
    if first == pbt.steps:
        found.append(
            f"members are first ready at step {first}, which is the last one: nothing is trained "
            "with what they copy and explore there"
        )
    if pbt.members == 1:
        found.append("there is one member: it has nobody to copy")
    elif isinstance(pbt.exploit, Among) and pbt.exploit.quorum > pbt.members:
        found.append(
            f"nobody can ever copy anybody: {name(pbt.exploit)} wants {pbt.exploit.quorum} members "
            f"to look at, and there are {pbt.members}"
        )
    elif not _anybody_copies(pbt, first):
        found.append(
            f"in a made-up population with clearly different scores, {name(pbt.exploit)} let "
            "nobody copy anybody: is that meant?"
        )
    return found


def _anybody_copies(pbt: PBT, step: int) -> bool:
    members = _made_up(pbt, step)
    members += [replace(members[-1], id=id) for id in range(len(members), pbt.members)]
    seeds = (replace(pbt, seed=seed) for seed in range(20))
    return any(_donor(members[-1], members, one) != members[-1].id for one in seeds)


def extents(space: Space) -> list[str]:
    """Return where each hyperparameter starts, and where exploring may take it: a line each.

    Those that are fixed are left out.
    """
    shown = {name: prior for name, prior in space.items() if not isinstance(prior, Fixed)}
    width = max(map(len, shown), default=0)
    return [f"{name:<{width}}  {extent(prior)}" for name, prior in shown.items()]


def extent(prior: Prior) -> str:
    """Return where a hyperparameter starts, and where it may go."""
    if isinstance(prior, Choice):
        way = "a neighbour" if prior.ordered else "any other"
        return f"one of {', '.join(map(str, prior.options))}; moves to {way}"
    if not isinstance(prior, Uniform | LogUniform | Integer):
        return "fixed"
    least, most = prior.domain
    begins = f"starts in {prior.low:g} to {prior.high:g}"
    if (least, most) == (prior.low, prior.high):
        return f"{begins}, stays there"
    if np.isinf(least) and np.isinf(most):
        return f"{begins}, may go anywhere"
    above = "above" if isinstance(prior, LogUniform) and least == 0 else "from"
    upper = "without end" if np.isinf(most) else f"to {most:g}"
    return f"{begins}, may go {above} {least:g} {upper}"
