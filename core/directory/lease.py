"""Who trains which member now: leases that a dead worker loses, and that a paused one cannot keep.

The lease of a member is one file without content, whose name says all: <number>.<step>.<holder> in
the member's folder lease/, the holder being a worker or "free", the step where the member was when
its holder came or went. Each change is one rename to the next number. Of two who want it, one finds
the old name gone; so does a former holder. A holder's every write passes `Lease.fence` (files.py).
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from core.directory.files import Files, LeaseLost, opened, stale_is_gone
from core.tracebacks import said

FREE = "free"


class Held(NamedTuple):
    """A lease as it was seen: its number, a step that the member has reached, and its holder."""

    epoch: int
    step: int
    holder: str

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.epoch:08d}.{self.step}.{self.holder}"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to train one member.

    epoch: the number of the lease; no other holder ever has it, and a later one has a higher.
    orderly: whether the holder before let it go; else what he has begun may still be under way.
    step: one that the member has reached.
    """

    id: int
    epoch: int
    path: Path
    orderly: bool
    step: int = 0

    def held(self) -> bool:
        """Whether nobody has taken the member over."""
        try:
            # listed and opened: one network file system answers the one from memory, one the other
            with stale_is_gone(), opened(self.path):
                return self.path.name in os.listdir(self.path.parent)
        except FileNotFoundError:
            return False

    def fence(self) -> None:
        """Raise LeaseLost if another worker has taken the member over."""
        if not self.held():
            raise LeaseLost(f"member {self.id} was taken over by another worker")

    @contextlib.contextmanager
    def or_lost(self) -> Iterator[None]:
        """Raise LeaseLost for whatever else is raised meanwhile, if the lease is lost by then.

        A new holder sweeps and prunes the files of the one before, who may find that anywhere, as
        any error: ESTALE of a file that is open, a `save` that left no file, a trainer that raises.
        """
        try:
            yield
        except LeaseLost:
            raise
        except Exception as error:
            lost = False
            with contextlib.suppress(OSError):  # if that cannot be seen, the first error counts
                lost = not self.held()
            if not lost:
                raise
            raise LeaseLost(
                f"member {self.id} was taken over by another worker, which showed as: {said(error)}"
            ) from error

    def release(self, step: int | None = None) -> None:
        """Let the member go, at the step that it has reached; no effect if it is lost already."""
        free = Held(self.epoch + 1, self.step if step is None else step, FREE)
        with contextlib.suppress(FileNotFoundError), stale_is_gone():
            os.rename(self.path, self.path.with_name(free.name))


def read_lease(folder: Path) -> Held | None:
    """Return the lease of a member, perhaps a moment old.

    Args:
        folder: of the member. None is returned if it has no lease yet, or if one look missed it
            because it changed meanwhile.
    """
    try:
        with stale_is_gone():
            names = os.listdir(folder / "lease")
    except FileNotFoundError:
        return None
    held = []
    for name in names:
        epoch, _, rest = name.partition(".")
        step, _, holder = rest.partition(".")
        if epoch.isdecimal() and step.isdecimal() and holder:
            held.append(Held(int(epoch), int(step), holder))
    return max(held, default=None)


def lay_out(folder: Path, files: Files) -> None:
    """Make a member's lease, free, unless somebody has made it."""
    if (folder / "lease").exists():
        return
    made = files.temporary(folder)
    made.mkdir()
    try:
        (made / Held(0, 0, FREE).name).touch()
        os.rename(made, folder / "lease")
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        if not (folder / "lease").exists():  # or another worker was faster
            raise
