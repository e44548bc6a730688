"""Files that others read while we write: whole or not there, and never changed in place."""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


def no_fence() -> None:
    """Let everything pass: nobody else writes here."""


@dataclass(slots=True)
class Clock:
    """Where the time goes: seconds by phase, since they were last taken."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            self.seconds[phase] = self.seconds.get(phase, 0.0) + spent

    def take(self) -> dict[str, float]:
        """Return the seconds so far, and begin anew."""
        taken, self.seconds = self.seconds, {}
        return taken


@dataclass(frozen=True, slots=True)
class Files:
    """Atomic writes below one file system.

    A write is made in a temporary file beside its goal, passes the fence (which raises if the
    writer has lost its right to write), and takes effect by one link or rename. Whoever takes over
    from a writer first makes the fence fail and then calls `sweep`: a write that had passed the
    fence before has lost its temporary file, and fails too.

    durable: wait until the disk has it (fsync), so that a power failure loses nothing published.
    """

    durable: bool = True
    clock: Clock = field(default_factory=Clock)

    def temporary(self, folder: Path) -> Path:
        """Return a new name in `folder`, for a file that is not there yet."""
        return (
            folder / f"{secrets.token_hex(8)}.tmp"
        )  # torch.save refuses a name that begins with "."

    def write(self, path: Path, data: bytes) -> None:
        """Write a temporary file, to the disk if need be."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if self.durable:
                with self.clock("fsync"):
                    os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync(self, path: Path) -> None:
        """Wait until a file that somebody else wrote, or a folder's names, are on the disk."""
        if not self.durable:
            return
        with self.clock("fsync"):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def create(self, path: Path, data: bytes, fence: Callable[[], None] = no_fence) -> bool:
        """Create a file with `data` if there is none of that name; say whether it was created."""
        temporary = self.temporary(path.parent)
        try:
            self.write(temporary, data)
            fence()
            return take(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def replace(self, path: Path, data: bytes, fence: Callable[[], None] = no_fence) -> None:
        """Let `path` be a file with `data` from one moment to the next."""
        temporary = self.temporary(path.parent)
        try:
            self.write(temporary, data)
            fence()
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def sweep(self, folder: Path) -> None:
        """Remove temporary files: those of a writer that is no longer allowed to write."""
        if not folder.is_dir():
            return
        for name in os.listdir(folder):
            if name.endswith(".tmp"):
                (folder / name).unlink(missing_ok=True)


def link(source: Path, path: Path) -> bool:
    """Give a file a second name, unless that name is taken; say whether it has it now.

    Raises:
        NoLinks: the file system has no hard links.
        FileNotFoundError: there is no such file.
    """
    try:
        os.link(source, path)
    except FileExistsError:
        # a network file system may say so although its own first try succeeded
        try:
            return os.path.samefile(source, path)
        except FileNotFoundError:
            return False
    except OSError as error:
        if error.errno in NO_LINKS:
            raise NoLinks(f"{path.parent} is on a file system without hard links") from error
        raise
    return True


class NoLinks(OSError):
    """The file system refuses hard links."""


NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


def take(source: Path, path: Path) -> bool:
    """Give a file a second name as `link` does, on any file system; say whether it has it now.

    Without hard links the name is taken by an empty file first; one that was left empty by a crash
    may be taken again.
    """
    try:
        return link(source, path)
    except NoLinks:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            if path.stat().st_size > 0:
                return False
        second = source.with_name(f"second-{source.name}")  # swept with the first
        shutil.copyfile(source, second)
        os.replace(second, path)
        return True
