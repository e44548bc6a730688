"""`run`: a PBT object from a script or a notebook, in memory or in a directory."""

import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from core import PBT, Every, Fixed, LogUniform, Perturb, RunError, Space, Task, Truncation, run
from core.directory.members import Members
from core.directory.run import open_run
from core.workers.blame import AllFailed
from tasks.toy.presets import pbt as toy
from tests import trainers
from tests.core.terminal.test_command_line import core

ROOT = Path(__file__).parents[2]
SHORT = replace(toy(), members=5, steps=8)


def test_a_result_says_what_happened() -> None:
    """The best member, each member's history, and a row for each record."""
    result = run(SHORT)

    assert result.best.score == max(me.score for me in result.members)
    assert [me.step for me in result.history(3)][:2] == [0, 1]
    table = result.table()
    assert len(table) == sum(len(result.history(id)) for id in range(5))
    assert {"member", "step", "score", "cause", "parent", "h0", "h1"} <= set(table[-1])
    assert "<table>" in result._repr_html_()


def test_a_run_in_a_directory_is_one_like_any_other(tmp_path: Path) -> None:
    """It is gone on with, held to its settings, read by the command line, and refused by name."""
    result = run(SHORT, tmp_path / "run", durable=False)

    assert result.out == tmp_path / "run"
    again = run(SHORT, tmp_path / "run", durable=False)
    assert again.digest == result.digest == again.verify().digest
    assert again.verify().problems == run(SHORT).verify().problems == []
    with pytest.raises(RunError, match="members: 5 in the run, 6 now"):
        run(replace(SHORT, members=6), tmp_path / "run", durable=False)
    status = core("status", str(tmp_path / "run"))
    assert status.returncode == 0, status.stderr
    work = core("work", str(tmp_path / "run"))
    assert "go on with it by core.run(pbt, out=DIR)" in work.stderr


def test_several_processes_train_one_run(tmp_path: Path) -> None:
    """And each of them published something."""
    result = run(replace(SHORT, steps=40), tmp_path / "run", workers=2, durable=False)

    assert all(me.step == 40 for me in result.members)
    assert len({record.worker for line in result.histories for record in line}) == 2


def test_a_task_of_a_notebook_works(tmp_path: Path) -> None:
    """Its classes are of no module that another process could import."""
    cell = (
        "from core import *\n"
        "from core import run\n"
        "class Climb:\n"
        "    def __init__(self, seed, device): self.height = 0.0\n"
        "    def step(self, hypers): self.height += hypers['rate']\n"
        "    def eval(self): return self.height\n"
        "    def save(self, path): path.write_text(str(self.height))\n"
        "    def load(self, path): self.height = float(path.read_text())\n"
        "task = Task(Climb, Space({'rate': LogUniform(0.1, 1.0)}))\n"
        "pbt = PBT(task=task, members=4, steps=6, ready=Every(2), exploit=Truncation(0.25),\n"
        "          explore=Perturb(), mode='lockstep')\n"
        "one, other = run(pbt), run(pbt, out='run', workers=2, durable=False)\n"
        "print(one.digest == other.digest, one.best.id == other.best.id)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", cell],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.strip() == "True True", done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((toy,), r"run takes a PBT, got .*Call the preset"),
        ((SHORT, None, 2), "a run in memory is one process"),
        ((SHORT, None, 0), "workers=0"),
    ],
)
def test_what_cannot_be_run_is_refused(arguments: tuple[object, ...], said: str) -> None:
    """With what would be right."""
    with pytest.raises(ValueError, match=said):
        run(*arguments)  # type: ignore[arg-type]


def test_a_population_all_of_which_fails_says_why() -> None:
    """With the last traceback of the trainer."""
    pbt = replace(trainers.walk(), task=Task(_Breaks, Space({"rate": LogUniform(0.1, 1.0)})))

    with pytest.raises(AllFailed, match="no data"):
        run(pbt)


class _Breaks(trainers.Walk):
    """Never trains a step."""

    def step(self, hypers: object) -> None:
        """Fail."""
        raise OSError("no data")


def test_a_run_that_decided_nothing_and_one_by_name_are_told_apart(tmp_path: Path) -> None:
    """The name of a preset is no PBT object, though the settings are equal."""
    open_run(tmp_path / "run", "tests.trainers:walk")

    result = run(trainers.walk(), tmp_path / "run", durable=False)

    assert result.best.step == trainers.walk().steps


def test_a_fixed_hyperparameter_may_have_the_name_of_a_column() -> None:
    """Both are in the table."""
    space = Space({"rate": LogUniform(0.1, 1.0), "score": Fixed(1)})
    pbt = PBT(
        task=Task(_ReadsScore, space),
        members=2,
        steps=2,
        ready=Every(1),
        exploit=Truncation(0.5),
        explore=Perturb(),
    )

    row = run(pbt).table()[-1]

    assert row["hypers.score"] == 1
    assert row["score"] != 1


class _ReadsScore(trainers.Walk):
    """Reads both of its hyperparameters."""

    def step(self, hypers: object) -> None:
        """Climb by the rate."""
        assert isinstance(hypers, dict)
        super().step({"rate": hypers["rate"] * hypers["score"]})


@pytest.mark.parametrize("out", [None, "run"])
def test_what_went_wrong_on_the_way_is_warned_of(tmp_path: Path, out: str | None) -> None:
    """A member that failed and was rescued; hypers that may not be in force."""
    where = None if out is None else tmp_path / out

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run(trainers.raises(), where, durable=False)
        run(trainers.restores_its_rate(), where and tmp_path / "other", durable=False)

    said = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
    assert any(re.fullmatch("member . failed: RuntimeError: the rope broke", one) for one in said)
    assert any("has read 'rate' before, and not this time" in one for one in said)
    assert set(result.warnings) <= {*said}


def test_processes_are_not_forked_where_a_gpu_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They could not use it, or would hang: it is said before anything is made."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)

    with pytest.raises(ValueError, match="this process uses a GPU already"):
        run(SHORT, tmp_path / "run", workers=2)
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_of_several_processes_ends_and_goes_on(tmp_path: Path) -> None:
    """The others are ended too, and what was published stays."""
    pbt = replace(trainers.sleepy(), members=4, steps=200)
    code = (
        "import os, signal, threading\n"
        "from dataclasses import replace\nfrom core import run\nfrom tests import trainers\n"
        "threading.Timer(2.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "pbt = replace(trainers.sleepy(), members=4, steps=200)\n"
        f"run(pbt, {str(tmp_path / 'run')!r}, workers=2, durable=False)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20
    )

    assert "KeyboardInterrupt" in done.stderr
    assert any(record for record in map(Members(tmp_path / "run").newest, range(4)))
    assert open_run(tmp_path / "run", pbt).note == ""
