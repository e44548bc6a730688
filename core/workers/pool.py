"""Workers on this machine: start them, watch them, stop them."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from core.directory.files import make_folder, no_follow
from core.directory.machine import STARTED_IN
from core.workers.processes import end_group, has_ended

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
DONE, UNFINISHED = 0, 3  # how a worker ends that ends well
LITTLE = 2**17  # bytes of room, with which most runs cannot go on


@dataclass(slots=True)
class Pool:
    """Worker processes, each `python -m core work RUN`; more may be started by hand.

    They are shielded from the terminal's Ctrl-C (the pool tells them), and leave after their turn
    when this process is gone. Each leads a group of processes, which ends with it.

    Args:
        root: the run directory.
        workers: how many processes.
        devices: dealt out to the workers in turn.
        options: further arguments of `work`.
        name: of the workers' logs, no other pool's on this file system.
    """

    root: Path
    workers: int
    devices: Sequence[str] = ("cpu",)
    options: Sequence[str] = ()
    name: str = field(default_factory=lambda: str(os.getpid()))
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _logs: list[IO[bytes]] = field(default_factory=list)

    def __enter__(self) -> "Pool":
        make_folder(self.root / "workers")
        for i in range(self.workers):
            self._logs.append(open(self.log(i), "ab", opener=no_follow))
            self.processes.append(self._start(i))
        return self

    def _start(self, i: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "core", "work", str(self.root)]
        device = self.devices[i % len(self.devices)]
        return subprocess.Popen(
            [*command, "--device", device, "--parent", str(os.getpid()), *self.options],
            stdin=subprocess.DEVNULL,
            stdout=self._logs[i],
            stderr=subprocess.STDOUT,
            cwd=STARTED_IN,  # where the user's own modules were found
            env=dict.fromkeys(THREADS, "1") | dict(os.environ),
            start_new_session=True,
        )

    def replace(self, i: int) -> None:
        """Start another worker in the place of one that has ended."""
        self.processes[i].wait()
        self.processes[i] = self._start(i)

    def __exit__(self, *_: object) -> None:
        self.signal(signal.SIGKILL)
        for process in self.processes:
            process.wait()
        for log in self._logs:
            log.close()

    def log(self, i: int) -> Path:
        """Return where worker `i` prints to."""
        return self.root / "workers" / f"{self.name}-{i}.log"

    def codes(self) -> list[int | None]:
        """Return how each worker has ended: its status, or minus a signal; None if it has not."""
        return [self._poll(process) for process in self.processes]

    def _poll(self, process: subprocess.Popen[bytes]) -> int | None:
        if process.returncode is None and has_ended(process.pid):
            end_group(process.pid)  # before `poll`: after it, the number may be another's
        return process.poll()

    def running(self) -> bool:
        """Whether any worker has not ended yet."""
        return None in self.codes()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all workers that have not ended; SIGKILL also to their children."""
        for process in self.processes:
            if self._poll(process) is None:
                if number == signal.SIGKILL:
                    end_group(process.pid)
                process.send_signal(number)

    def wait(self, tick: Callable[[], None], seconds: float) -> None:
        """Call `tick` every so often until all workers have ended."""
        while self.running():
            tick()
            until = time.monotonic() + seconds
            while self.running() and time.monotonic() < until:
                time.sleep(0.02)

    def _silence(self) -> str:
        free = shutil.disk_usage(self.root).free
        if free < LITTLE:
            return f"{os.strerror(errno.ENOSPC)}: {free} bytes are free, too few to write its words"
        return "(it said nothing)"

    def complaints(self) -> list[str]:
        """Return the last words of each worker that did not end well, with where to read more."""
        found = []
        for i, code in enumerate(self.codes()):
            if code not in (DONE, UNFINISHED, None):
                words = self.log(i).read_text(errors="replace").strip()[-4000:]
                words = words or self._silence()
                ended = f"by signal {-code}" if code < 0 else f"with status {code}"
                found.append(f"worker {i} ended {ended} (log: {self.log(i)}):\n{words}")
        return found
