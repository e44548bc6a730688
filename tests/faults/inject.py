"""Workers whose file operations fail, or end them, at a chosen moment.

    with Forge(tmp_path) as forge:
        calm = forge.run(root)  # in a process of its own; calm.trace: what it did, one by one
        end = forge.run(root, Fault("kill after", at=17))
        end = forge.run(root, Fault("errors from", at=17, error=errno.ENOSPC))
        pid = forge.start(root, Fault("stop before", at=17))  # returns when it has stopped
        end = forge.resume(pid)

`root` is a run directory that `open_run` has made. The operations of a worker are counted from 1,
those of its heartbeat left out, so that the same work has the same numbers. A forge is one process
with inject.c loaded before libc, which has imported core once and forks a worker in milliseconds.
"""

import ctypes
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast

How = Literal[
    "nothing",
    "kill before",
    "kill after",
    "error before",  # it is not done, and the call says so
    "error after",  # it is done, but the call says that it failed
    "stop before",
    "stop after",
    "errors from",  # a disk that is full (ENOSPC), read-only (EROFS) or gone (others) for good
]
HOWS: tuple[How, ...] = How.__args__  # type: ignore[attr-defined]  # in the order of inject.c
Line = tuple[str, int, str, str]
REPOSITORY = Path(__file__).parents[2]
LIMIT = 10.0  # seconds, after which a worker hangs


class NoInjector(Exception):
    """Faults cannot be injected here; the message says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the operation of a number; `error` is an errno, for those that need one."""

    how: How = "nothing"
    at: int = 0
    error: int = 0

    def __str__(self) -> str:
        name = f" ({errno.errorcode[self.error]})" if self.error else ""
        return f"{self.how} {self.at}{name}"


class Operation(NamedTuple):
    """One operation that was counted.

    kind: 0 if it only reads, 1 if it changes something, 2 if it also needs room for that.
    goal: the second path, of those that take two.
    """

    name: str
    kind: int
    path: str
    goal: str

    def __str__(self) -> str:
        return f"{self.name} {self.path}" + (f" -> {self.goal}" if self.goal else "")


@dataclass(frozen=True, slots=True)
class End:
    """How a worker ended.

    done: what `work` returned; None if it did not return.
    signal: what killed it, or 0. error: the exception with which it ended, its types from the
    nearest to the farthest, its message and its traceback.
    """

    done: bool | None
    signal: int
    error: Sequence[str]
    message: str
    traceback: str
    trace: Sequence[Operation]

    @property
    def operations(self) -> int:
        """How many operations it began."""
        return len(self.trace)

    @property
    def hung(self) -> bool:
        """Whether it took longer than it was given."""
        return self.signal == signal.SIGALRM

    @property
    def stopped_orderly(self) -> bool:
        """Whether it gave up with an OSError, which the command line turns into a sentence."""
        return "OSError" in self.error

    def __str__(self) -> str:
        if self.hung:
            return "it hung"
        if self.signal:
            return f"it was ended by {signal.Signals(self.signal).name}"
        return f"it raised {self.error[0]}: {self.message}" if self.error else f"done: {self.done}"


def library(folder: Path) -> Path:
    """Compile inject.c into `folder`; raise NoInjector where that cannot be done."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        raise NoInjector("faults are injected on 64-bit Linux only")
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise NoInjector("there is no C compiler (cc)")
    made = folder / "inject.so"
    if made.exists():
        return made
    source = str(Path(__file__).with_name("inject.c"))
    command = [compiler, "-Wall", "-Wextra", "-shared", "-fPIC", "-O1", "-o", str(made), source]
    done = subprocess.run([*command, "-ldl"], capture_output=True, text=True)
    if done.returncode != 0:
        raise NoInjector(f"inject.c does not compile here: {done.stderr.strip()}")
    return made


class Forge:
    """A process that forks workers. Not for two threads at once: give each a forge of its own."""

    def __init__(self, folder: Path) -> None:
        """Compile the library into `folder`, and start.

        Raises:
            NoInjector: that is not possible here.
        """
        preload = {"LD_PRELOAD": str(library(folder)), "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.inject"],
            cwd=REPOSITORY,
            env=os.environ | preload,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Forge":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def run(
        self,
        root: Path,
        fault: Fault | None = None,
        *,
        durable: bool = True,
        patience: float = 0.2,
        turns: int | None = None,
        elsewhere: bool = False,
        limit: float = LIMIT,
    ) -> End:
        """Let a worker work on a run, with a fault or with none, and say how it ended.

        Args:
            elsewhere: let the others believe that it runs on another machine, so that they wait
                for its heartbeat instead of asking for its process.
            limit: seconds after which it hangs, and is killed.
        """
        return self.resume(self._start(locals()), go_on=False)

    def start(
        self,
        root: Path,
        fault: Fault,
        *,
        durable: bool = True,
        patience: float = 0.2,
        turns: int | None = None,
        elsewhere: bool = True,
        limit: float = 60.0,
    ) -> int:
        """Let a worker work until the fault stops it; return its process id.

        `resume` tells how it ended, also where it never came as far as the fault.
        """
        pid = self._start(locals())
        self._ask({"do": "until stopped", "pid": pid})
        return pid

    def resume(self, pid: int, *, go_on: bool = True) -> End:
        """Let a stopped worker go on, and say how it ended."""
        if go_on:
            os.kill(pid, signal.SIGCONT)
        answer = self._ask({"do": "wait", "pid": pid})
        operations = [Operation(*operation) for operation in cast(list[Line], answer["trace"])]
        return End(**answer | {"trace": operations})  # type: ignore[arg-type]

    def _start(self, order: dict[str, object]) -> int:
        del order["self"]
        order["root"] = str(cast(Path, order["root"]).resolve())
        order["fault"] = asdict(cast("Fault | None", order["fault"]) or Fault())
        return cast(int, self._ask({"do": "fork", "order": order})["pid"])

    def _ask(self, question: dict[str, object]) -> dict[str, object]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(question), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, "the forge has ended"
        return cast(dict[str, object], json.loads(line))


# ------------------------------------------------------------------------ inside of the forge


class _Forked(NamedTuple):
    """The files into which a worker writes: what it did, and how it ended."""

    trace: int
    end: int


def _serve() -> None:
    """Answer one line with another until there are no more."""
    from core.workers import worker  # noqa: F401  # once, for all that are forked
    from tests import trainers  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # should a worker print
    forked: dict[int, _Forked] = {}
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, object] = {}
        if question["do"] == "fork":
            files = _Forked(os.memfd_create("trace"), os.memfd_create("end"))
            pid = os.fork()
            if pid == 0:
                _work(files, **question["order"])
            forked[pid] = files
            answer = {"pid": pid}
        elif question["do"] == "until stopped":
            os.waitid(os.P_PID, question["pid"], os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        else:
            answer = _wait(question["pid"], forked.pop(question["pid"]))
        print(json.dumps(answer), file=answers, flush=True)
    for pid in forked:  # stopped, and never resumed
        os.kill(pid, signal.SIGKILL)


def _work(
    files: _Forked,
    root: str,
    fault: dict[str, object],
    durable: bool,
    patience: float,
    turns: int | None,
    elsewhere: bool,
    limit: float,
) -> None:
    """Be the worker, in the process that was forked for it."""
    from core.directory.run import open_run
    from core.workers.worker import work

    end: dict[str, object] = {}
    signal.setitimer(signal.ITIMER_REAL, limit)
    inject = ctypes.CDLL(None)
    try:
        run = open_run(Path(root))
        if elsewhere:
            inject.inject_elsewhere()
        how = HOWS.index(cast(How, fault["how"]))
        at = ctypes.c_long(cast(int, fault["at"]))
        inject.inject_arm(root.encode(), at, how, cast(int, fault["error"]), 0, files.trace)
        try:
            end["done"] = work(run, durable=durable, patience=patience, turns=turns)
        finally:
            inject.inject_disarm()
    except BaseException as error:
        names = [kind.__name__ for kind in type(error).__mro__]
        end |= {"error": names, "message": str(error), "traceback": traceback.format_exc()}
    finally:
        os.write(files.end, json.dumps(end).encode())
        os._exit(0)


def _wait(pid: int, files: _Forked) -> dict[str, object]:
    _, status = os.waitpid(pid, 0)
    end: dict[str, object] = {"done": None, "error": [], "message": "", "traceback": ""}
    end |= json.loads(_taken(files.end) or "{}")
    lines = [line.split("\t") for line in os.fsdecode(_taken(files.trace)).splitlines()]
    trace = [(name, int(kind), path, goal) for _, name, kind, path, goal in lines]
    return end | {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, "trace": trace}


def _taken(file: int) -> bytes:
    """Return what a file in memory holds, and let it go."""
    with os.fdopen(file, "rb") as whole:
        whole.seek(0)
        return whole.read()


if __name__ == "__main__":
    _serve()
