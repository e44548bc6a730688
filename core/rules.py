"""Rules are a user's own code: an error names the rule, and the line of its file."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import TypeVar

from core.tracebacks import of_user, said
from core.values import plain

T = TypeVar("T")


class RuleError(ValueError):
    """A rule of the run cannot be used; the message names it and says what it must do.

    No failure of a member: a worker stops at it, and publishes nothing of that turn.
    """


class LookFailed(Exception):
    """To look at a member failed while a rule asked for it; the cause is the error itself."""


MUST: Mapping[str, str] = {
    "ready": "ready(member) returns True or False",
    "report": "report(member) returns True or False",
    "exploit": "exploit(me, population, rng) returns a member that it was shown, me to stay, or "
    "FRESH to begin anew",
    "explore": "explore(hypers, space, rng), or explore(hypers, space, rng, population), returns "
    "the new hypers, a value for every name",
    "schedule": "schedule(start, step) returns the hypers of that step, a value for every name",
    "constraint": "constraint(hypers) returns whether the values go together",
}


def name(rule: object) -> str:
    """Return what to call a rule: a dataclass as it is written, a function by its module."""
    if is_dataclass(rule) and not isinstance(rule, type):
        return repr(rule)
    qualname = getattr(rule, "__qualname__", None)
    return f"{getattr(rule, '__module__', '')}:{qualname}" if qualname else repr(rule)


class naming:  # noqa: N801  (it reads like the function that it is used as)
    """Let what a rule raises be a RuleError that names the rule and the line of its own code.

    A class, as a generator takes longer than most rules.
    """

    __slots__ = ("role", "rule")

    def __init__(self, role: str, rule: object) -> None:
        self.role, self.rule = role, rule

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        if isinstance(error, RuleError | LookFailed) or not isinstance(
            error, Exception | SystemExit
        ):
            return
        raise RuleError(
            f"the {self.role} rule {name(self.rule)} raised {said(error)}. Mend it, and go on: "
            f"nothing of this turn is published. Its traceback:\n{of_user(error)}"
        ) from error


def ask(explore: Callable[..., T], *arguments: object) -> T:
    """Call an explore rule; the last argument, the population, is for one that asks for it."""
    return explore(*arguments) if looks(explore) else explore(*arguments[:3])


def looks(explore: Callable[..., object]) -> bool:
    """Whether an explore rule looks at the population: its fourth argument is called so."""
    try:
        signature = _signature(explore)
    except TypeError:  # it cannot be hashed
        signature = inspect.signature(explore)
    return signature is not None and [*signature.parameters][3:4] == ["population"]


@functools.cache
def _signature(function: Callable[..., object]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:  # some functions of C do not say
        return None


def takes(function: Callable[..., object], count: int) -> bool:
    """Whether a function can be called with so many arguments; True where that is not known."""
    try:
        inspect.signature(function).bind(*(None,) * count)
    except TypeError:
        return False
    except ValueError:  # some functions of C do not say
        return True
    return True


def refused(role: str, rule: object, what: str) -> RuleError:
    """Return the error of a rule that returned what is of no use."""
    return RuleError(f"the {role} rule {name(rule)} {what.rstrip('.')}: {MUST[role]}")


def truth(role: str, rule: object, value: object) -> bool:
    """Return what a rule that says yes or no has said."""
    found = plain(value)
    if isinstance(found, bool | int):
        return bool(found)
    raise refused(role, rule, f"returned {value!r}")
