"""What a worker's children inherit, and that they end with it; where a trainer may go meanwhile."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.directory.run import open_run
from core.member import Hypers
from core.settings import PBT
from core.strategies.ready import Every
from core.task import Task
from core.workers.pool import Pool
from tests.core.terminal.test_command_line import core
from tests.trainers import SPACE, Walk, walk

pytestmark = pytest.mark.slow
HERE = "tests.core.workers.test_processes"
FORK = multiprocessing.get_context("fork")


def _square(number: int) -> int:
    return number * number


class Pooled(Walk):
    """A trainer that forks a pool in each step, and terminates it."""

    def step(self, hypers: Hypers) -> None:
        """Climb, with help."""
        with FORK.Pool(2) as pool:
            assert pool.map(_square, range(4)) == [0, 1, 4, 9]
        super().step(hypers)


class Terminates(Walk):
    """A trainer that starts a process and ends it."""

    def step(self, hypers: Hypers) -> None:
        """Climb, beside somebody who sleeps."""
        child = FORK.Process(target=time.sleep, args=(600,))
        child.start()
        child.terminate()
        child.join()
        assert child.exitcode == -signal.SIGTERM
        super().step(hypers)


class Leaves(Walk):
    """A trainer that leaves a process behind, and then takes long."""

    def step(self, hypers: Hypers) -> None:
        """Start a sleeper; sleep as well if told to."""
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        sleeper = subprocess.Popen(command)
        with open(Path(os.environ["PBT_TEST_FOLDER"]) / "sleepers", "a") as file:
            file.write(f"{sleeper.pid}\n")
        if os.environ.get("PBT_TEST_SLOW"):
            time.sleep(600)
        super().step(hypers)


class Threads(Walk):
    """A trainer that leaves a thread running."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        threading.Thread(target=time.sleep, args=(600,)).start()


class Interrupts(Walk):
    """A trainer that raises what Ctrl-C raises."""

    def step(self, hypers: Hypers) -> None:
        """Raise it in the third step, if the rate is high."""
        super().step(hypers)
        if self.steps == 3 and float(hypers["rate"]) > 0.1:
            raise KeyboardInterrupt


class Wanders(Walk):
    """A trainer that works elsewhere than where the command was typed."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        os.chdir(tempfile.gettempdir())


def pooled() -> PBT:
    """A run whose trainer forks."""
    return replace(walk(), task=Task(Pooled, SPACE), members=2, steps=2)


def terminates() -> PBT:
    """A run whose trainer ends children of its own."""
    return replace(walk(), task=Task(Terminates, SPACE), members=2, steps=2)


def leaves() -> PBT:
    """A run whose trainer leaves children."""
    return replace(walk(), task=Task(Leaves, SPACE), members=2, steps=2)


def threads() -> PBT:
    """A run whose trainer leaves threads."""
    return replace(walk(), task=Task(Threads, SPACE), members=2, steps=2)


def interrupts() -> PBT:
    """A run whose trainer raises KeyboardInterrupt."""
    return replace(walk(), task=Task(Interrupts, SPACE), ready=Every(4))


def wanders() -> PBT:
    """A run whose preset and trainer change the working directory."""
    os.chdir(tempfile.gettempdir())
    return replace(walk(), task=Task(Wanders, SPACE))


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _sleepers(folder: Path) -> list[int]:
    path = folder / "sleepers"
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def test_a_thread_that_a_trainer_leaves_does_not_hold_up_the_run(tmp_path: Path) -> None:
    """Python would wait for it at the end of the process, for ever."""
    done = core("run", f"{HERE}:threads", "--out", str(tmp_path / "run"), "--no-fsync")

    assert done.returncode == 0, done.stdout


def test_an_interrupt_that_a_trainer_raises_is_its_failure(tmp_path: Path) -> None:
    """A worker takes Ctrl-C as a wish: so this is none, and the member has failed."""
    out = tmp_path / "run"

    done = core("run", f"{HERE}:interrupts", "--out", str(out), "--no-fsync")

    assert done.returncode == 0, done.stdout
    assert "a trainer raised" in done.stdout
    assert "KeyboardInterrupt" in core("status", str(out)).stdout


@pytest.mark.parametrize("preset", ["pooled", "terminates"])
def test_children_can_be_terminated(tmp_path: Path, preset: str) -> None:
    """They do not keep the worker's handlers, with which they would never end."""
    done = core("run", f"{HERE}:{preset}", "--out", str(tmp_path / "run"), "--no-fsync")

    assert done.returncode == 0, done.stdout


def test_what_a_trainer_leaves_ends_with_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the run is done in good order."""
    monkeypatch.setenv("PBT_TEST_FOLDER", str(tmp_path))

    done = core("run", f"{HERE}:leaves", "--out", str(tmp_path / "run"), "--no-fsync")

    assert done.returncode == 0, done.stdout
    assert len(_sleepers(tmp_path)) == 4
    _wait_for(lambda: not any(map(_lives, _sleepers(tmp_path))))


def test_a_second_ctrl_c_leaves_no_orphans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that does not come to its end is killed, and all of its group."""
    monkeypatch.setenv("PBT_TEST_FOLDER", str(tmp_path))
    monkeypatch.setenv("PBT_TEST_SLOW", "1")
    words = ["run", f"{HERE}:leaves", "--out", str(tmp_path / "run"), "--no-fsync"]
    run = subprocess.Popen([sys.executable, "-m", "core", *words], stdout=subprocess.PIPE)
    _wait_for(lambda: len(_sleepers(tmp_path)) == 1)
    [sleeper] = _sleepers(tmp_path)
    worker = int(Path(f"/proc/{sleeper}/stat").read_text().rpartition(")")[2].split()[1])

    run.send_signal(signal.SIGINT)
    time.sleep(1)
    assert _lives(worker)
    run.send_signal(signal.SIGINT)

    assert run.wait(timeout=30) == 130
    run.communicate()
    _wait_for(lambda: not _lives(worker) and not _lives(sleeper))


def test_a_worker_whose_starter_is_gone_can_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a plain SIGTERM, in the middle of a turn, with its children."""
    monkeypatch.setenv("PBT_TEST_FOLDER", str(tmp_path))
    monkeypatch.setenv("PBT_TEST_SLOW", "1")
    words = ["run", f"{HERE}:leaves", "--out", str(tmp_path / "run"), "--no-fsync"]
    run = subprocess.Popen([sys.executable, "-m", "core", *words], stdout=subprocess.PIPE)
    _wait_for(lambda: len(_sleepers(tmp_path)) == 1)
    [sleeper] = _sleepers(tmp_path)
    worker = int(Path(f"/proc/{sleeper}/stat").read_text().rpartition(")")[2].split()[1])
    run.kill()
    run.communicate()
    assert _lives(worker)

    os.kill(worker, signal.SIGTERM)

    _wait_for(lambda: not _lives(worker) and not _lives(sleeper))


def test_a_pool_ends_the_group_of_a_worker_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel does when there is no memory left: its children are nobody's then."""
    monkeypatch.setenv("PBT_TEST_FOLDER", str(tmp_path))
    monkeypatch.setenv("PBT_TEST_SLOW", "1")
    run = open_run(tmp_path / "run", f"{HERE}:leaves")

    with Pool(run.root, 1, options=["--no-fsync"]) as pool:
        _wait_for(lambda: len(_sleepers(tmp_path)) == 1)
        pool.processes[0].send_signal(signal.SIGKILL)
        _wait_for(lambda: not pool.running())

    _wait_for(lambda: not any(map(_lives, _sleepers(tmp_path))))


def test_a_change_of_the_working_directory_changes_no_path(tmp_path: Path) -> None:
    """Neither of the run directory, which is given relative, nor of where modules are found."""
    root = Path(__file__).parents[3]
    words = ["run", f"{HERE}:wanders", "--out", "run", "--no-fsync", "--workers", "2"]

    done = subprocess.run(
        [sys.executable, "-m", "core", *words],
        cwd=tmp_path,
        env=dict(os.environ) | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert len(list((tmp_path / "run/members").iterdir())) == 5
