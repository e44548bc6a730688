"""When a member is ready: a rule is (member) -> bool.

A rule with parameters is a frozen dataclass with `__call__`; one without is a function.
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.member import Member

Ready = Callable[[Member], bool]


@dataclass(frozen=True, slots=True)
class Every:
    """Ready at every multiple of `steps`.

    Args:
        steps: the ready interval, in steps of the task; at least 1.
        start: no member is ready before this step (burn-in).
        settle: nor is a member within this many steps of its last copy.

    Source: Jaderberg et al. 2017, sections 4.2 and 4.3 (every 2,000 and 5,000 updates).
    """

    steps: int
    start: int = 0
    settle: int = 0

    def __post_init__(self) -> None:
        _check_interval(self.steps, self.start, self.settle)

    def __call__(self, me: Member) -> bool:
        return me.step % self.steps == 0 and _has_settled(me, self.start, self.settle)


@dataclass(frozen=True, slots=True)
class SinceLastReady:
    """Ready as soon as `steps` have passed since it was last ready.

    Equal to `Every` while no `start` or `settle` holds a member back; with them, the interval is
    counted anew from the moment at which the member at last was ready.

    Source: Jaderberg et al. 2017, section 4.1.1 (1e6 to 1e7 agent steps since last ready).
    """

    steps: int
    start: int = 0
    settle: int = 0

    def __post_init__(self) -> None:
        _check_interval(self.steps, self.start, self.settle)

    def __call__(self, me: Member) -> bool:
        since = me.step - me.last_ready
        return since >= self.steps and _has_settled(me, self.start, self.settle)


def never(me: Member) -> bool:
    """Be ready at no time: what is left of PBT is random search."""
    return False


def _check_interval(steps: int, start: int, settle: int) -> None:
    if steps < 1:
        raise ValueError(f"the ready interval must be at least 1 step, got {steps}")
    if start < 0 or settle < 0:
        raise ValueError(f"start and settle must not be negative, got {start} and {settle}")


def _has_settled(me: Member, start: int, settle: int) -> bool:
    return me.step >= start and (me.last_copy == 0 or me.step - me.last_copy >= settle)
