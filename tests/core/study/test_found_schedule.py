"""The schedule of a run's winner: what its weights were trained with, and a run that follows it."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from core.audits.verify import verify
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import Run, RunError, open_run, resolve
from core.member import rank
from core.study.found_schedule import Schedule, schedule_of
from core.workers.worker import work


@pytest.fixture(scope="module", params=["lockstep", "asynchronous"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run whose weights tell with which rates they were trained."""
    root = tmp_path_factory.mktemp("run") / "run"
    run = open_run(root, "tests.trainers:diary", {"mode": request.param, "seed": 3})
    assert work(run, durable=False)
    return run


def _best(run: Run) -> Record:
    population = Members(run.root)
    ends = [population.history(id)[-1] for id in range(run.pbt.members)]
    return min(ends, key=lambda record: rank(record.member))


def _rates(schedule: Schedule) -> list[float]:
    """Return the rate of each step, by the Python function that is printed for people."""
    space: dict[str, object] = {}
    exec(schedule.as_python(), space)
    return [space["schedule"](step)["rate"] for step in range(schedule.steps)]  # type: ignore[operator]


def test_the_schedule_is_what_the_winners_weights_were_trained_with(run: Run) -> None:
    """As the weights themselves tell, across all copies; as many steps as they were trained."""
    best = _best(run)

    schedule = schedule_of(run)

    assert schedule.member == best.member.id
    assert schedule.score == best.member.score
    assert _rates(schedule) == best.report["rates"]
    assert any(record.member.parent for record in Members(run.root).history(schedule.member))


def test_each_members_schedule_is_its_weights_own(run: Run) -> None:
    """Not the winner's alone."""
    for id in range(run.pbt.members):
        last = Members(run.root).history(id)[-1]
        assert _rates(schedule_of(run, id)) == last.report["rates"]


def test_along_the_member_it_is_what_the_member_did(run: Run) -> None:
    """Whatever was copied meanwhile: one step for each of its own."""
    schedule = schedule_of(run, 1, along="member")

    history = Members(run.root).history(1)
    left = {record.member.step: record.member.hypers["rate"] for record in history}
    assert _rates(schedule) == [left[step] for step in range(run.pbt.steps)]
    assert schedule.branches == ()


@pytest.mark.parametrize("inherit", [("hypers",), ()])
def test_where_no_weights_are_copied_the_lineage_is_the_member(
    tmp_path: Path, inherit: tuple[Literal["hypers"], ...]
) -> None:
    """As the weights themselves tell: what a donor was trained with is not what they were."""
    pbt = replace(resolve("tests.trainers:diary"), inherit=inherit, seed=3)
    run = Run(tmp_path / "run", "", pbt, {})
    assert work(run, durable=False)

    population = Members(run.root)
    assert any(r.member.parent for id in range(pbt.members) for r in population.history(id))
    for id in range(pbt.members):
        last = Members(run.root).history(id)[-1]
        assert _rates(schedule_of(run, id)) == last.report["rates"]


def test_a_run_that_follows_it_is_trained_with_it(run: Run, tmp_path: Path) -> None:
    """Every member, from a start of its own, and the run can be verified and resumed."""
    schedule = schedule_of(run)
    overrides = {"members": 3, "seed": 9, "schedule": schedule.as_override()}

    followed = open_run(tmp_path / "replay", "tests.trainers:diary", overrides)
    work(followed, durable=False, turns=7)
    assert work(open_run(tmp_path / "replay"), durable=False)

    assert not verify(open_run(tmp_path / "replay")).problems
    ends = [Members(followed.root).history(id)[-1] for id in range(3)]
    rates = _rates(schedule)
    expected = [rates[min(step, len(rates) - 1)] for step in range(run.pbt.steps)]
    assert all(record.report["rates"] == expected for record in ends)
    assert len({record.member.score for record in ends}) == 3


def test_the_final_values_are_a_schedule_without_change(run: Run) -> None:
    """The last ones that were trained with, from the first step."""
    schedule = schedule_of(run)
    assert set(_rates(schedule.final())) == {_rates(schedule)[-1]}
    assert schedule.final().steps == schedule.steps


def test_it_is_written_as_json(run: Run) -> None:
    """Which any program reads."""
    schedule = schedule_of(run)
    body = json.loads(json.dumps(schedule.as_json()))
    assert [(p["step"], p["hypers"]) for p in body["points"]] == [
        (step, dict(hypers)) for step, hypers in schedule.points
    ]
    assert math.isfinite(body["score"])


def test_a_run_that_is_not_done_has_none(tmp_path: Path) -> None:
    """Nor has a member that there is not."""
    unfinished = open_run(tmp_path / "run", "tests.trainers:walk")
    work(unfinished, durable=False, turns=7)

    with pytest.raises(RunError, match=r"is not done: members \[.*\] have steps to go"):
        schedule_of(unfinished)
    work(unfinished, durable=False)
    with pytest.raises(RunError, match="no member 5: there are 0 to 4"):
        schedule_of(unfinished, 5)


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        ([[1, {"rate": 0.1}]], "must rise from 0"),
        ([[0, {"rate": 0.1}], [0, {"rate": 0.2}]], "must rise from 0"),
        ([[0, {"rats": 0.1}]], "'rats' is not a hyperparameter"),
        ([[0, {"rate": -1.0}]], "not in the domain"),
        ("soon", "is no schedule"),
        ([[0]], "is no schedule"),
    ],
)
def test_a_schedule_that_cannot_be_followed_is_refused(
    tmp_path: Path, schedule: object, sentence: str
) -> None:
    """Before anything is written."""
    with pytest.raises(ValueError, match=sentence):
        open_run(tmp_path / "run", "tests.trainers:walk", {"schedule": schedule})
    assert not (tmp_path / "run").exists()


def test_verify_finds_a_record_that_does_not_follow_the_schedule(run: Run, tmp_path: Path) -> None:
    """Hypers that are not those of their step."""
    followed = open_run(tmp_path / "a", "tests.trainers:walk", {"schedule": [[0, {"rate": 0.1}]]})
    work(followed, durable=False)
    info = (tmp_path / "a/run.json").read_bytes()
    other = open_run(tmp_path / "b", "tests.trainers:walk", {"schedule": [[0, {"rate": 0.2}]]})
    (tmp_path / "a/run.json").write_bytes((tmp_path / "b/run.json").read_bytes())

    assert info != (tmp_path / "a/run.json").read_bytes()
    assert verify(open_run(tmp_path / "a")).problems
    assert other.pbt.schedule == ((0, {"rate": 0.2}),)
