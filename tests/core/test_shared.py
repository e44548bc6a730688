"""What is shared is handed out to be read: no rule and no trainer can change what others hold."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from core.audits.verify import verify
from core.directory.members import Members
from core.directory.record import Record, identity
from core.directory.run import open_run
from core.member import Dropped, Hypers, Member, ReadOnly
from core.pbt import decide, scheduled, start
from core.peers import Peers
from core.rules import RuleError
from core.settings import PBT
from core.space import Choice, LogUniform, Space
from core.strategies.explore import Chain
from core.strategies.ready import Every, never
from core.task import Report, Task
from core.workers.worker import work
from tests.trainers import SPACE, Walk, walk


def in_place(hypers: Any, space: Space, rng: Generator) -> Any:
    """Explore as most examples of other systems do."""
    hypers["rate"] *= 1.2 if rng.random() < 0.5 else 0.8
    return hypers


def copying(hypers: Hypers, space: Space, rng: Generator) -> Hypers:
    """Explore the same, without a change of what was given."""
    return {"rate": float(hypers["rate"]) * (1.2 if rng.random() < 0.5 else 0.8)}


class Drains(Walk):
    """A trainer that does all that one may do with a dict of its own."""

    kept: Any = None

    def step(self, hypers: Any) -> None:
        """Take it apart."""
        self.kept = hypers
        rate = hypers.pop("rate")
        hypers["rate"] = 1e9
        hypers.update(extra=1)
        hypers.clear()
        super().step({"rate": rate})


class Grows(Walk):
    """A trainer that goes on with the very list that it has reported."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        self.curve: list[float] = []

    def step(self, hypers: Hypers) -> None:
        """Climb."""
        super().step(hypers)
        self.curve.append(self.height)

    def report(self) -> Report:
        """Return the list itself."""
        return {"curve": self.curve}


def explores_in_place() -> PBT:
    """A run with the customary rule."""
    return replace(walk(), explore=in_place)


def explores_a_copy() -> PBT:
    """The same run, written with care."""
    return replace(walk(), explore=copying)


def weights_only() -> PBT:
    """Its own hypers are explored in place, which are what it dropped."""
    return replace(explores_in_place(), inherit=("weights",))


def drains() -> PBT:
    """A run whose trainer leaves nothing of what it is given."""
    return replace(walk(), task=Task(Drains, SPACE))


def plain() -> PBT:
    """What `drains` must come to."""
    return walk()


def grows() -> PBT:
    """A run whose trainer changes what it reported before."""
    return replace(walk(), task=Task(Grows, SPACE))


def _digest(path: Path, preset: str) -> str:
    run = open_run(path / preset, f"tests.core.test_shared:{preset}")
    assert work(run, durable=False)
    verdict = verify(run)
    assert verdict.problems == []
    return verdict.digest


@pytest.mark.parametrize(
    ("careless", "careful"),
    [("explores_in_place", "explores_a_copy"), ("drains", "plain")],
)
def test_the_customary_style_simply_works(tmp_path: Path, careless: str, careful: str) -> None:
    """Whoever changes what it is given has the run of whoever does not, to the last bit."""
    assert _digest(tmp_path, careless) == _digest(tmp_path, careful)


def test_what_was_dropped_is_what_was_in_force(tmp_path: Path) -> None:
    """Not what an explorer has made of it."""
    _digest(tmp_path, "weights_only")


def test_a_report_is_a_copy(tmp_path: Path) -> None:
    """Record n of a curve has n points, whatever the trainer has appended since."""
    run = open_run(tmp_path / "run", "tests.core.test_shared:grows", {"mode": "asynchronous"})
    work(run, durable=False, turns=15)

    population = Members(run.root)
    records = [record for id in range(5) for record in population.history(id) if record.report]
    lengths = [len(str(record.report["curve"]).split(",")) for record in records]
    assert sorted(set(lengths)) != [max(lengths)]
    assert verify(run).digest == verify(run).digest


def _changed(member: Member) -> list[Callable[[], object]]:
    hypers: Any = member.hypers
    seen: Any = member.seen
    assert member.dropped is not None
    dropped: Any = member.dropped.hypers

    def delete() -> None:
        del hypers["rate"]

    def merge() -> None:
        nonlocal hypers
        hypers |= {"rate": 2.0}

    return [
        lambda: hypers.__setitem__("rate", 2.0), lambda: hypers.update(rate=2.0), hypers.clear,
        lambda: hypers.pop("rate"), hypers.popitem, lambda: hypers.setdefault("new", 1.0), delete,
        merge, lambda: seen.__setitem__(1, 5), lambda: dropped.__setitem__("rate", 2.0),
    ]  # fmt: skip


def test_no_way_of_changing_a_mapping_changes_a_member() -> None:
    """Each raises, and says to change a copy."""
    dropped = Dropped(score=0.0, scores=(), hypers={"rate": 1.0})
    me = Member(id=0, hypers={"rate": 1.0}, seen={1: 4}, dropped=dropped)
    before = repr(me)

    for change in _changed(me):
        with pytest.raises(TypeError, match="change a copy of it"):
            change()

    assert repr(me) == before


def test_a_copy_of_a_member_is_ones_own() -> None:
    """Copied, pickled, merged or written: what comes of it is an ordinary dict."""
    me = Member(id=0, hypers={"rate": 1.0})
    shared: Any = me.hypers
    copies = [
        copy.deepcopy(shared), copy.copy(shared), pickle.loads(pickle.dumps(shared)),
        dict(shared), shared | {}, shared.copy(), json.loads(json.dumps(shared)),
    ]  # fmt: skip

    for hypers in copies:
        hypers["rate"] = 2.0

    assert me.hypers == {"rate": 1.0}
    assert isinstance(me.hypers, ReadOnly)


def test_a_preset_keeps_no_way_into_a_run() -> None:
    """Whoever changes the dicts that a PBT was made of changes no run."""
    first, priors = {"rate": 0.5}, {"rate": LogUniform(0.01, 1.0)}
    options = ["a", "b"]
    choice = Choice(options)  # type: ignore[arg-type]
    pbt = replace(walk(), task=Task(Walk, Space(priors)), start=(first,))

    first["rate"] = 0.9
    priors["rate"] = LogUniform(5.0, 6.0)
    options.append("c")

    assert start(0, pbt).hypers == {"rate": 0.5}
    assert pbt.task.space["rate"] == LogUniform(0.01, 1.0)
    assert choice.options == ("a", "b")
    with pytest.raises(TypeError):
        pbt.task.space.priors["rate"] = LogUniform(5.0, 6.0)  # type: ignore[index]


def test_a_schedule_and_a_constraint_get_copies() -> None:
    """A rule that lets its argument fall has the same start at every step."""

    def falls(first: Any, step: int) -> Any:
        first["rate"] *= 0.5**step
        return first

    def forbids(hypers: Any) -> bool:
        hypers["rate"] = 7.0
        return True

    space = Space({"rate": LogUniform(0.01, 1.0)}, constraint=forbids)
    falling = replace(walk(), ready=never, schedule=falls)
    begun = start(0, falling)

    assert space.allows(begun.hypers)
    assert begun.hypers != {"rate": 7.0}
    later = scheduled(replace(begun, step=2), falling)
    assert later.hypers["rate"] == pytest.approx(0.25 * float(begun.hypers["rate"]))
    assert scheduled(replace(begun, step=2), falling) == later


def test_each_rule_of_a_chain_may_change_its_argument() -> None:
    """And what was inherited stays what it was."""
    hypers = Member(id=0, hypers={"rate": 0.5}).hypers

    new = SPACE.explored(hypers, Chain((in_place, in_place)), np.random.default_rng(0))

    assert hypers == {"rate": 0.5}
    assert new != hypers


def test_an_exploit_cannot_change_whom_it_sees() -> None:
    """It is told so, with its own line."""

    def spoils(me: Member, population: Peers, rng: Generator) -> Member:
        best = max(population, key=lambda one: one.fitness)
        best.hypers["rate"] = 9.0  # type: ignore[index]
        return best

    pbt = replace(walk(), exploit=spoils, ready=Every(1))
    members = [Member(id=id, step=1, score=float(id), hypers={"rate": 0.1}) for id in range(3)]

    with pytest.raises(RuleError, match=r"spoils raised TypeError: .*test_shared.py, line"):
        decide(members[0], Peers.of(members[0], members), pbt)

    assert [one.hypers for one in members] == 3 * [{"rate": 0.1}]


def test_an_exploit_returns_a_member_that_it_was_shown() -> None:
    """Not one with other hypers, nor one that nobody has published."""
    members = [Member(id=id, step=1, score=float(id), hypers={"rate": 0.1}) for id in range(3)]
    inventions = [
        replace(members[2], hypers={"rate": 0.9}), replace(members[2], n=7),
        Member(id=8, score=1.0), None, 2, members,
    ]  # fmt: skip

    for invention in inventions:
        pbt = replace(walk(), exploit=partial(_returns, invention))
        with pytest.raises(RuleError, match="returns a member that it was shown, me to stay"):
            decide(members[0], Peers.of(members[0], members), pbt)


def _returns(invention: Any, me: Member, population: Peers, rng: Generator) -> Any:
    """Look at everybody, and return something else."""
    assert len(population) == 3
    return invention


def test_identity_is_as_it_was() -> None:
    """A mapping that cannot be changed is written as any other: digests are those of before."""
    me = Member(id=0, hypers={"rate": 0.5}, seen={2: None, 1: 3})

    assert b'"hypers":{"rate":0.5}' in identity(Record(member=me))
    assert b'"seen":[[1,3],[2,null]]' in identity(Record(member=me))
