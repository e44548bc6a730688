"""Every way to carry out a run makes the same run: the history of each member, bit for bit.

A backend is a function (pbt, folder) -> histories. To add one, add it to BACKENDS.
"""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import (
    PBT,
    Among,
    Anneal,
    Chain,
    Every,
    Noise,
    Perturb,
    Resample,
    SinceLastReady,
    SymmetricPerturb,
    Truncation,
    TTest,
    binary_tournament,
    keep,
    never,
    run,
)
from core.audits.digest import digest
from core.audits.verify import examine
from core.directory.members import Members
from core.directory.record import Record, decode, encode
from core.directory.run import Run, open_run
from core.member import FRESH, FreshStart, Hypers, Member
from core.peers import Peers
from core.rules import RuleError
from core.space import Space
from core.workers.worker import work
from tasks.toy.presets import figure_2_pbt
from tasks.toy.presets import pbt as toy
from tests import trainers


def restarts(me: Member, population: Peers, rng: np.random.Generator) -> Member | FreshStart:
    """Begin anew if it is the worst of all."""
    return FRESH if me.id == min(population, key=lambda one: (one.fitness, one.id)).id else me


def backtracks(me: Member, population: Peers, rng: np.random.Generator) -> Member:
    """Go back to its own best record, if that is better than it is now."""
    past = [one for one in population.history(me.id) if one.step > me.step - 3]
    best = max(past, key=lambda one: (one.fitness, -one.n), default=me)
    return best if best.fitness > me.fitness else me


def copies_the_past(me: Member, population: Peers, rng: np.random.Generator) -> Member:
    """Copy what the best member was two steps ago."""
    best = max(population, key=lambda one: (one.fitness, one.id))
    past = [one for one in population.history(best.id) if one.step == me.step - 2]
    return me if best.id == me.id or not past else past[0]


def follows(hypers: Hypers, space: Space, rng: np.random.Generator, population: Peers) -> Hypers:
    """Take the mean of what all members have ever trained with: a model of the simplest kind."""
    moments = [one for id in range(population.members) for one in population.history(id)]
    means = {n: np.mean([float(one.hypers[n]) for one in moments]) for n in ("h0", "h1")}
    return {**hypers, **{name: float(mean) for name, mean in means.items()}}


pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # members fail on purpose
Backend = Callable[[PBT, Path], Sequence[Sequence[Record]]]


def memory(pbt: PBT, folder: Path) -> Sequence[Sequence[Record]]:
    """One process, no files."""
    return run(pbt).histories


def worker(pbt: PBT, folder: Path) -> Sequence[Sequence[Record]]:
    """One worker in a run directory."""
    return run(pbt, folder / "one", durable=False).histories


def workers(pbt: PBT, folder: Path) -> Sequence[Sequence[Record]]:
    """Three workers that each leave after some turns, and others that go on."""
    begun = open_run(folder / "three", pbt)
    processes = multiprocessing.get_context("fork")
    for turns in (7, 5, None):
        crew = [
            processes.Process(target=work, args=(begun,), kwargs={"durable": False, "turns": turns})
            for _ in range(3)
        ]
        for one in crew:
            one.start()
        for one in crew:
            one.join()
    population = Members(begun.root)
    return [population.history(id) for id in range(pbt.members)]


BACKENDS: dict[str, Backend] = {"worker": worker, "workers": workers, "memory": memory}
SHORT = replace(toy(), members=6, steps=8, ready=Every(2))
RUNS: dict[str, PBT] = {
    "truncation": SHORT,
    "t-test": replace(SHORT, exploit=TTest(0.2), explore=Chain((Perturb(), Resample(0.5)))),
    "tournament": replace(SHORT, exploit=binary_tournament, explore=SymmetricPerturb()),
    "among": replace(SHORT, exploit=Among(Truncation(0.4), within=1, quorum=3)),
    "since": replace(SHORT, ready=SinceLastReady(2, start=3, settle=2)),
    "weights": replace(SHORT, inherit=("weights",)),
    "hypers": replace(SHORT, inherit=("hypers",)),
    "nothing": replace(SHORT, inherit=(), explore=Noise(0.1)),
    "keep": replace(SHORT, explore=keep),
    "restart": replace(SHORT, exploit=restarts),
    "restart of hypers alone": replace(SHORT, exploit=restarts, inherit=("hypers",)),
    "restart of what draws": replace(trainers.walk(), steps=8, exploit=restarts),
    "older of its own": replace(trainers.walk(), steps=12, exploit=backtracks, keep=4),
    "older of another": replace(SHORT, exploit=copies_the_past, keep=3),
    "model": replace(SHORT, explore=follows),
    "model in a chain": replace(SHORT, explore=Chain((follows, Perturb()))),
    "search": replace(SHORT, ready=never),
    "annealed": replace(SHORT, ready=never, schedule=Anneal(("h0", "h1"), hold=2, fall=4)),
    "replay": replace(SHORT, ready=never, schedule=((0, {"h0": 1.0, "h1": 0.5, "updates": 1}),)),
    "figure 2": figure_2_pbt(),
    "seldom": replace(SHORT, report=Every(3)),
    "random": replace(trainers.walk(), steps=8),
    "diverged": replace(trainers.explodes(), steps=12),
    "raised": replace(trainers.raises(), steps=8),
    "samples": replace(trainers.diary(), steps=8),
}


@pytest.fixture(scope="module", params=RUNS)
def pair(request: pytest.FixtureRequest) -> PBT:
    """A run in lockstep, in which a history is a function of the seed."""
    return replace(RUNS[request.param], mode="lockstep", seed=11)


def test_every_backend_makes_the_same_run(pair: PBT, tmp_path: Path) -> None:
    """Scores, parents, decisions and reports; whatever copies, fails, diverges or follows."""
    found = {name: digest(make(pair, tmp_path)) for name, make in BACKENDS.items()}

    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("mode", ["lockstep", "asynchronous"])
def test_the_decisions_of_a_run_in_memory_can_be_recomputed(mode: str) -> None:
    """Its records say all that `verify` needs, and can be written and read like any."""
    for pbt in RUNS.values():
        pbt = replace(pbt, mode=mode)  # type: ignore[arg-type]
        result = run(pbt)
        histories = {id: list(history) for id, history in enumerate(result.histories)}

        verdict = examine(histories, Run(Path(), "", pbt, {}))

        assert verdict.problems == []
        assert verdict.digest == result.digest
        for record in result.histories[0]:
            assert encode(decode(encode(record))) == encode(record)
            assert record.backend == "memory"


def test_the_runs_of_this_test_do_what_they_are_for(tmp_path: Path) -> None:
    """Members copy, fail, diverge and are rescued: nothing here agrees because nothing happens."""
    causes = {n: Counter(row["cause"] for row in run(p).table()) for n, p in RUNS.items()}
    moves = ("exploit", "rescue", "restart")
    copied = {name: sum(found[cause] for cause in moves) for name, found in causes.items()}
    still = {"search", "annealed", "replay", "among"}

    assert all(copied[name] for name in RUNS if name not in still), copied
    assert any(one.failed for line in run(RUNS["raised"]).histories for one in line)
    assert any(one.cause == "rescue" for one in run(RUNS["diverged"]).history(0)) or any(
        me.cause == "rescue" for id in range(5) for me in run(RUNS["diverged"]).history(id)
    )


def test_an_older_record_whose_weights_are_not_kept_is_refused(tmp_path: Path) -> None:
    """Before anything is trained on other weights; with the setting that keeps them."""
    pbt = replace(trainers.walk(), steps=12, exploit=backtracks)

    with pytest.raises(RuleError, match=r"steps back, .* give the PBT keep=\d or more"):
        run(pbt)
    with pytest.raises(RuleError, match="keep="):
        run(pbt, tmp_path / "run", durable=False)
