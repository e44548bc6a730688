"""A batch in a process of its own, so that a game that crashes or hangs takes nobody with it.

A game that dies ends its process, and one that hangs has it ended after `patience` seconds (twice
that if it hangs in the middle of an answer): both are EnvironmentLost. The next reset or restore
starts a new process. A game may have processes of its own, which would outlive the one that began
them: all are of one group, and end together, also when their parent is killed. What they leave in
the folder for temporary files goes with them.
"""

import contextlib
import math
import multiprocessing
import os
import shutil
import signal
import socket
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tasks.rl.environments.batch import Batch, EnvironmentLost, Spec, State, Step

PLAIN = (ValueError, ImportError, ModuleNotFoundError, FileNotFoundError)
SPAWN = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
WATCH = 1.0  # seconds between two looks after the parent


class Remote:
    """What `make()` returns, elsewhere.

    Args:
        make: of the module's top level or a partial of such: it travels to the process.
        patience: seconds that one step or reset may take.
        start_patience: seconds that a start may take, of games that load or compile first. A start
            that is lost is tried once more: at a trainer's beginning it would stop the whole run.

    Raises:
        ValueError: a patience that is not a finite number above 0.
        ValueError, ImportError: as `make` raises them.
        EnvironmentLost: the process ended, or did not answer in time; at the start, twice.
    """

    def __init__(
        self, make: Callable[[], Batch], patience: float = 60.0, *, start_patience: float = 300.0
    ) -> None:
        for seconds in (patience, start_patience):
            if not 0 < seconds < math.inf:
                raise ValueError(
                    f"a patience of {seconds} s, and it must be finite and above 0: give 1e9 for "
                    "no limit"
                )
        self.make, self.patience, self.start_patience = make, patience, start_patience
        self._process: BaseProcess | None = None
        self._start()

    def _start(self) -> None:
        try:
            self._try_to_start()
        except EnvironmentLost:
            self._try_to_start()

    def _try_to_start(self) -> None:
        self._ours, theirs = SPAWN.Pipe()
        _limit(self._ours, self.patience)
        folder = tempfile.mkdtemp(prefix="games-")
        said = (theirs, self.make, folder, os.getpid())
        self._process = SPAWN.Process(target=_serve, args=said, daemon=True)
        self._process.start()
        theirs.close()
        self._ended = weakref.finalize(self, _end, self._process, self._ours, folder)
        self.spec: Spec
        self.spec, self.count, self.savable = self._answer("the start")

    def _ask(self, method: str, *arguments: object) -> Any:
        if self._process is None:
            if method not in ("reset", "restore"):
                raise EnvironmentLost(
                    f"the environment is lost: nothing but a reset before {method}"
                )
            self._start()
        try:
            self._ours.send((method, arguments))
        except BlockingIOError as error:
            raise self._lost(f"has not taken {method} for {self.patience:g} s") from error
        except OSError as error:
            raise self._lost(f"ended before {method}") from error
        return self._answer(method)

    def _answer(self, what: str) -> Any:
        patience = self.start_patience if what == "the start" else self.patience
        try:
            if not self._ours.poll(patience):
                raise self._lost(f"has not answered to {what} for {patience:g} s; it was ended")
            kind, value = self._ours.recv()
        except BlockingIOError as error:
            how = f"fell silent for {self.patience:g} s amid its answer to {what}"
            raise self._lost(how) from error
        except (EOFError, OSError) as error:
            raise self._lost(f"ended during {what}") from error
        if kind == "error":
            self.close()
            if (
                isinstance(value, ValueError | ImportError | FileNotFoundError)
                and what == "the start"
            ):
                raise value
            raise EnvironmentLost(f"the environment failed in {what}: {value!r}")
        return value

    def _lost(self, how: str) -> EnvironmentLost:
        process = self._process
        assert process is not None
        process.join(timeout=0.2)  # for its exit status
        status = "" if process.exitcode is None else f" (exit status {process.exitcode})"
        self.close()
        return EnvironmentLost(f"the environment's process {how}{status}")

    def reset(self, seed: int) -> Step:
        """Begin all episodes, in a new process if the old one is lost."""
        return cast(Step, self._ask("reset", seed))

    def step(self, actions: NDArray[np.int64]) -> Step:
        """Act."""
        return cast(Step, self._ask("step", actions))

    def reseed(self, seed: int) -> None:
        """Draw later episodes from another stream."""
        if self._process is not None:  # else a reset comes first, and has a seed
            self._ask("reseed", seed)

    def state(self) -> State:
        """Return where all are."""
        return cast(State, self._ask("state"))

    def restore(self, state: State) -> None:
        """Go on from there."""
        self._ask("restore", state)

    def close(self) -> None:
        """End the process."""
        self._ended()
        self._process = None


def _limit(connection: Connection, seconds: float) -> None:
    """Let no read or write of a pipe wait for longer: one that is half through, too."""
    limit = struct.pack("ll", int(seconds), max(int(seconds % 1 * 1e6), 1))  # 0 0 is no limit
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.setblocking(True)  # whatever the default of sockets is: they are one pipe
        for way in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            same.setsockopt(socket.SOL_SOCKET, way, limit)


def _end(process: BaseProcess, connection: Connection, folder: str) -> None:
    connection.close()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        assert process.pid
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()
    shutil.rmtree(folder, ignore_errors=True)


def _serve(connection: Connection, make: Callable[[], Batch], folder: str, parent: int) -> None:
    """Answer until nobody asks any more; then end, with all that the games have begun."""
    os.setsid()
    os.set_inheritable(connection.fileno(), False)  # or its end, with ours, would not be seen
    os.environ["TMPDIR"] = tempfile.tempdir = folder  # of the games' processes too
    threading.Thread(target=_watch, args=(parent, folder), daemon=True).start()
    try:
        batch = make()
        connection.send(("value", (batch.spec, batch.count, batch.savable)))
        while True:
            method, arguments = connection.recv()
            connection.send(("value", getattr(batch, method)(*arguments)))
    except (EOFError, ConnectionError):  # whoever asked is gone
        pass
    except Exception as error:
        plain = type(error) in PLAIN  # an error of a library's own may not survive the journey
        told = error if plain else RuntimeError(f"{type(error).__name__}: {error}")
        connection.send(("error", told))
    finally:
        _vanish(folder)


def _watch(parent: int, folder: str) -> None:
    """End it all once the parent is gone: a game that hangs never comes to see the pipe's end."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    _vanish(folder)


def _vanish(folder: str) -> None:
    """End this process and those that it has begun, with what they left."""
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)
