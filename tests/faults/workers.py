"""Many workers at little cost: forked from a process that has imported core, not started anew."""

import multiprocessing
import signal
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from core.directory.run import open_run
from core.workers.worker import work

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["core.workers.worker", "core.directory.run", "tests.trainers"])


def _be_a_worker(root: Path, turns: int | None, patience: float) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work(open_run(root), durable=False, turns=turns, patience=patience)


@dataclass(slots=True)
class Crowd:
    """Workers on one run; those that are left at the end are killed.

    Args:
        root: the run directory.
        count: how many to begin with.
        patience: of each worker, in seconds.
    """

    root: Path
    count: int
    patience: float = 60.0
    processes: list[ForkServerProcess] = field(default_factory=list)

    def __enter__(self) -> "Crowd":
        for _ in range(self.count):
            self.add()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.join()

    def add(self, turns: int | None = None) -> ForkServerProcess:
        """Let one more worker join, for so many turns."""
        process = _CONTEXT.Process(target=_be_a_worker, args=(self.root, turns, self.patience))
        process.start()
        self.processes.append(process)
        return process

    def working(self) -> list[ForkServerProcess]:
        """Return the workers that have not ended; drop the others, which must have ended well."""
        for process in self.processes:
            assert process.exitcode in (None, 0), f"a worker ended with {process.exitcode}"
        self.processes = [process for process in self.processes if process.exitcode is None]
        return self.processes

    def wait(self) -> None:
        """Wait until all workers have ended, each well."""
        for process in self.processes:
            process.join()
        self.working()
