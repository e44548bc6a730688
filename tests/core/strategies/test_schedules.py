"""Schedules that each member follows from its own start."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.audits.verify import verify
from core.directory.members import Members
from core.directory.run import open_run
from core.pbt import start
from core.space import Choice, Integer, LogUniform, Prior, Space
from core.strategies.ready import Every, never
from core.strategies.schedules import Anneal
from core.study.found_schedule import schedule_of
from core.workers.worker import work
from tests import trainers

PAPER = Anneal(("rate",), hold=10, fall=10)


def annealed() -> object:
    """Three steps as they are, then four in which the rate falls to a hundredth."""
    rule = Anneal(("rate",), hold=3, fall=4)
    return replace(trainers.walk(), ready=never, schedule=rule, steps=9, members=3)


@pytest.mark.parametrize(
    ("rule", "step", "value"),
    [
        (PAPER, 0, 2.0),
        (PAPER, 10, 2.0),
        (PAPER, 15, 0.2),
        (PAPER, 20, 0.02),
        (PAPER, 99, 0.02),
        (replace(PAPER, to=0.0, shape="linear"), 15, 1.0),
        (replace(PAPER, to=0.0, shape="linear"), 30, 0.0),
        (replace(PAPER, hold=0), 5, 0.2),
    ],
)
def test_a_rate_is_held_and_falls_and_stays(rule: Anneal, step: int, value: float) -> None:
    """As by hand; what is not named stays as it is."""
    assert rule({"rate": 2.0, "other": 3}, step) == {"rate": pytest.approx(value), "other": 3}


def test_each_member_follows_it_from_its_own_start(tmp_path: Path) -> None:
    """What is recorded is what was in force; `verify` computes it again, `schedule` reads it."""
    run = open_run(tmp_path / "run", "tests.core.strategies.test_schedules:annealed")

    work(run, durable=False)

    histories = [Members(run.root).history(id) for id in range(3)]
    starts = [float(records[0].member.hypers["rate"]) for records in histories]
    assert len(set(starts)) == 3
    for begun, records in zip(starts, histories, strict=True):
        rates = {r.member.step: float(r.member.hypers["rate"]) / begun for r in records}
        assert rates[3] == 1
        assert rates[5] == pytest.approx(0.1)
        assert rates[7] == rates[9] == pytest.approx(0.01)
    assert verify(run).problems == []
    points = schedule_of(run, member=1).points
    assert [step for step, _ in points] == [0, 4, 5, 6, 7]
    assert points[-1][1]["rate"] == pytest.approx(starts[1] / 100)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"fall": 0}, "a fall of at least 1"),
        ({"names": ()}, "needs names"),
        ({"to": 0.0}, "above 0 for an exponential fall"),
        ({"shape": "cosine"}, "exponential or linear, got 'cosine'"),
    ],
)
def test_an_annealing_of_no_use_is_refused(settings: dict[str, object], sentence: str) -> None:
    """With the value in the sentence."""
    with pytest.raises(ValueError, match=sentence):
        replace(PAPER, **settings)  # type: ignore[arg-type]


def test_an_annealing_of_what_the_space_has_not_is_refused() -> None:
    """It would be no annealing, and nobody would know."""
    with pytest.raises(ValueError, match="asks for 'lr', where the space has rate"):
        replace(trainers.walk(), ready=never, schedule=Anneal(("lr",), hold=1, fall=1))


@pytest.mark.parametrize(
    ("prior", "sentence"),
    [
        (Integer(8, 8), "makes 'depth' 8.0, which is no value of Integer"),
        (Choice((1.0,)), "makes 'depth' 0.01, which is no value of Choice"),
        (Choice(("deep",)), "does not fit the space: could not convert string to float: 'deep'"),
    ],
)
def test_an_annealing_of_what_is_no_real_number_is_refused(prior: Prior, sentence: str) -> None:
    """A trainer would be given a depth of 4.4, or half an option."""
    space = Space({"rate": LogUniform(0.01, 1), "depth": prior})
    task = replace(trainers.walk().task, space=space)

    with pytest.raises(ValueError, match=sentence):
        replace(
            trainers.walk(),
            task=task,
            ready=never,
            schedule=Anneal(("depth",), hold=0, fall=12),
        )
    kept = replace(trainers.walk(), task=task, ready=never, schedule=PAPER)  # of the rate alone
    assert start(0, kept).hypers["depth"] == prior.sample(np.random.default_rng(0))


def falling() -> object:
    """Two steps as they are, then two in which the rate falls to nothing."""
    rule = Anneal(("rate",), hold=2, fall=2, to=0.0, shape="linear")
    return replace(trainers.walk(), ready=never, schedule=rule, steps=6, members=2)


def test_a_rate_that_fell_to_nothing_can_be_replayed(tmp_path: Path) -> None:
    """Although no search could have come to it."""
    run = open_run(tmp_path / "run", "tests.core.strategies.test_schedules:falling")
    work(run, durable=False)
    found = schedule_of(run)

    overrides = {"members": 1, "schedule": found.as_override()}
    again = open_run(tmp_path / "again", "tests.core.strategies.test_schedules:falling", overrides)
    work(again, durable=False)

    assert found.points[-1] == (4, {"rate": 0.0})
    assert schedule_of(again).points == found.points
    assert verify(again).problems == []


def test_who_follows_a_schedule_is_never_ready() -> None:
    """PBT's own changes would be undone at the next step."""
    with pytest.raises(ValueError, match="is never ready"):
        replace(trainers.walk(), ready=Every(1), schedule=PAPER)
