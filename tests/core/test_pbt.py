"""Algorithm 1: the order of its calls, and what it hands from one to the next."""

from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from core.member import Member
from core.pbt import WeightsLost, start, worker
from core.peers import Peers
from core.settings import PBT
from core.space import Fixed, LogUniform, Space
from core.strategies.exploit import Truncation
from core.strategies.explore import keep
from core.strategies.ready import Every
from core.streams import random_numbers, random_seed
from core.task import Task
from core.workers.guarded_trainer import WeightsFile
from tests.trainers import walk


def _run(**others: Any) -> tuple[Mock, PBT]:
    """Return a tape of all that Algorithm 1 calls, and a run that is made of it."""
    tape = Mock()
    tape.trainer.eval.side_effect = [(0.1,), (0.8,), (0.2,), (0.9,)]
    tape.trainer.raised = 0
    tape.ready.return_value = True
    tape.exploit.return_value = Member(id=1, n=7, step=7, score=0.9, hypers={"lr": 2.0})
    tape.explore.return_value = {"lr": 1.6}
    tape.population.update.side_effect = lambda me, trainer: me
    tape.population.weights.return_value = WeightsFile(Mock())
    tape.population.seen_by.return_value = _peers(tape.exploit.return_value)
    space = Space({"lr": LogUniform(0.1, 10)})
    settings = {
        "task": Mock(spec=Task, space=space),
        "members": 2,
        "steps": 1,
        "ready": tape.ready,
        "exploit": tape.exploit,
        "explore": tape.explore,
    }
    return tape, PBT(**settings | others)


def _peers(*others: Member) -> Peers:
    """Return a population all of whose members were looked at."""
    peers = Peers.of(Member(id=0), others)
    assert len(peers) == len(others) + 1
    return peers


def _names(tape: Mock) -> list[str]:
    return [name for name, _, _ in tape.mock_calls if "__" not in name]


def test_a_beaten_member_goes_through_algorithm_1_line_by_line() -> None:
    """A member that is ready and beaten copies, explores, is scored again, and is published."""
    tape, pbt = _run()

    [me] = worker(Member(id=0, hypers={"lr": 8.0}), tape.trainer, tape.population, pbt)

    assert _names(tape) == [
        "trainer.step",  # θ ← step(θ | h)
        "trainer.eval",  # p ← eval(θ)
        "ready",  # if ready(p, t, P)
        "population.seen_by",
        "exploit",  # h', θ' ← exploit(h, θ, p, P)
        "population.weights",
        "trainer.load",  # if θ ≠ θ'
        "explore",  # h, θ ← explore(h', θ', P)
        "trainer.eval",  # p ← eval(θ)
        "population.update",  # update P with (θ, h, p, t + 1)
    ]
    assert (me.step, me.score, me.hypers, me.parent) == (1, 0.8, {"lr": 1.6}, (1, 7))
    assert me.dropped is not None
    assert (me.dropped.score, me.dropped.hypers) == (0.1, {"lr": 8.0})


def test_a_member_that_is_not_ready_only_trains() -> None:
    """Without readiness there is no look at the population."""
    tape, pbt = _run()
    tape.ready.return_value = False

    [me] = worker(Member(id=0, hypers={"lr": 8.0}), tape.trainer, tape.population, pbt)

    assert _names(tape) == ["trainer.step", "trainer.eval", "ready", "population.update"]
    assert (me.score, me.hypers, me.parent, me.seen) == (0.1, {"lr": 8.0}, None, None)


def test_a_member_that_stays_is_neither_loaded_nor_explored_nor_scored_again() -> None:
    """Explore belongs to a copy: whoever stays keeps weights, hypers and score."""
    tape, pbt = _run()
    tape.exploit.side_effect = lambda me, population, rng: me

    [me] = worker(Member(id=0, hypers={"lr": 8.0}), tape.trainer, tape.population, pbt)

    assert _names(tape)[-2:] == ["exploit", "population.update"]
    assert (me.score, me.hypers, me.seen) == (0.1, {"lr": 8.0}, {1: 7})


@pytest.mark.parametrize(
    ("inherit", "loads", "explored"),
    [(("weights", "hypers"), 1, 2.0), (("weights",), 1, 8.0), (("hypers",), 0, 2.0), ((), 0, 8.0)],
)
def test_what_is_inherited_is_a_setting(
    inherit: tuple[str, ...], loads: int, explored: float
) -> None:
    """Weights are loaded, and the donor's hypers explored, only where they are inherited."""
    tape, pbt = _run(inherit=inherit)

    [_] = worker(Member(id=0, hypers={"lr": 8.0}), tape.trainer, tape.population, pbt)

    assert tape.trainer.load.call_count == loads
    assert tape.explore.call_args.args[0] == {"lr": explored}


def test_the_step_after_a_copy_uses_the_new_hypers() -> None:
    """The explored hypers are in force at the very next step, not a round later."""
    tape, pbt = _run(steps=2)

    _, _ = worker(Member(id=0, hypers={"lr": 8.0}), tape.trainer, tape.population, pbt)

    assert [call.args[0] for call in tape.trainer.step.call_args_list] == [{"lr": 8.0}, {"lr": 1.6}]


def test_lost_weights_make_it_choose_again_without_that_donor() -> None:
    """A donor whose weights are gone is left out, from the choice and from what is logged."""
    tape, pbt = _run(members=3)
    one, two = (Member(id=i, n=i, step=1, score=i, hypers={"lr": float(i)}) for i in (1, 2))
    tape.population.seen_by.return_value = _peers(one, two)
    tape.population.weights.side_effect = [WeightsLost, WeightsFile(Mock())]
    tape.exploit.side_effect = lambda me, population, rng: list(population)[-1]

    [me] = worker(Member(id=0, hypers={"lr": 8.0}), tape.trainer, tape.population, pbt)

    assert me.parent == (1, 1)
    assert me.seen == {1: 1, 2: None}


def test_in_lockstep_a_member_is_published_before_it_decides() -> None:
    """It waits, published and marked so, until all have come to this step."""
    tape, pbt = _run(mode="lockstep")
    tape.population.seen_by.side_effect = [None, _peers(tape.exploit.return_value)]
    me = Member(id=0, hypers={"lr": 8.0})

    waiting, decided = worker(me, tape.trainer, tape.population, pbt)

    assert waiting.waiting
    assert waiting.score == 0.1
    assert not decided.waiting
    assert decided.score == 0.8


def test_whoever_goes_on_with_a_waiting_member_does_not_train_it_again() -> None:
    """A turn that begins with a waiting member begins with its decision."""
    tape, pbt = _run(mode="lockstep")
    waiting = Member(id=0, step=1, score=0.1, scores=(0.1,), hypers={"lr": 8.0}, waiting=True)

    [me] = worker(waiting, tape.trainer, tape.population, pbt)

    assert _names(tape)[0] == "population.seen_by"
    assert me.step == 1


def test_a_diverged_donor_is_no_donor() -> None:
    """Even a rule of the user's own cannot make anybody copy a member without a score."""
    tape, pbt = _run()
    tape.exploit.return_value = Member(id=1, n=7, step=7, hypers={"lr": 2.0})
    tape.population.seen_by.return_value = _peers(tape.exploit.return_value)

    [me] = worker(Member(id=0, hypers={"lr": 8.0}), tape.trainer, tape.population, pbt)

    assert me.parent is None


def test_whoever_failed_too_often_is_not_rescued() -> None:
    """After `rescues` failures a member stays where it is."""
    tape, pbt = _run(rescues=1)
    beaten = Member(id=0, hypers={"lr": 8.0}, failures=2)

    [me] = worker(beaten, tape.trainer, tape.population, pbt)

    assert me.parent is None


def test_scores_since_a_copy_are_the_members_own() -> None:
    """The window of the t-test begins anew with a copy, and holds ten scores at most."""
    me = Member(id=0)
    for score in range(12):
        me = me.trained((float(score),))
    assert me.scores == tuple(map(float, range(2, 12)))

    copy = me.copied(Member(id=1, score=50.0), {}).rescored((49.0,))

    assert copy.scores == (49.0,)
    assert copy.trained((48.0,)).scores == (49.0, 48.0)


def test_a_sample_is_a_score_and_its_own_window() -> None:
    """Several numbers from one evaluation replace those of the evaluation before."""
    me = Member(id=0).trained((1.0, 2.0)).trained((3.0, 5.0))

    assert me.score == 4.0
    assert me.scores == (3.0, 5.0)


def test_a_start_depends_on_seed_and_id_alone() -> None:
    """PBT and its baseline begin in pairs, whatever their size."""
    pbt = walk()

    assert start(3, pbt) == start(3, replace(pbt, members=50, ready=Every(9), exploit=keep))  # type: ignore[arg-type]
    assert start(3, pbt) != start(3, replace(pbt, seed=1))
    assert start(3, pbt).hypers != start(2, pbt).hypers


def test_no_two_places_of_a_run_share_random_numbers() -> None:
    """Not even where one place's key is the beginning of another's."""
    places: list[tuple[str, tuple[int, ...]]] = [
        ("start", (3,)),
        ("decision", (3, 0)),
        ("decision", (3, 1)),
        ("trainer", (3,)),
        ("reseed", (3, 1)),
    ]

    drawn = {random_numbers(7, purpose, *place).random() for purpose, place in places}
    seeds = {random_seed(7, purpose, *place) for purpose, place in places}

    assert len(drawn) == len(seeds) == len(places)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("members", 0, "members must be a whole number of at least 1, got 0"),
        ("steps", 0, "steps must be"),
        ("seed", -1, "seed must be"),
        ("members", 2.5, "whole number"),
        ("mode", "sync", "asynchronous or lockstep"),
        ("inherit", ("optimizer",), "'weights' and 'hypers'"),
        ("start", ({"rata": 1.0},), "Did you mean 'rate'"),
        ("start", ({"rate": 1.0},) * 6, "6 starts are given for 5 members"),
        ("start", ({"rate": -1.0},), "not in the domain"),
    ],
)
def test_a_setting_of_no_use_is_refused(setting: str, value: object, words: str) -> None:
    """With its value, and with what would be right."""
    with pytest.raises(ValueError, match=words):
        replace(walk(), **{setting: value})  # type: ignore[arg-type]


def test_the_engine_needs_no_torch() -> None:
    """`core` runs where only numpy, scipy and rich are."""
    import subprocess
    import sys

    code = "import sys, core.__main__; print([m for m in ('torch', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_explored_hypers_obey_the_constraint() -> None:
    """Exploring is repeated until the values go together; if they never do, the inherited stay."""
    space = Space({"a": LogUniform(1, 10), "b": Fixed(1.0)}, constraint=_a_is_small)
    rng = random_numbers(0, "decision", 0)

    assert space.explored({"a": 4.0, "b": 1.0}, lambda *_: {"a": 6.0, "b": 1.0}, rng)["a"] == 4.0
    values = iter([9.0, 7.0, 3.0])
    found = space.explored({"a": 4.0, "b": 1.0}, lambda *_: {"a": next(values), "b": 1.0}, rng)
    assert found["a"] == 3.0


def _a_is_small(hypers: Any) -> bool:
    return bool(hypers["a"] < 5)


def test_truncation_is_the_rule_of_the_paper() -> None:
    """A preset reads as the paper does."""
    assert repr(Truncation(0.2)) == "Truncation(fraction=0.2)"
