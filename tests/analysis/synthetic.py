"""Run directories of any size, written in seconds: no training, but core's own records."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.directory.history import SEGMENT
from core.directory.record import TURN, Record, Weights, encode
from core.directory.run import open_run
from core.member import Hypers, Member
from core.settings import PBT
from core.space import Choice, LogUniform, Space, Uniform
from core.strategies.exploit import Truncation
from core.strategies.ready import Every, never
from core.task import Task
from tests.trainers import Walk, walk

OPTIONS = ("adam", "rmsprop", "sgd")
SPACE = Space({"rate": LogUniform(1e-4, 1.0), "noise": Uniform(0, 1), "optimiser": Choice(OPTIONS)})


def wide() -> PBT:
    """A run with a hyperparameter of each kind; never trained, only written."""
    return PBT(
        task=Task(Walk, SPACE, "score (points)"),
        members=8,
        steps=20,
        ready=Every(1),
        exploit=Truncation(0.2),
        mode="lockstep",
    )


def wide_random_search() -> PBT:
    """Its baseline."""
    return replace(wide(), ready=never)


def hypers_only() -> PBT:
    """A run, to be trained, in which a copy takes no weights."""
    return replace(walk(), inherit=("hypers",))


def write_run(
    root: Path,
    *,
    members: int = 8,
    steps: int = 20,
    preset: str = "wide",
    seed: int = 0,
    until: Mapping[int, int] | None = None,
    diverged: Mapping[int, int] | None = None,
    seen: int | None = None,
) -> Path:
    """Write a lockstep run in which the worst fifth copies the best fifth after each step.

    Args:
        until: by member, the step that it has come to in a run still running; -1: nothing yet.
        diverged: by member, the step from which its scores are NaN, until it copies somebody.
        seen: how many records each decision saw; all of them if not said.
    """
    open_run(
        root,
        f"tests.analysis.synthetic:{preset}",
        {"members": members, "steps": steps, "seed": seed},
    )
    rng = np.random.default_rng(seed)
    ready = preset == "wide"
    until, diverged = until or {}, dict(diverged or {})
    now = [Member(id=id, hypers=SPACE.sample(rng)) for id in range(members)]
    found = [[_record(me, rng)] if until.get(id, steps) >= 0 else [] for id, me in enumerate(now)]
    for step in range(1, steps + 1):
        there = [me for me in now if until.get(me.id, steps) >= step]
        for me in there:
            raised = me.score if math.isfinite(me.score) else 0.0
            score = raised + 0.1 * rng.normal(1.0) * _worth(me.hypers, step / steps)
            if step >= diverged.get(me.id, steps + 1):
                score = math.nan
            me = replace(me.trained((score,)), n=me.n + 1, waiting=ready)
            now[me.id] = me
            found[me.id].append(_record(me, rng))
        if not ready or not there:
            continue
        ranked = sorted((now[me.id] for me in there), key=lambda me: (-me.fitness, me.id))
        tail = max(1, len(ranked) // 5)
        numbers = {me.id: me.n for me in ranked[:seen]}
        for place, me in enumerate(ranked):
            after = replace(me.decided(numbers), n=me.n + 1)
            donor = ranked[int(rng.integers(tail))]
            if len(ranked) - place <= tail and donor.healthy and donor.id != me.id:
                after = after.copied(donor, _explored(donor.hypers, rng)).rescored((donor.score,))
                diverged.pop(me.id, None)
            now[me.id] = after
            found[me.id].append(_record(after, rng))
    for id, records in enumerate(found):
        write_history(root, id, records)
    return root


def write_history(root: Path, id: int, records: list[Record]) -> None:
    """Write the records of a member as its history."""
    folder = root / "members" / f"{id:03d}" / "history"
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(records), SEGMENT):
        lines = b"".join(map(encode, records[first : first + SEGMENT]))
        (folder / f"{first:08d}.jsonl").write_bytes(lines)


def _record(me: Member, rng: np.random.Generator) -> Record:
    if me.step == 0:
        return Record(member=me)
    return Record(
        member=me,
        report={"held out": me.score - 0.05 if math.isfinite(me.score) else 0.0},
        weights=Weights(name=f"{me.n:08d}-00000001", bytes=1000, sha256="0" * 64),
        seconds={phase: float(spent) for phase, spent in zip(TURN, rng.random(9), strict=True)},
        bytes=1000,
        worker="vm-1-0000",
        host="vm",
        time=1.7e9 + 10 * me.step + me.id / 1000,
    )


def _worth(hypers: Hypers, done: float) -> float:
    """Return how well hypers do: the best rate falls from 0.3 to 0.003 in the course of the run."""
    distance = math.log10(float(hypers["rate"])) + 0.5 + 2 * done
    return math.exp(-(distance**2)) * (0.8 if hypers["optimiser"] == "sgd" else 1.0)


def _explored(hypers: Hypers, rng: np.random.Generator) -> Hypers:
    option = OPTIONS[int(rng.integers(3))] if rng.random() < 0.1 else hypers["optimiser"]
    factor, other = rng.choice((0.8, 1.25), size=2)
    return {
        "rate": float(hypers["rate"]) * float(factor),
        "noise": min(float(hypers["noise"]) * float(other), 1.0),
        "optimiser": option,
    }
