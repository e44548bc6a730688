"""Rules are anybody's own code: what one raises or returns is told by its name and its line."""

from collections.abc import Mapping
from dataclasses import is_dataclass

from core.tracebacks import of_user, said
from core.values import plain


class RuleError(ValueError):
    """A rule of the run cannot be used; the message names it and says what it must do.

    No failure of a member: whoever sees it stops, and publishes nothing of that turn.
    """


class LookFailed(Exception):
    """To look at a member failed while a rule asked for it; the cause is the error itself."""


MUST: Mapping[str, str] = {
    "ready": "ready(member) returns True or False",
    "report": "report(member) returns True or False",
    "exploit": "exploit(me, population, rng) returns a member of the population, or me to stay",
    "explore": "explore(hypers, space, rng) returns the new hypers, a value for every name",
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


def refused(role: str, rule: object, what: str) -> RuleError:
    """Return the error of a rule that returned what is of no use."""
    return RuleError(f"the {role} rule {name(rule)} {what.rstrip('.')}: {MUST[role]}")


def truth(role: str, rule: object, value: object) -> bool:
    """Return what a rule that says yes or no has said."""
    found = plain(value)
    if isinstance(found, bool | int):
        return bool(found)
    raise refused(role, rule, f"returned {value!r}")
