"""Which member to train next: of those that are not done, the one furthest behind."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field

from core.member import Member
from core.settings import PBT


def is_done(me: Member, pbt: PBT) -> bool:
    """Whether a member has come to its last step and decided there."""
    return me.step >= pbt.steps and not me.waiting


@dataclass(slots=True)
class Agenda:
    """The members that are not done, by their steps as far as this worker knows.

    A member only goes forward, so what is known of it is a lower bound. To find the one that
    is furthest behind, only the front of the order must be looked at again, not the population.

    Args:
        pbt: the run.
        look: returns a step that a member has reached, and notes it here if it finds it done.
    """

    pbt: PBT
    look: Callable[[int], int]
    least: int = 0  # the step of the member furthest behind, when it was last looked at
    _steps: dict[int, int] = field(default_factory=dict)  # of the members that are not done, by id
    _order: list[tuple[int, int]] = field(default_factory=list)  # (step, id), sorted

    def __post_init__(self) -> None:
        self._steps = dict.fromkeys(range(self.pbt.members), 0)
        self._order = [(0, id) for id in self._steps]

    @property
    def is_empty(self) -> bool:
        """Whether all members are done."""
        return not self._order

    def note(self, me: Member) -> None:
        """Take in where a member is."""
        self.note_step(me.id, me.step)
        if is_done(me, self.pbt) and me.id in self._steps:
            del self._order[bisect_left(self._order, (self._steps.pop(me.id), me.id))]

    def note_step(self, id: int, step: int) -> bool:
        """Take in that a member has reached a step; say whether that was news."""
        before = self._steps.get(id, step)
        if step <= before:
            return False
        del self._order[bisect_left(self._order, (before, id))]
        insort(self._order, (step, id))
        self._steps[id] = step
        return True

    def candidates(self, elsewhere: Container[int]) -> Iterator[tuple[int, int]]:
        """Yield (step, id) of the members to try, furthest behind first.

        In lockstep no member goes further than the one that is furthest behind.

        Args:
            elsewhere: ids not to try now; what is known of them may be old.
        """
        at, first = 0, True
        while at < len(self._order):
            step, id = self._order[at]
            if id not in elsewhere:
                reached = self.look(id)
                if id not in self._steps or self.note_step(id, reached):
                    continue  # it is done, or has moved on: another stands here now
            if first:
                self.least, first = step, False
            if not self.may_go(step):
                return
            if id not in elsewhere:
                yield step, id
            at = bisect_right(self._order, (step, id))

    def may_go(self, step: int) -> bool:
        """Whether a member of that step that is not done may go on."""
        return self.pbt.mode == "asynchronous" or step <= self.least
