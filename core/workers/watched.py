"""The hypers of a call of `step`: a dict of the trainer's own, which knows what was read of it."""

import difflib
import math
from collections.abc import Collection, ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass, field
from typing import NoReturn, cast

from core.member import Hypers, Value
from core.space import Choice, Integer, Prior, Space
from core.task import TaskError

MANY = 20  # whole numbers of a prior from which on it counts as no switch between kinds of training


class _UnknownName(TaskError, KeyError):
    """A KeyError, so that `hypers.get(name, default)` and `name in hypers` work."""

    def __str__(self) -> str:
        return str(self.args[0])


class Watched(dict[str, Value]):
    """What a trainer is given: it may be changed, kept, saved and written as JSON like any dict.

    It is a copy, so that no change of it reaches a record or another member.
    """

    def __init__(self, hypers: Hypers) -> None:
        super().__init__(hypers)
        self.read: set[str] = set()
        self._names = tuple(hypers)

    def __getitem__(self, name: str) -> Value:
        if name not in self:
            self._refuse(name)
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: object = None) -> object:  # type: ignore[override]
        """Return a value, or the default if there is none of that name."""
        return self[name] if name in self else default  # noqa: SIM401  (it would call itself)

    def pop(self, name: str, *default: object) -> object:  # type: ignore[override]
        """Return a value, and take it out of this copy."""
        if name not in self and not default:
            self._refuse(name)
        self.read.add(name)
        return super().pop(name, *default)

    def popitem(self) -> tuple[str, Value]:
        """Return a name and its value, and take it out of this copy."""
        name, value = super().popitem()
        self.read.add(name)
        return name, value

    def setdefault(self, name: str, default: object = None) -> object:  # type: ignore[override]
        """Return a value; set it first if there is none of that name."""
        if name not in self:
            super().__setitem__(name, cast(Value, default))
        return self[name]

    def __iter__(
        self,
    ) -> Iterator[str]:  # its presence makes dict(hypers) and **hypers ask for keys
        return super().__iter__()

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        """Return the names."""
        return KeysView(self)

    def items(self) -> ItemsView[str, Value]:  # type: ignore[override]
        """Return names and values: whoever iterates over them reads them."""
        return ItemsView(self)

    def values(self) -> ValuesView[Value]:  # type: ignore[override]
        """Return the values: whoever iterates over them reads them."""
        return ValuesView(self)

    def copy(self) -> dict[str, Value]:
        """Return a dict with all of it, which counts as read."""
        return dict(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, object]) -> dict[str, Value]:
        return dict(self)

    def __or__(self, other: Mapping[str, Value]) -> dict[str, Value]:  # type: ignore[override]
        return {**self, **other}

    def __ror__(self, other: Mapping[str, Value]) -> dict[str, Value]:  # type: ignore[override]
        return {**other, **self}

    def __reduce__(self) -> tuple[object, ...]:
        """Be pickled as an OrderedDict, which torch.load(weights_only=True) accepts."""
        from collections import OrderedDict

        return OrderedDict, (list(self.items()),)

    def _refuse(self, name: str) -> NoReturn:
        near = difflib.get_close_matches(str(name), self._names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(self._names)}"
        raise _UnknownName(
            f"step(hypers) of the trainer asked for {name!r}, which the space does not have: {hint}"
        )


@dataclass(slots=True)
class Reads:
    """What the calls of `step` have read so far, to find a hyperparameter that none puts in force.

    One may matter for some options of another only, so it is a fault to leave it unread where no
    call has ever read it, and every combination of options has been tried. To leave unread what an
    earlier call has read may be a warm-up that is over, or training that has ended early; or a
    trainer that puts the first member's value in force for all: that is no fault, but worth a word.

    space: whose hyperparameters these are.
    """

    space: Space
    switches: list[str] = field(init=False)  # whose options may decide which others matter
    _combinations: int = field(init=False)  # of these options
    _read: dict[tuple[Value, ...], set[str]] = field(default_factory=dict)
    _ever: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        found = {name: len(options(prior)) for name, prior in self.space.items()}
        self.switches = [name for name, count in found.items() if count]
        self._combinations = math.prod(count for count in found.values() if count)

    def fault(self, hypers: Hypers, read: Collection[str]) -> str:
        """Take in what a call has read; return what is wrong with that, "" if nothing is.

        Args:
            hypers: of the call. read: the names of them that it has read.
        """
        self._read.setdefault(self._here(hypers), set()).update(read)
        self._ever.update(read)
        dead = [name for name in hypers if name not in self._ever]
        if not dead or len(self._read) < self._combinations:
            return ""
        return (
            f"the space has {', '.join(map(repr, dead))}, which a call of step(hypers) never "
            "looked at: put it in force at every call (the trainer may have trained another member "
            "before), or take it out of the space. One that matters for some options of a Choice "
            "only may stay unread for the others; one that matters for some numbers only is read "
            "at every call all the same"
        )

    def doubt(self, hypers: Hypers, read: Collection[str]) -> str:
        """Return what may be wrong with what a call has not read, before it is taken in."""
        known = self._read.get(self._here(hypers), set())
        missing = [name for name in hypers if name in known and name not in read]
        if not missing:
            return ""
        return (
            f"step(hypers) has read {', '.join(map(repr, missing))} before, and not this time: if "
            "it is put in force once, all members train with the first one's value; `check` tells"
        )

    def _here(self, hypers: Hypers) -> tuple[Value, ...]:
        return tuple(hypers[name] for name in self.switches)


def options(prior: Prior) -> list[Value]:
    """Return the options of a hyperparameter that may decide which others matter; [] of no such.

    Those of a choice, and the whole numbers of a small prior.
    """
    if isinstance(prior, Choice) and len(prior.options) > 1:
        return list(prior.options)
    if isinstance(prior, Integer) and 0 < prior.high - prior.low < MANY:
        return list(range(int(prior.low), int(prior.high) + 1))
    return []
