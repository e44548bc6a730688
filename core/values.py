"""Names and values of hyperparameters, as records hold them: Python's own numbers and texts."""

import difflib
import math
from collections.abc import Iterable, Mapping


def plain(value: object) -> object:
    """Return a number or text of numpy or torch as Python's own; anything else as it is."""
    if type(value) in (float, int, str) or getattr(value, "ndim", False):
        return value
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def number_of(value: object) -> float:
    """Return a number, be it infinite, as a float; raise ValueError if it is none, or NaN."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(f"got {value!r} where a number is needed")
    try:
        found = float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
    if math.isnan(found):
        raise ValueError(f"got {value!r} where a number is needed")
    return found


def finite(value: object) -> float:
    """Return a finite number as a float; raise ValueError if it is none."""
    number = number_of(value)
    if not math.isfinite(number):
        raise ValueError(f"got {str(number)[:20]} where a finite number is needed")
    return number


def whole(number: float) -> int:
    """Return a whole number as an int; raise ValueError if it is not whole."""
    if not number.is_integer():
        raise ValueError(f"got {number!r} where a whole number is needed")
    return int(number)


def check_names(names: Iterable[str], space: Mapping[str, object]) -> None:
    """Raise ValueError unless `names` are exactly the hyperparameters of `space`."""
    names = set(names)
    for name in sorted(names - set(space)):
        near = difflib.get_close_matches(name, space, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(space))}."
        raise ValueError(f"{name!r} is not a hyperparameter of this task. {hint}")
    if missing := sorted(set(space) - names):
        raise ValueError(
            f"no value for {', '.join(missing)}; a member needs one for every hyperparameter. "
            "To hold one fixed, give it the prior Fixed(value)."
        )
