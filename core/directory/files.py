"""Files that others read while we write: whole or not there, and never changed in place."""

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class Unreadable(ValueError):
    """A file that is not what it must be: cut short, altered, too large, or no file at all."""


class LeaseLost(Exception):
    """Another worker has the member now: what was begun for it here is void."""


class Fence(Protocol):
    """The right to write somewhere: a lease (core/directory/lease.py).

    epoch: of two rights to the same place, the later one has the higher number.
    """

    @property
    def epoch(self) -> int: ...

    def fence(self) -> None:
        """Raise if the right is lost."""


@dataclass(frozen=True, slots=True)
class NoFence:
    """The right of whoever writes where nobody else does."""

    epoch: int = 0

    def fence(self) -> None:
        """Let everything pass."""


NO_FENCE = NoFence()


class _Phase:
    """A `with` block that is timed: a class, as a generator would take as long as some phases."""

    __slots__ = ("began", "clock", "phase")

    def __init__(self, clock: "Clock", phase: str) -> None:
        self.clock, self.phase = clock, phase

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.clock.add(self.phase, time.perf_counter() - self.began)


@dataclass(slots=True)
class Clock:
    """Where the time goes: seconds by phase, since they were last taken."""

    seconds: dict[str, float] = field(default_factory=dict)

    def __call__(self, phase: str) -> "_Phase":
        """Count the seconds of a `with` block."""
        return _Phase(self, phase)

    def add(self, phase: str, seconds: float) -> None:
        """Count seconds that were measured elsewhere."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

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
    fence before has lost its temporary file, and fails too. A sweep spares what later rights write,
    so that one which comes late, from a worker that was paused, does no harm.

    durable: wait until the disk has it (fsync), so that a power failure loses nothing published.
    """

    durable: bool = True
    clock: Clock = field(default_factory=Clock)

    def temporary(self, folder: Path, right: Fence = NO_FENCE) -> Path:
        """Return a new name in `folder`, for a file that is not there yet."""
        # torch.save refuses a name that begins with "."
        return folder / f"{right.epoch:08d}-{secrets.token_hex(8)}.tmp"

    def write(self, path: Path, data: bytes) -> None:
        """Write a temporary file, to the disk if need be."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            now = time.time_ns()  # many file systems stamp by the tick, which is too coarse to
            os.utime(descriptor, ns=(now, now))  # tell a file from the one before; see `identify`
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

    def create(self, path: Path, data: bytes) -> bool:
        """Create a file with `data` if there is none of that name; say whether it was created."""
        temporary = self.temporary(path.parent)
        try:
            self.write(temporary, data)
            return take(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def replace(self, path: Path, data: bytes, right: Fence = NO_FENCE) -> None:
        """Let `path` be a file with `data` from one moment to the next.

        Raises:
            LeaseLost: the right was lost at the last moment.
        """
        temporary = self.temporary(path.parent, right)
        try:
            self.write(temporary, data)
            right.fence()
            rename(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def extend(self, path: Path, data: bytes, right: Fence = NO_FENCE) -> None:
        """Let `path` be what it is now with `data` behind it, from one moment to the next.

        Raises:
            LeaseLost: the right was lost at the last moment.
        """
        temporary = self.temporary(path.parent, right)
        try:
            if _is_there(path):
                shutil.copyfile(path, temporary, follow_symlinks=False)
            with open(temporary, "ab", opener=no_follow) as file:
                file.write(data)
            self.sync(temporary)
            right.fence()
            rename(temporary, path)
        except FileNotFoundError as error:
            raise LeaseLost(f"the member was taken over: {temporary.name} is swept away") from error
        finally:
            temporary.unlink(missing_ok=True)

    def sweep(self, folder: Path, before: int) -> None:
        """Remove the temporary files of earlier rights than number `before`."""
        if not folder.is_dir():
            return
        for name in os.listdir(folder):
            epoch, _, rest = name.partition("-")
            if rest.endswith(".tmp") and epoch.isdecimal() and int(epoch) < before:
                try:
                    (folder / name).unlink(missing_ok=True)
                except IsADirectoryError:  # a folder that was about to be laid out
                    shutil.rmtree(folder / name, ignore_errors=True)


def _is_there(path: Path) -> bool:
    """Whether there is something; unlike os.path.lexists, it says no only if it knows."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def no_follow(path: str, flags: int) -> int:
    """Open a file, for `open(opener=)`; not what a symbolic link points to."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def make_folder(path: Path) -> bool:
    """Let there be a folder, a real one; say whether it was made now.

    Raises:
        Unreadable: it is a link, or a file: to write there might write elsewhere.
    """
    try:
        path.mkdir()
    except FileExistsError:
        mode = os.lstat(path).st_mode
        if not stat.S_ISDIR(mode):
            found = "a symbolic link" if stat.S_ISLNK(mode) else "a file"
            raise Unreadable(
                f"{path} is {found}, where a run directory has a folder of its own. Nothing is "
                "written there: put the folder back in its place, or begin anew elsewhere"
            ) from None
        return False
    return True


@contextmanager
def stale_is_gone() -> Iterator[None]:
    """Raise FileNotFoundError where a network file system says ESTALE: that file is no more."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        gone = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), error.filename)
        raise gone from error


STALE = 10  # times that a file is opened anew before its file system is believed
Identity = tuple[int, int, int]  # inode, time of change in ns, bytes: another file has another


def identify(found: os.stat_result) -> Identity:
    """Return what tells a file from the one that had its name before."""
    return found.st_ino, found.st_mtime_ns, found.st_size


def read(path: Path | str, limit: int) -> bytes:
    """Return the content of a file.

    Raises:
        FileNotFoundError: there is none.
        Unreadable: it has more than `limit` bytes, or is a link, a pipe or the like.
    """
    data, _ = read_news(path, limit, None)
    assert data is not None
    return data


def read_news(
    path: Path | str, limit: int, known: Identity | None
) -> tuple[bytes | None, Identity]:
    """Return the content of a file unless it is the one that is known, and which one it is.

    It is opened even to find that nothing is new: a network file system answers a mere `stat` from
    memory. A file that is replaced while it is read may be gone for a moment on one; then it is
    opened anew.

    Raises:
        FileNotFoundError, Unreadable: as `read`.
    """
    for attempt in range(STALE):  # plain calls, no `with`: a decision may ask ten thousand times
        try:
            descriptor = _open(path)
            try:
                found = os.fstat(descriptor)
                identity = identify(found)
                if identity == known:
                    return None, identity
                _check_regular(found, path)
                if found.st_size > limit:
                    raise Unreadable(f"{path} has {found.st_size} bytes, of {limit} at most")
                return _read_all(descriptor, found.st_size), identity
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            time.sleep(0.01 * attempt)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _open(path: Path | str) -> int:
    try:  # O_NONBLOCK: to open a pipe would wait for a writer
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Unreadable(f"{path} is a symbolic link: that is none of ours") from error
        raise


def _check_regular(found: os.stat_result, path: Path | str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable(f"{path} is no regular file")


def _read_all(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


@contextmanager
def opened(path: Path | str) -> Iterator[int]:
    """Open a regular file for reading; give its descriptor.

    Raises:
        FileNotFoundError: there is none.
        Unreadable: it is a link, a pipe or the like.
    """
    with stale_is_gone():
        descriptor = _open(path)
        try:
            _check_regular(os.fstat(descriptor), path)
            yield descriptor
        finally:
            os.close(descriptor)


def tail(path: Path, limit: int) -> bytes:
    """Return the last bytes of a file; none if it is not there."""
    try:
        with opened(path) as descriptor:
            return os.pread(descriptor, limit, max(0, os.fstat(descriptor).st_size - limit))
    except FileNotFoundError:
        return b""


def rename(temporary: Path, path: Path) -> None:
    """Give a temporary file its name, in the place of what has it now.

    Raises:
        LeaseLost: it was swept away.
    """
    found = None
    try:
        with stale_is_gone():
            found = os.lstat(temporary)
            os.replace(temporary, path)
    except FileNotFoundError as error:
        # a network file system may say so although its own first try succeeded
        if found is None or not path.exists() or not os.path.samestat(found, os.lstat(path)):
            raise LeaseLost(f"the member was taken over: {temporary.name} is swept away") from error


def link(source: Path, path: Path) -> bool:
    """Give a file a second name, unless that name is taken; say whether it has it now.

    Raises:
        NoLinks: the file system has no hard links.
        FileNotFoundError: there is no such file.
    """
    try:
        with stale_is_gone():
            os.link(source, path, follow_symlinks=False)
    except FileExistsError:
        # a network file system may say so although its own first try succeeded
        try:
            return os.path.samestat(os.lstat(source), os.lstat(path))
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
        os.replace(source, path)  # which fails if it was swept
        return True
