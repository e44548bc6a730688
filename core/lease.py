"""Who trains which member now: leases that a dead worker loses, and that a paused one cannot keep.

The lease of a member is one file without content, whose name says all: <number>.<holder> in the
member's folder lease/, the holder being a worker or "free". Each change is one rename to the next
number. Of two who want it, one finds the old name gone; so does a former holder. A holder is dead
when its process is, as far as that can be seen from here, or when its heartbeat has not changed for
so long by the *observer's own* clock; no two clocks are compared. A holder's every write passes
`Lease.fence` (core/files.py).
"""

import contextlib
import functools
import json
import os
import re
import secrets
import shutil
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from core.files import Files, Unreadable, make_folder, no_follow, opened, read, stale_is_gone

FREE = "free"
LARGEST_BEAT = 2**16  # bytes of a heartbeat
Beat = tuple[bytes, float]  # what a heartbeat file held, and since when by our own clock
Held = tuple[int, str]  # the number of a lease, and its holder


class LeaseLost(Exception):
    """Another worker has taken the member over."""


def _worker_name() -> str:
    host = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())
    return f"{host}-{os.getpid()}-{secrets.token_hex(2)}"


@functools.cache
def _machine() -> str:
    """Return a name that two processes share if and only if they can see each other's pids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"unknown {secrets.token_hex(8)}"


def _started(pid: int) -> str:
    """Return when a process of this machine started; "" if it is not there, or dead."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state[0] in "ZX" else state[19]  # killed, but not waited for yet


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to train one member.

    epoch: the number of the lease; nobody else ever has this one, and a later holder has a higher.
    orderly: whether the holder before let it go; else what he has begun may still be under way.
    """

    id: int
    epoch: int
    path: Path
    orderly: bool

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

    def release(self) -> None:
        """Let the member go; of no effect if it is lost already."""
        with contextlib.suppress(FileNotFoundError), stale_is_gone():
            os.rename(self.path, self.path.with_name(_name(self.epoch + 1, FREE)))


def read_lease(folder: Path) -> Held | None:
    """Return the number and the holder of a lease, perhaps a moment old.

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
        epoch, _, holder = name.partition(".")
        if epoch.isdigit() and holder:
            held.append((int(epoch), holder))
    return max(held, default=None)


def lay_out(folder: Path, files: Files) -> None:
    """Make a member's lease, free, unless somebody has made it."""
    if (folder / "lease").exists():
        return
    made = files.temporary(folder)
    made.mkdir()
    try:
        (made / _name(0, FREE)).touch()
        os.rename(made, folder / "lease")
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        if not (folder / "lease").exists():  # or another worker was faster
            raise


@dataclass(slots=True)
class Worker:
    """This process as the others see it: a name, and a heartbeat while it is entered.

    Args:
        root: the run directory.
        patience: seconds without a heartbeat after which a worker counts as dead.
        turn_limit: seconds after which a turn counts as hanging, and this process ends itself.
    """

    root: Path
    patience: float = 60.0
    turn_limit: float | None = None
    name: str = field(default_factory=_worker_name)
    busy: tuple[int, float] | None = None  # the member in work, and since when
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _seen: dict[str, Beat] = field(default_factory=dict)

    def __enter__(self) -> "Worker":
        make_folder(self.root / "workers")
        self._beat(0)
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if isinstance(error, OSError):
            return  # a lease may not have been let go: the last heartbeat proves that we are gone
        for path in (self._beat_path(self.name), self._beat_path(self.name).with_suffix(".tmp")):
            path.unlink(missing_ok=True)

    def _beat_on(self) -> None:
        count = 0
        while not self._stop.wait(self.patience / 6):
            count += 1
            busy = self.busy
            with contextlib.suppress(OSError):  # a full disk: others may take our member, and the
                self._beat(count)  # fence will tell us
            if self.turn_limit and busy and time.monotonic() - busy[1] > self.turn_limit:
                with contextlib.suppress(OSError):
                    self.warn(
                        f"a turn of member {busy[0]} took over {self.turn_limit} s: giving up"
                    )
                os._exit(75)

    def _beat(self, count: int) -> None:
        busy = self.busy
        state = {
            "worker": self.name,
            "host": socket.gethostname(),
            "machine": _machine(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
            "beat": count,
            "member": busy and busy[0],
            "turn_seconds": busy and round(time.monotonic() - busy[1], 1),
        }
        path = self._beat_path(self.name)
        path.with_suffix(".tmp").write_text(json.dumps(state))
        os.replace(path.with_suffix(".tmp"), path)

    def _beat_path(self, worker: str) -> Path:
        return self.root / "workers" / f"{worker}.json"

    def warn(self, sentence: str) -> None:
        """Log what was wrong and what was done about it, for `status` and for later."""
        line = json.dumps({"time": time.time(), "worker": self.name, "warning": sentence})
        with open(self.root / "workers" / f"{self.name}.jsonl", "a", opener=no_follow) as log:
            log.write(line + "\n")

    # ---------------------------------------------------------------------------- leases

    def claim(self, id: int, folder: Path, lease: Held) -> Lease | None:
        """Take the lease of a member if it is free or its holder dead; None if somebody has it.

        Args:
            folder: of the member.
            lease: what `read_lease` returned of it a moment ago.
        """
        epoch, holder = lease
        if holder != FREE and not self._is_dead(holder):
            return None
        path = folder / "lease" / _name(epoch + 1, self.name)
        try:
            with stale_is_gone():
                os.rename(path.with_name(_name(epoch, holder)), path)
        except FileNotFoundError:
            # a network file system may say so although its own first try succeeded
            if not path.exists():
                return None
        return Lease(id, epoch + 1, path, orderly=holder == FREE)

    def _is_dead(self, worker: str) -> bool:
        """Whether a worker is dead as far as can be known from here."""
        try:
            beat = read(self._beat_path(worker), LARGEST_BEAT)
            state = json.loads(beat)
            here = state["machine"] == _machine()
            if here and _started(int(state["pid"])) != state["started"]:
                return True
        except (OSError, Unreadable, ValueError, KeyError, TypeError, RecursionError):
            beat = b""  # gone or unreadable: it will not beat
        now = time.monotonic()
        known = self._seen.get(worker)
        if known is None or known[0] != beat:
            self._seen[worker] = (beat, now)
            return False
        return now - known[1] > self.patience


def _name(epoch: int, holder: str) -> str:
    return f"{epoch:08d}.{holder}"
