"""Who trains which member now: leases that a dead worker loses, and that a paused one cannot keep.

The lease of a member is one file without content, whose name says all:
leases/<member>.<number>.<holder>, the holder being a worker or "free". Each change is one rename to
the next number. Of two who want it, one finds the old name gone; so does a former holder. A holder
is dead when its heartbeat has not changed for so long by the *observer's own* clock; no two clocks
are compared. A holder's every write passes `Lease.fence` (core/files.py).
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

from core.files import Files

FREE = "free"
Beat = tuple[str, float]  # what a heartbeat file held, and since when by our own clock
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
        return self.path.exists()

    def fence(self) -> None:
        """Raise LeaseLost if another worker has taken the member over."""
        if not self.held():
            raise LeaseLost(f"member {self.id} was taken over by another worker")

    def release(self) -> None:
        """Let the member go; of no effect if it is lost already."""
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path, self.path.with_name(_name(self.id, self.epoch + 1, FREE)))


def lay_out(root: Path, members: int) -> None:
    """Make the leases of all members, free, unless somebody has made them."""
    if (root / "leases").exists():
        return
    made = root / f"{secrets.token_hex(8)}.tmp"
    made.mkdir(parents=True)
    for id in range(members):
        (made / _name(id, 0, FREE)).touch()
    try:
        os.rename(made, root / "leases")
    except OSError:
        if not (root / "leases").exists():
            raise
        shutil.rmtree(made)  # another worker was faster


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
    _files: Files = field(default_factory=lambda: Files(durable=False))
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _seen: dict[str, Beat] = field(default_factory=dict)

    def __enter__(self) -> "Worker":
        (self.root / "workers").mkdir(parents=True, exist_ok=True)
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
            "machine": _machine(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
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

    def claim(self, id: int, lease: Held) -> Lease | None:
        """Take the lease of a member if it is free or its holder dead; None if somebody has it.

        Args:
            lease: what `list_leases` returned of this member a moment ago.
        """
        folder, (epoch, holder) = self.root / "leases", lease
        if holder != FREE and not self._is_dead(holder):
            return None
        path = folder / _name(id, epoch + 1, self.name)
        try:
            os.rename(folder / _name(id, epoch, holder), path)
        except FileNotFoundError:
            # a network file system may say so although its own first try succeeded
            if not path.exists():
                return None
        return Lease(id, epoch + 1, path, orderly=holder == FREE)

    def _is_dead(self, worker: str) -> bool:
        """Whether a worker is dead as far as can be known from here."""
        try:
            beat = (self.root / "workers" / f"{worker}.json").read_text()
            state = json.loads(beat)
            if state["machine"] == _machine():
                return bool(_started(int(state["pid"])) != state["started"])
        except (OSError, ValueError, KeyError, TypeError):
            beat = ""  # gone or unreadable: it will not beat
        now = time.monotonic()
        known = self._seen.get(worker)
        if known is None or known[0] != beat:
            self._seen[worker] = (beat, now)
            return False
        return now - known[1] > self.patience


def list_leases(root: Path) -> dict[int, Held]:
    """Return the number and the holder of each member's lease."""
    found: dict[int, Held] = {}
    for name in os.listdir(root / "leases"):
        member, _, rest = name.partition(".")
        epoch, _, holder = rest.partition(".")
        if member.isdigit() and epoch.isdigit() and holder:
            found[int(member)] = max((int(epoch), holder), found.get(int(member), (-1, "")))
    return found


def _name(id: int, epoch: int, holder: str) -> str:
    return f"{id:03d}.{epoch:08d}.{holder}"
