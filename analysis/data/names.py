"""Names that share a table, a page or a folder: no two of them are the same."""

import re
from collections.abc import Iterable, Sequence

HYPER, REPORTED = "hyperparameter", "reported"  # what stands behind a name to tell it from others
MOST = 8  # names in a sentence
LONGEST = 180  # bytes of a file's name; file systems take 255, and the ending needs some


def told_apart(names: Iterable[str], taken: Iterable[str], kind: str) -> dict[str, str]:
    """Return what to call each name, so that no two are the same, and none is `taken`.

    A name that is free stays as it is. Any other has its kind behind it, as in "score (reported)",
    as often as it needs to be free.
    """
    names, used = list(dict.fromkeys(names)), set(taken)
    found = {name: name for name in names if name not in used}
    used |= set(found)
    for name in names:
        if name not in found:
            called = name
            while called in used:
                called += f" ({kind})"
            used.add(called)
            found[name] = called
    return {name: found[name] for name in names}


def numbered(names: Sequence[str]) -> list[str]:
    """Return the names in their order; one that occurred before has a number behind it."""
    found: list[str] = []
    taken = set(names)
    for name in names:
        called, number = name, 1
        while called in found or (number > 1 and called in taken):
            number += 1
            called = f"{name} ({number})"
        found.append(called)
    return found


def file_names(names: Sequence[str]) -> list[str]:
    """Return a file name for each name, no two the same, none too long for a file system.

    Names that differ only in capital letters are numbered too: some file systems confuse them.
    """
    kept = [cut(file_name(name), LONGEST) for name in names]
    found: list[str] = []
    used: set[str] = set()
    taken = {name.casefold() for name in kept}
    for name in kept:
        called, number = name, 1
        while called.casefold() in used or (number > 1 and called.casefold() in taken):
            number += 1
            called = f"{name}_{number}"
        used.add(called.casefold())
        found.append(called)
    return found


def file_name(text: str) -> str:
    """Return a text as a file name without a directory, so that a run cannot choose where."""
    return re.sub(r"[^\w.,+=%-]+", "_", text)


def cut(text: str, size: int) -> str:
    """Return as much of a text as fits into so many bytes."""
    return text.encode()[:size].decode(errors="ignore")


def some(names: Sequence[str]) -> str:
    """Return names for a sentence, the first ones if there are many."""
    rest = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {rest} more" if rest > 0 else "")
