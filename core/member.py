"""A member of the population at one moment: the tuple (θ, h, p, t) of Algorithm 1, without θ."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")
Value = float | str  # a number, or one of the named options of a Choice
Hypers = Mapping[str, Value]
Cause = Literal["init", "train", "exploit", "rescue", "restart"]

WINDOW = 10  # scores that a member remembers; Jaderberg et al. 2017, section 4.1.1: the last ten


class ReadOnly(dict[K, V]):
    """A mapping that many hold, so that nobody may change it. A copy of it is an ordinary dict.

    It is a dict, and no view of one, so that it can be written as JSON, pickled and copied.
    """

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(
            "this mapping belongs to a record or a setting, which others read too, and cannot be "
            "changed: change a copy of it, dict(...), and return that"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def copy(self) -> dict[K, V]:
        """Return a dict that may be changed."""
        return dict(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, object]) -> dict[K, V]:
        return copy.deepcopy(dict(self), memo)

    def __reduce__(self) -> tuple[object, ...]:
        return dict, (dict(self),)


def _protect(holder: object, name: str) -> None:
    """Let a mapping in a field of a frozen dataclass be one that nobody can change."""
    value = getattr(holder, name)
    if value is not None and type(value) is not ReadOnly:
        object.__setattr__(holder, name, ReadOnly(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What a member gave up when it copied another: the score and the hypers it had until then."""

    score: float
    scores: tuple[float, ...]
    hypers: Hypers

    def __post_init__(self) -> None:
        _protect(self, "hypers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of the population at one moment; its next moment is another `Member`.

    It holds no path, so a run directory can be moved, and nothing that depends on time, host or
    worker, so two runs that are the same run have equal members. Nothing in one can be changed, as
    rules are given members.

    id: which member, 0 <= id < number of members.
    n: the number of its record, counting from 0 (`init`); (id, n) names this moment for ever.
    step: t, how often `Trainer.step` was called; it goes on counting when weights are copied.
    score: p, the (mean of the) latest evaluation, higher is better; NaN before the first one.
    scores: the sample behind the score: what `eval` returned if it returned several numbers, else
        its last ten numbers since the weights were last copied. Oldest first.
    hypers: h, by name, each in its own unit; in force from this moment on.
    cause: what made this record; a "rescue" is an exploit by a member that had diverged or failed,
        a "restart" a fresh start, with weights that were never trained.
    parent: (id, n) of the record that was copied at this moment, if any was.
    seen: at a decision, by id, the number of the record of each member that the rule looked at
        (None: it had not been evaluated yet, or could not be read); None where nothing was decided.
    dropped: what a copy replaced.
    waiting: published with its score, but its decision is still to come (lockstep only).
    last_ready, last_copy: the step at which it was last ready, and last copied another.
    last_parent: the record that it copied then, as (id, n).
    failures: how often its trainer raised.
    """

    id: int
    n: int = 0
    step: int = 0
    score: float = math.nan
    scores: tuple[float, ...] = ()
    hypers: Hypers = field(default_factory=dict)
    cause: Cause = "init"
    parent: tuple[int, int] | None = None
    seen: Mapping[int, int | None] | None = None
    dropped: Dropped | None = None
    waiting: bool = False
    last_ready: int = 0
    last_copy: int = 0
    last_parent: tuple[int, int] | None = None
    failures: int = 0

    def __post_init__(self) -> None:
        _protect(self, "hypers")
        _protect(self, "seen")

    @property
    def fitness(self) -> float:
        """The score to rank by: one that is not a finite number has diverged, and is worst."""
        return self.score if math.isfinite(self.score) else -math.inf

    @property
    def healthy(self) -> bool:
        """Whether its score is a finite number: only then may it be copied."""
        return math.isfinite(self.score)

    def trained(self, scores: tuple[float, ...], raised: int = 0) -> "Member":
        """Return the member one step later, evaluated to `scores` (one number, or a sample).

        Args:
            raised: how often its trainer raised meanwhile.
        """
        return replace(
            self,
            step=self.step + 1,
            score=_mean(scores),
            scores=_window(self.scores, scores),
            cause="train",
            parent=None,
            seen=None,
            dropped=None,
            waiting=False,
            failures=self.failures + raised,
        )

    def published(self, before: "Member", raised: int, *, failed: bool) -> "Member":
        """Return the member as its next record has it.

        Args:
            before: as it was published last.
            raised: how often its trainer raised since. failed: whether it stands so; it may have
                failed to save, after its score was known.
        """
        score = math.nan if failed else self.score
        failures = before.failures + raised
        return replace(self, n=before.n + 1, failures=failures, score=score)

    def decided(self, seen: Mapping[int, int | None]) -> "Member":
        """Return the member after it was ready and looked at the records `seen`."""
        return replace(self, seen=seen, waiting=False, last_ready=self.step)

    def copied(self, donor: "Member | None", hypers: Hypers) -> "Member":
        """Return the member as a copy of `donor` that goes on with `hypers`, not yet evaluated.

        Args:
            donor: None for a fresh start, which has no parent.
        """
        parent = None if donor is None else (donor.id, donor.n)
        cause: Cause = "exploit" if self.healthy else "rescue"
        return replace(
            self,
            hypers=hypers,
            cause="restart" if donor is None else cause,
            parent=parent,
            last_parent=parent,
            dropped=Dropped(score=self.score, scores=self.scores, hypers=self.hypers),
            last_copy=self.step,
            scores=(),
        )

    def rescored(self, scores: tuple[float, ...]) -> "Member":
        """Return the member after the evaluation that follows a copy."""
        return replace(self, score=_mean(scores), scores=_window((), scores))


class FreshStart(Enum):
    """What an exploit rule returns, in place of a member, to let the member begin anew."""

    FRESH = "fresh"


FRESH = FreshStart.FRESH


def rank(me: Member) -> tuple[float, bool, int]:
    """Return what to sort by, best first; of equals, one that its own hypers made comes first."""
    return -me.fitness, me.parent is not None, me.id


def _mean(scores: tuple[float, ...]) -> float:
    if not all(map(math.isfinite, scores)):
        return math.nan
    return math.fsum(score / len(scores) for score in scores)  # no sum that could overflow


def _window(before: tuple[float, ...], scores: tuple[float, ...]) -> tuple[float, ...]:
    return scores if len(scores) > 1 else (*before, *scores)[-WINDOW:]
