"""Equal is not the same: whatever is given becomes the one value that a record holds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from core.audits.verify import verify
from core.directory.files import Unreadable
from core.directory.members import Members
from core.directory.record import Record, decode, encode, plain_report
from core.directory.run import open_run
from core.member import Hypers, Member
from core.pbt import scheduled, start
from core.rules import RuleError
from core.settings import PBT
from core.space import EVERYWHERE, Choice, Fixed, Integer, LogUniform, Prior, Space, Uniform
from core.strategies.ready import never
from core.task import Task
from core.workers.worker import work
from tests.trainers import Walk, walk

SWITCH = Space({"rate": LogUniform(0.01, 1.0), "flag": Choice((0, 1))})


class Flagged(Walk):
    """A climb with a switch."""

    def step(self, hypers: Hypers) -> None:
        """Climb, and look at the switch."""
        super().step({"rate": hypers["rate"]})
        int(hypers["flag"])


def flip(hypers: Hypers, space: Space, rng: Generator) -> dict[str, Any]:
    """Explore by turning the switch: into a bool."""
    return dict(hypers) | {"flag": not hypers["flag"]}


def flips() -> PBT:
    """A run whose rule gives True where the option is 1."""
    return replace(walk(), task=Task(Flagged, SWITCH), explore=flip)


def begins_with_true() -> PBT:
    """A run whose start is True where the option is 1."""
    return replace(walk(), task=Task(Flagged, SWITCH), start=({"rate": 0.1, "flag": True},))


@pytest.mark.parametrize("preset", ["flips", "begins_with_true"])
def test_what_is_published_can_be_read(tmp_path: Path, preset: str) -> None:
    """And the run ends with all its steps."""
    run = open_run(tmp_path / "run", f"tests.core.test_exact:{preset}")

    assert work(run, durable=False)

    assert verify(run).problems == []


@pytest.mark.parametrize(
    ("prior", "given", "exact"),
    [
        (Choice((0, 1)), True, 0 + 1),
        (Choice((0, 1)), 1.0, 1),
        (Choice((0.5, 1.0)), 1, 1.0),
        (Choice((1, 2)), np.int64(2), 2),
        (Choice(("a", "b")), np.str_("b"), "b"),
        (Choice((0.1, 0.2)), np.float32(0.1), 0.1),
        (Fixed(1), True, 1),
        (Fixed(1), 1.0, 1),
        (Fixed(4, domain=(1, 5)), np.float64(5.0), 5),
        (Fixed(0.5, domain=(0, 1)), 1, 1.0),
        (Fixed("sgd"), np.str_("sgd"), "sgd"),
        (Uniform(0, 1), 1, 1.0),
        (Uniform(0, 1), np.float32(0.5), 0.5),
        (LogUniform(1, 10), np.int64(3), 3.0),
        (Integer(1, 8), 4.0, 4),
        (Integer(1, 8), np.int32(4), 4),
    ],
)
def test_a_value_becomes_one_of_its_kind(prior: Prior, given: Any, exact: object) -> None:
    """The same type and the same JSON, whether it is started with or explored to."""
    for found in (prior.exact(given), prior.legal(given)):
        assert (type(found), found) == (type(exact), exact)
        assert json.loads(json.dumps(found)) == exact


@pytest.mark.parametrize(
    ("prior", "given"),
    [
        (Uniform(0, 1), True), (Uniform(0, 1), None), (Uniform(0, 1), "0.5"),
        (Uniform(0, 1), float("nan")), (Uniform(0, 1), [0.5]), (Integer(1, 8), 2.5),
        (Choice((0, 1)), 2), (Choice(("a", "b")), 1), (Choice((0, 1)), None),
        (Fixed("sgd"), 1), (Fixed(1), "1"), (LogUniform(1, 2), complex(1)),
        (Uniform(0, 1), np.ones(2)), (Choice((0, 1)), np.ones(2)), (Uniform(0, 1), float("inf")),
    ],
)  # fmt: skip
def test_what_is_of_no_use_is_refused(prior: Prior, given: Any) -> None:
    """By name of the value."""
    with pytest.raises(ValueError, match=r".+"):
        prior.exact(given)


def test_a_schedule_is_made_exact_too() -> None:
    """Of points and of a rule; what a rule gives that no record can hold names the rule."""

    def rises(first: Hypers, step: int) -> Any:
        return {"rate": np.float64(0.1), "flag": step % 2 == 1}

    def ends(first: Hypers, step: int) -> Any:
        return {"rate": 0.1 if step in (0, 12) else float("nan"), "flag": 1}

    base = replace(walk(), task=Task(Flagged, SWITCH), ready=never)
    points = replace(base, schedule=((0, {"rate": 1, "flag": True}),))
    rule = replace(base, schedule=rises)

    assert json.dumps(start(0, points).hypers) == '{"rate": 1.0, "flag": 1}'
    assert json.dumps(start(0, rule).hypers) == '{"rate": 0.1, "flag": 0}'
    with pytest.raises(RuleError, match=r"schedule rule .*ends returned .*nan.* at step 3"):
        scheduled(Member(id=0, step=3), replace(base, schedule=ends))


def test_no_record_is_published_that_nobody_could_read(tmp_path: Path) -> None:
    """Whatever is in it: it is refused before its number is taken."""
    population = Members(tmp_path)
    values: list[Any] = [True, None, float("nan"), [1]]

    for hypers in ({"flag": value} for value in values):
        with pytest.raises((Unreadable, TypeError, ValueError)):
            population.publish(Record(member=Member(id=0, hypers=hypers)))

    assert population.newest(0) is None
    population.publish(Record(member=Member(id=0, hypers={"flag": 1})))
    assert population.history(0)[0].member.hypers == {"flag": 1}


@pytest.mark.parametrize(
    "said",
    [
        {"x": 10**400}, {"x": [1, 10**5000]}, {"x": {1, 2}}, {"x": object()}, {1: 2.0, "1": 3.0},
        [1.0], "text", None, {"x": "a" * 5_000_000},
    ],
)  # fmt: skip
def test_a_report_that_no_record_can_hold_is_refused(said: object) -> None:
    """Before it is published; the message names the entry."""
    with pytest.raises((TypeError, ValueError), match=r"report\(\)"):
        plain_report(said)


def test_a_report_that_a_record_can_hold_is_read_as_it_was() -> None:
    """Numbers of numpy and lists of them too."""
    said = {"a": np.float32(0.5), "b": np.arange(3), "c": "text", "d": [1, 2.5], "e": float("nan")}

    found = plain_report(said)

    assert found == {"a": 0.5, "b": [0, 1, 2], "c": "text", "d": [1, 2.5], "e": None}
    record = Record(member=Member(id=0, hypers={"rate": 1.0}), report=found)
    assert decode(encode(record)).report == found


def test_a_uniform_is_bounded_by_its_own_ends_unless_its_domain_says_otherwise() -> None:
    """A momentum that started below 0.99 does not become 1.1 without a word."""
    rng = np.random.default_rng(0)
    momentum, free = Uniform(0.0, 0.99), Uniform(0.0, 0.99, domain=EVERYWHERE)
    layers = Integer(1, 4)

    assert momentum.scaled(0.95, 1.2, rng) == 0.99
    assert momentum.shifted(0.95, 1.0) == 0.99
    assert free.scaled(0.95, 1.2, rng) == pytest.approx(1.14)
    assert layers.scaled(4, 1.2, rng) == 4
    assert layers.scaled(1, 0.8, rng) == 1
    assert LogUniform(1e-4, 1e-2).scaled(1e-2, 10.0, rng) == pytest.approx(0.1)
    assert momentum.domain == (0.0, 0.99)


@pytest.mark.parametrize(
    "options", [{"sgd", "adam"}, frozenset((1, 2)), "sgd", {"a": 1}, (1, 10**400), (1, None), 3]
)
def test_options_without_an_order_or_of_no_use_are_refused(options: Any) -> None:
    """A set has another order in every process: the run would never be the same one."""
    with pytest.raises(ValueError, match=r".+"):
        Choice(options)


@pytest.mark.parametrize(
    "change",
    [
        {"start": None}, {"start": 5}, {"start": ({"rate": 0.1} for _ in range(2))},
        {"schedule": {0: {"rate": 0.1}}, "ready": never}, {"schedule": 5, "ready": never},
        {"schedule": ((0.0, {"rate": 0.1}),), "ready": never},
        {"schedule": (("0", {"rate": 0.1}),), "ready": never},
    ],
)  # fmt: skip
def test_starts_and_schedules_of_another_kind_are_refused(change: Any) -> None:
    """In a sentence that says how they are written."""
    with pytest.raises(ValueError, match=r"is a tuple of"):
        replace(walk(), **change)


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    """As sizes of a run."""
    assert replace(walk(), members=np.int64(4)).members == 4  # type: ignore[arg-type]


@pytest.mark.parametrize("ends", [("a", 1), (0, None), (True, 2)])
def test_ends_that_are_no_numbers_are_refused(ends: tuple[Any, Any]) -> None:
    """With the value, when the prior is made."""
    with pytest.raises(ValueError, match="is no number"):
        Uniform(*ends)
    with pytest.raises(ValueError, match="is no pair"):
        Uniform(0, 1, domain=3)  # type: ignore[arg-type]
