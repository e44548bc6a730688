"""The population as one member sees it when it decides: read no further than its rule looks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from numpy.random import Generator

from core.member import Member
from core.rules import LookFailed

TRIES = 100  # draws that may meet members that are left out, before it is given up


@dataclass(slots=True)
class Arrivals:
    """Whether all members have reached a step, which lockstep waits for.

    step_of: returns the newest step of a member; -1 before it has published anything.
    """

    step_of: Callable[[int], int]
    _known: tuple[int, int] = (0, 0)  # a step, and how many of the first members have reached it

    def are_complete(self, step: int, members: int) -> bool:
        """Whether every member has reached a step; looks only at those that had not before."""
        at, first = self._known
        if step < at:
            return True
        first = first if step == at else 0
        while first < members and self.step_of(first) >= step:
            first += 1
        self._known = (step, first)
        return first == members


@dataclass(frozen=True, slots=True)
class Peers:
    """The members that `me` may compare itself with, itself among them; an exploit rule gets it.

    To iterate (or `len`, `sorted`, `max`) looks at every member; `another` only at those it draws.
    So a tournament among ten thousand is as cheap as one among ten. What was looked at is
    remembered: each member is looked at once, and the decision can be recomputed from that.
    Members that were not evaluated yet, or cannot be read, are left out.

    Args:
        me: the member that decides.
        members: the size of the population.
        look: returns the newest member of an id, None to leave it out.
        keep: which of them this view shows; all views of a decision share what was looked at.
        past: returns the records of a member up to a number, oldest first.
    """

    me: Member
    members: int
    look: Callable[[int], Member | None]
    keep: Callable[[Member], bool] = lambda _: True
    past: Callable[[int, int], Sequence[Member]] = lambda id, n: ()
    _seen: dict[int, Member | None] = field(default_factory=dict)
    _shown: dict[int, Sequence[Member]] = field(default_factory=dict)

    @classmethod
    def of(cls, me: Member, population: Sequence[Member]) -> "Peers":
        """Return members that are all known, `me` among them or not."""
        known = {member.id: member for member in population}
        return cls(me, max(known | {me.id: me}) + 1, known.get)

    def __iter__(self) -> Iterator[Member]:
        """Look at every member, in the order of their ids."""
        return filter(None, map(self._get, range(self.members)))

    def __len__(self) -> int:
        """Look at every member, and return how many there are."""
        return sum(1 for _ in self)

    def another(self, rng: Generator) -> Member | None:
        """Return one of the others, drawn uniformly; None if there is none.

        Or if a hundred draws have met none, in a population of more: where few members have a
        score yet, to find one would be to look at everybody, at every decision.
        """
        others = self.members - 1
        for _ in range(TRIES if others else 0):
            drawn = int(rng.integers(others))
            if member := self._get(drawn + (drawn >= self.me.id)):
                return member
        rest = [] if others > TRIES else [one for one in self if one.id != self.me.id]
        return rest[rng.integers(len(rest))] if rest else None

    def where(self, keep: Callable[[Member], bool]) -> "Peers":
        """Return a view of the members for which `keep` is true."""
        both = lambda one: self.keep(one) and keep(one)  # noqa: E731
        return Peers(self.me, self.members, self.look, both, self.past, self._seen, self._shown)

    def history(self, id: int) -> Sequence[Member]:
        """Look at all records of a member up to the one that is shown, oldest first.

        Any of them may be copied, as long as its weights are kept (`PBT.keep`). Of `me`, these are
        the records that it has published, which end before what it is now.
        """
        if id not in self._shown:
            if id == self.me.id and id not in self._seen:
                self._seen[id] = self.me  # so that `seen` says that its past was looked at
            member = self._seen.get(id) if id == self.me.id else self._get(id)
            try:
                self._shown[id] = () if member is None else tuple(self.past(id, member.n))
            except Exception as error:  # it is no fault of the rule that looks
                raise LookFailed(id) from error
        return self._shown[id]

    def leave_out(self, id: int) -> None:
        """Go on as if a member could not be looked at; of `me`, its past."""
        self._seen[id] = None
        self._shown[id] = ()

    def has_shown(self, member: Member) -> bool:
        """Whether this is `me`, or a record that was looked at, as it was shown."""
        newest = self.me if member.id == self.me.id else self._seen.get(member.id)
        # repr: a score that is not a number does not equal itself
        return any(
            member is known or member == known or repr(member) == repr(known)
            for known in (newest, *self._shown.get(member.id, ()))
        )

    def age(self, member: Member) -> int:
        """Return how many steps a record lies behind the newest of its member that was shown."""
        newest = self.me if member.id == self.me.id else self._seen.get(member.id)
        return 0 if newest is None else newest.step - member.step

    @property
    def seen(self) -> Mapping[int, int | None]:
        """By id, the record of each other member that was looked at; None for one left out."""
        return {id: None if one is None else one.n for id, one in sorted(self._seen.items())}

    def _get(self, id: int) -> Member | None:
        if id == self.me.id:
            member: Member | None = self.me
        elif id in self._seen:
            member = self._seen[id]
        else:
            try:
                member = self._seen[id] = self.look(id)
            except Exception as error:  # it is no fault of the rule that looks
                raise LookFailed(id) from error
        return member if member is not None and self.keep(member) else None
