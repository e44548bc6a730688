"""This process as other workers see it: a name, a heartbeat, and the leases that it claims.

A holder on this machine is dead when its process is. One elsewhere, or stopped here, is dead when
its heartbeat has not changed for `patience` seconds by the observer's own clock: no two clocks are
compared.
"""

import contextlib
import functools
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from core.directory.files import Unreadable, make_folder, no_follow, read, stale_is_gone
from core.directory.lease import FREE, Held, Lease
from core.directory.machine import kernels

LARGEST_BEAT = 2**16  # bytes of a heartbeat
LOOK = 1.0  # seconds for which a heartbeat that was read is good


class _Beat(NamedTuple):
    """A heartbeat as it was read: its content, since when it is so, when it was read last."""

    content: bytes
    since: float
    read: float
    process: tuple[int, str] | None  # pid and start of a process that can be seen from here


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


def _process(pid: int) -> tuple[str, str] | None:
    """Return the state of a process of this machine, and when it started.

    "", "" if it is dead; None if it cannot be seen, as another user's where these are hidden.
    """
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return "", ""
        except OSError:
            return None
        return None
    return ("", "") if words[0] in "ZX" else (words[0], words[19])  # Z: not waited for yet


Sight = Literal["running", "stopped", "dead", "unseen"]


def sight_of(beat: Mapping[str, object]) -> Sight:
    """Return what can be seen from here of the process that wrote a heartbeat.

    "unseen" if it is on another machine, or hidden; "dead" also if its pid is another's by now.
    """
    try:
        if beat["machine"] != _machine() or (found := _process(int(str(beat["pid"])))) is None:
            return "unseen"
        if found[1] != beat["started"]:
            return "dead"
    except (KeyError, ValueError, OverflowError):
        return "unseen"
    return "stopped" if found[0] in "Tt" else "running"


@dataclass(slots=True)
class Heartbeat:
    """This process as the others see it: a name, and a heartbeat while it is entered.

    Args:
        root: the run directory.
        patience: seconds without a heartbeat after which a worker counts as dead.
        turn_limit: seconds after which a turn counts as hanging, and this process ends itself.
        job: the batch job of which this worker is a part; "" for none.
    """

    root: Path
    patience: float = 60.0
    turn_limit: float | None = None
    job: str = ""
    name: str = field(default_factory=_worker_name)
    busy: tuple[int, float] | None = None  # the member in work, and since when
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _seen: dict[str, _Beat] = field(default_factory=dict)

    def __enter__(self) -> "Heartbeat":
        self.root.mkdir(parents=True, exist_ok=True)
        make_folder(self.root / "workers")
        self._beat(0)
        with contextlib.suppress(OSError):  # no worker needs it
            self._log({"kernels": kernels()})  # it stays, where a heartbeat goes with its worker
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
            "job": self.job,
            "host": socket.gethostname(),
            "machine": _machine(),
            "pid": os.getpid(),
            "started": (_process(os.getpid()) or ("", ""))[1],
            "beat": count,
            "patience": self.patience,
            "member": busy and busy[0],
            "turn_seconds": busy and round(time.monotonic() - busy[1], 1),
        }
        path = self._beat_path(self.name)
        path.with_suffix(".tmp").write_text(json.dumps(state))
        os.replace(path.with_suffix(".tmp"), path)

    def _beat_path(self, worker: str) -> Path:
        return self.root / "workers" / f"{worker}.json"

    def warn(self, sentence: str, trace: str = "") -> None:
        """Log what was wrong and what was done about it, for `status` and for later.

        Args:
            trace: the traceback of a user's own code, if that was the reason.
        """
        self._log({"warning": sentence} | ({"trace": trace} if trace else {}))

    def _log(self, entry: Mapping[str, object]) -> None:
        line = json.dumps({"time": time.time(), "worker": self.name} | dict(entry))
        with open(self.root / "workers" / f"{self.name}.jsonl", "a", opener=no_follow) as log:
            log.write(line + "\n")

    # ---------------------------------------------------------------------------- leases

    def claim(self, id: int, folder: Path, lease: Held) -> Lease | None:
        """Take the lease of a member if it is free or its holder dead; None if somebody has it.

        Args:
            folder: of the member.
            lease: what `read_lease` returned of it a moment ago.
        """
        if lease.holder not in (FREE, self.name) and not self.is_dead(lease.holder):
            return None  # (one of our own name is one that we could not let go)
        path = folder / "lease" / Held(lease.epoch + 1, lease.step, self.name).name
        try:
            with stale_is_gone():
                os.rename(path.with_name(lease.name), path)
        except FileNotFoundError:
            # a network file system may say so although its own first try succeeded
            if not path.exists():
                return None
        return Lease(id, lease.epoch + 1, path, lease.holder == FREE, lease.step)

    def is_dead(self, worker: str) -> bool:
        """Whether a worker is dead as far as can be known from here."""
        now = time.monotonic()
        known = self._seen.get(worker)
        if known is None or now - known.read > min(LOOK, self.patience / 6):
            content, process = self._read_beat(worker)
            since = known.since if known is not None and known.content == content else now
            known = self._seen[worker] = _Beat(content, since, now, process)
        if known.process is not None and (seen := _process(known.process[0])) is not None:
            state, started = seen
            if started != known.process[1]:
                return True
            if state not in "Tt":  # not stopped: it may be too busy for its heartbeat
                return False
        return now - known.since > self.patience

    def _read_beat(self, worker: str) -> tuple[bytes, tuple[int, str] | None]:
        try:
            content = read(self._beat_path(worker), LARGEST_BEAT)
            state = json.loads(content)
            if state["machine"] != _machine():
                return content, None
            return content, (int(state["pid"]), str(state["started"]))
        except (OSError, Unreadable, ValueError, KeyError, TypeError, RecursionError):
            return b"", None  # gone or unreadable: it will not beat
