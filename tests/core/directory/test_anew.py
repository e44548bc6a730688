"""A failed start does not block its own directory, and what was trained is never lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from numpy.random import Generator

from core.audits.verify import verify
from core.directory.anew import is_untouched, somebody_works
from core.directory.heartbeat import Heartbeat
from core.directory.lease import read_lease
from core.directory.members import Members
from core.directory.run import RunError, open_run
from core.member import Hypers
from core.rules import RuleError
from core.settings import PBT
from core.space import Space
from core.strategies.explore import Perturb
from core.strategies.ready import Every
from core.study.study import Study, open_study
from core.task import Task, TaskError
from core.workers.blame import AllFailed
from core.workers.worker import work
from tests.trainers import SPACE, Walk, walk

HERE = "tests.core.directory.test_anew"


class NoData(Walk):
    """A trainer that cannot be made."""

    def __init__(self, seed: int, device: str) -> None:
        raise KeyError("data_dir")


class Wrong(Walk):
    """A trainer that raises in its first step."""

    def step(self, hypers: Hypers) -> None:
        """Raise."""
        raise KeyError("data_dir")


def no_data() -> PBT:
    """A run that cannot start."""
    return replace(walk(), task=Task(NoData, SPACE))


def wrong() -> PBT:
    """A run that fails at once."""
    return replace(walk(), task=Task(Wrong, SPACE))


def mended() -> PBT:
    """The same, mended."""
    return walk()


def trips(hypers: Hypers, space: Space, rng: Generator) -> Hypers:
    """Explore well in the rehearsal, and raise in the run, as a rule may that meets other data."""
    if TRIPPED:
        raise RuntimeError("a mistake")
    return hypers


TRIPPED: list[bool] = []


def tripping() -> PBT:
    """A run whose explorer fails at the first copy."""
    return replace(walk(), explore=trips, mode="asynchronous")


def not_tripping() -> PBT:
    """The same with another explorer."""
    return replace(tripping(), explore=Perturb())


def earlier() -> PBT:
    """The same with another ready rule, by which members would have been ready before."""
    return replace(tripping(), ready=Every(1))


@pytest.mark.parametrize(("preset", "error"), [("no_data", TaskError), ("wrong", AllFailed)])
def test_a_mended_preset_begins_in_the_same_directory(
    tmp_path: Path, preset: str, error: type[Exception]
) -> None:
    """Nothing was trained there; the run is told that it is begun anew, and with which settings."""
    with pytest.raises(error):
        work(open_run(tmp_path / "run", f"{HERE}:{preset}"), durable=False)

    run = open_run(tmp_path / "run", f"{HERE}:mended")

    assert "nothing was trained" in run.note
    assert "task.trainer" in run.note
    assert work(run, durable=False)
    assert verify(run).problems == []


def test_what_was_trained_is_kept(tmp_path: Path) -> None:
    """One step of one member is enough."""
    work(open_run(tmp_path / "run", f"{HERE}:mended"), durable=False, turns=1)
    before = (tmp_path / "run/run.json").read_bytes()

    with pytest.raises(RunError, match=r"(?s)other settings, and stays as it is:.*task.trainer"):
        open_run(tmp_path / "run", f"{HERE}:wrong")

    assert (tmp_path / "run/run.json").read_bytes() == before


def test_nothing_is_begun_anew_under_the_hands_of_a_worker(tmp_path: Path) -> None:
    """Who holds a member may be about to publish its first step."""
    run = open_run(tmp_path / "run", f"{HERE}:mended")
    folder = Members(run.root).enter(0)
    held = read_lease(folder)
    assert held is not None

    with Heartbeat(run.root) as me:
        assert me.claim(0, folder, held) is not None
        assert somebody_works(run.root)
        assert not is_untouched(run.root)
        with pytest.raises(RunError, match="stays as it is"):
            open_run(tmp_path / "run", f"{HERE}:wrong")


def test_a_rule_that_failed_at_the_first_copy_may_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was trained stays, as no rule had a say in it. The error names the rule and its line."""
    run = open_run(tmp_path / "run", f"{HERE}:tripping")
    monkeypatch.setattr("tests.core.directory.test_anew.TRIPPED", [True])
    with pytest.raises(RuleError, match=r"explore rule .*trips raised RuntimeError.*test_anew.py"):
        work(run, durable=False)
    trained = sum(len(Members(run.root).history(id)) for id in range(5))
    monkeypatch.setattr("tests.core.directory.test_anew.TRIPPED", [])

    with pytest.raises(RunError, match="stays as it is"):  # it would have been ready at step 1
        open_run(tmp_path / "run", f"{HERE}:earlier")
    again = open_run(tmp_path / "run", f"{HERE}:not_tripping")

    assert "nothing was decided" in again.note
    assert sum(len(Members(run.root).history(id)) for id in range(5)) == trained > 5
    assert again.info["id"] == run.info["id"]
    assert again.info["mended"]
    assert work(again, durable=False)
    assert verify(again).problems == []


def test_after_a_decision_no_rule_may_change(tmp_path: Path) -> None:
    """The history would be of two runs."""
    work(open_run(tmp_path / "run", f"{HERE}:not_tripping"), durable=False, turns=30)

    with pytest.raises(RunError, match=r"explore: .*Perturb"):
        open_run(tmp_path / "run", f"{HERE}:tripping")


STUDIES: dict[str, Any] = {"arms": {"a": "no_data"}}


def study() -> Study:
    """A study that is mended between two tries."""
    arms = {name: globals()[preset]() for name, preset in STUDIES["arms"].items()}
    return Study(arms=arms, seeds=(1,))


def test_a_study_that_failed_to_start_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the arms that it has now."""
    first = open_study(tmp_path / "study", f"{HERE}:study")
    for name, seed, _ in first.places():
        first.begin(name, seed)
    monkeypatch.setitem(STUDIES, "arms", {"a": "mended", "b": "not_tripping"})

    again = open_study(tmp_path / "study", f"{HERE}:study")

    assert list(again.study.arms) == ["a", "b"]
    run = again.begin("a", 1)
    assert run is not None
    work(run, durable=False, turns=1)
    monkeypatch.setitem(STUDIES, "arms", {"c": "mended"})
    with pytest.raises(RunError, match="holds another study"):
        open_study(tmp_path / "study", f"{HERE}:study")
