"""The processes that a trainer starts: what they inherit from a worker; they end with it."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterable
from pathlib import Path


def restore_in_children(numbers: Iterable[signal.Signals]) -> None:
    """Let forked children take these signals as any program does, not as a worker does.

    A worker finishes its turn when it is told to end. Its children would do so too: a pool of them
    that is terminated would never end, and its trainer would wait for it for ever.
    """
    handlers = {
        number: signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        for number in numbers
    }
    blocked = threading.local()

    def block() -> None:  # a signal that comes between the fork and `restore` would be lost
        blocked.before = signal.pthread_sigmask(signal.SIG_BLOCK, handlers)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked.before)

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=restore)


def end_group(leader: int) -> None:
    """End all processes of a group, by the pid of the one that leads it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def has_ended(pid: int) -> bool:
    """Whether a child has ended, without taking note of it: its number stays its own until then."""
    with contextlib.suppress(ChildProcessError, AttributeError):  # no waitid on every system
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return False


def end_others() -> None:
    """End the other processes of the group that this one leads; none if it leads none."""
    me = os.getpid()
    if os.getpgrp() != me:
        return
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid, state, group = int(stat.parent.name), words[0], int(words[2])
        if group == me and pid != me and state not in "ZX":
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
