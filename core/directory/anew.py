"""A run in which nothing that counts has happened may be begun anew, or go on with other rules.

Who starts a run with a mistake in it, and mends the mistake, types the same line again. Nothing is
lost then, as nothing was trained; or all that was trained stays, as no rule had a say in it yet.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from core.directory.files import Unreadable
from core.directory.heartbeat import Heartbeat
from core.directory.lease import FREE, read_lease
from core.directory.members import Members
from core.directory.record import Record
from core.directory.sealed import OtherFormat
from core.pbt import is_ready
from core.settings import PBT

RULES = {"ready", "exploit", "explore", "inherit"}  # settings that matter from a decision on


def is_untouched(root: Path) -> bool:
    """Whether no member of a run has trained a step, and nobody is at work on it."""
    try:
        records = [record for history in _histories(root) for record in history]
    except (Unreadable, OtherFormat, OSError):
        return False
    return all(record.member.step == 0 for record in records) and not somebody_works(root)


def is_undecided(
    root: Path, old: Mapping[str, object], new: Mapping[str, object], pbt: PBT
) -> bool:
    """Whether two settings differ in rules alone, and nothing is decided yet that these would not.

    Args:
        root: the run directory. old, new: its settings, and those that are wanted. pbt: the latter.
    """
    if not {name for name in {*old, *new} if old.get(name) != new.get(name)} <= RULES:
        return False
    try:
        members = [record.member for history in _histories(root) for record in history]
    except (Unreadable, OtherFormat, OSError):
        return False
    trained = [me for me in members if me.step > 0]
    if any(me.seen is not None or me.parent is not None for me in members):
        return False
    return all(me.waiting == is_ready(me, pbt) for me in trained) and not somebody_works(root)


def somebody_works(root: Path) -> bool:
    """Whether a member is held by a worker that is not known to be dead."""
    observer = Heartbeat(root)
    for folder in _folders(root):
        held = read_lease(folder)
        if held is not None and held.holder != FREE and not observer.is_dead(held.holder):
            return True
    return False


def clear(root: Path) -> None:
    """Remove what a run that has trained nothing has left, but for its run.json."""
    for name in ("members", "workers"):
        if not (root / name).is_symlink():
            shutil.rmtree(root / name, ignore_errors=True)


def _histories(root: Path) -> Iterator[Sequence[Record]]:
    population = Members(root)
    for folder in _folders(root):
        yield population.history(int(folder.name))


def _folders(root: Path) -> list[Path]:
    try:
        names = os.listdir(root / "members")
    except FileNotFoundError:
        return []
    return [root / "members" / name for name in sorted(names) if name.isdecimal()]
