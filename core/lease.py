"""Who trains which member now: leases that a dead worker loses, and that a paused one cannot keep.

The lease of a member is the file with the highest number, leases/<member>-<number>: it names its
holder, or says that the member is free. Whoever wants to change that creates the next number, which
can happen once, and removes the lower ones. A lease is stale when its holder's heartbeat has not
changed for so long by the *observer's own* clock; no two clocks are compared. A holder's every
write passes `Lease.fence` (core/files.py).
"""

import functools
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.files import Files

FREE = b"free"
Beat = tuple[str, float]  # what the heartbeat file held, and since when by our own clock


class LeaseLost(Exception):
    """Another worker has taken the member over."""


def _name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


@functools.cache
def _host() -> str:
    """Return a name that two processes share if and only if they can see each other's pids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"unknown {secrets.token_hex(8)}"


def _started(pid: int) -> str:
    """Return when a process of this host started; "" if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to train one member.

    epoch: the number of the lease; nobody else ever has this one, and a later holder has a higher.
    inode: of its file, should a file of that name ever be somebody else's.
    """

    id: int
    epoch: int
    folder: Path
    inode: int

    def held(self) -> bool:
        """Whether nobody has taken the member over."""
        if _path(self.folder, self.id, self.epoch + 1).exists():
            return False
        try:
            return _path(self.folder, self.id, self.epoch).stat().st_ino == self.inode
        except FileNotFoundError:
            return False

    def fence(self) -> None:
        """Raise LeaseLost if another worker has taken the member over."""
        if not self.held():
            raise LeaseLost(f"member {self.id} was taken over by another worker")

    def release(self) -> None:
        """Let the member go; of no effect if it is lost already."""
        if self.held() and Files(durable=False).create(
            _path(self.folder, self.id, self.epoch + 1), FREE
        ):
            _path(self.folder, self.id, self.epoch).unlink(missing_ok=True)


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
    name: str = field(default_factory=_name)
    busy: tuple[int, float] | None = None  # the member in work, and since when
    _files: Files = field(default_factory=lambda: Files(durable=False))
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _seen: dict[str, Beat] = field(default_factory=dict)

    def __enter__(self) -> "Worker":
        (self.root / "workers").mkdir(parents=True, exist_ok=True)
        (self.root / "leases").mkdir(exist_ok=True)
        self._beat(0)
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        (self.root / "workers" / f"{self.name}.json").unlink(missing_ok=True)

    def _beat_on(self) -> None:
        count = 0
        while not self._stop.wait(self.patience / 6):
            count += 1
            busy = self.busy
            try:
                self._beat(count)
            except OSError:
                continue  # a full disk: others may take our member, and the fence will tell us
            if self.turn_limit and busy and time.monotonic() - busy[1] > self.turn_limit:
                self.warn(f"a turn of member {busy[0]} took over {self.turn_limit} s: giving up")
                os._exit(75)

    def _beat(self, count: int) -> None:
        busy = self.busy
        state = {
            "worker": self.name,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "beat": count,
            "member": busy and busy[0],
            "turn_seconds": busy and round(time.monotonic() - busy[1], 1),
        }
        path = self.root / "workers" / f"{self.name}.json"
        self._files.replace(path, json.dumps(state).encode())

    def warn(self, sentence: str) -> None:
        """Log what was wrong and what was done about it, for `status` and for later."""
        line = json.dumps({"time": time.time(), "worker": self.name, "warning": sentence})
        with (self.root / "workers" / f"{self.name}.jsonl").open("a") as log:
            log.write(line + "\n")

    # ---------------------------------------------------------------------------- leases

    def claim(self, id: int, leases: Mapping[int, Sequence[int]]) -> Lease | None:
        """Take the lease of a member if it is free or stale; None if somebody has it.

        Args:
            leases: what `list_leases` returned a moment ago.
        """
        folder = self.root / "leases"
        epochs = leases.get(id, ())
        if epochs and not self._may_take(_path(folder, id, max(epochs))):
            return None
        epoch = max(epochs, default=0) + 1
        path = _path(folder, id, epoch)
        mine = {
            "worker": self.name,
            "host": _host(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
        }
        if not self._files.create(path, json.dumps(mine).encode()):
            return None
        prefix = path.name.partition("-")[0] + "-"
        there = [name for name in os.listdir(folder) if name.startswith(prefix)]
        if path.name != max(there, default=""):  # our list was old: a higher number had been there
            path.unlink(missing_ok=True)
            return None
        lease = Lease(id, epoch, folder, path.stat().st_ino)
        for lower in epochs:
            _path(folder, id, lower).unlink(missing_ok=True)
        return lease

    def _may_take(self, path: Path) -> bool:
        """Whether a lease is free, or its holder dead as far as can be known from here."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return False  # it has just changed: look again in a moment
        if data == FREE:
            return True
        try:
            holder = json.loads(data)
            worker, host = Path(holder["worker"]).name, holder["host"]
            pid, started = int(holder["pid"]), holder["started"]
        except (ValueError, KeyError, TypeError):
            worker, host, pid, started = (
                path.name,
                "",
                0,
                "",
            )  # unreadable: it will not beat
        if host == _host():
            return bool(_started(pid) != started)
        try:
            beat = (self.root / "workers" / f"{worker}.json").read_text()
        except OSError:
            beat = ""
        now = time.monotonic()
        known = self._seen.get(worker)
        if known is None or known[0] != beat:
            self._seen[worker] = (beat, now)
            return False
        return now - known[1] > self.patience


def list_leases(root: Path) -> dict[int, list[int]]:
    """Return the numbers of all lease files, by member."""
    found: dict[int, list[int]] = {}
    try:
        names = os.listdir(root / "leases")
    except FileNotFoundError:
        return found
    for name in names:
        member, _, epoch = name.partition("-")
        if member.isdigit() and epoch.isdigit():
            found.setdefault(int(member), []).append(int(epoch))
    return found


def _path(folder: Path, id: int, epoch: int) -> Path:
    return folder / f"{id:03d}-{epoch:08d}"
