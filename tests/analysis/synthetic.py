"""Run directories of any size, written without training: large ones, odd ones, hostile ones."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.directory.history import SEGMENT
from core.directory.record import TURN, Record, Weights, encode
from core.directory.run import open_run
from core.directory.sealed import FORMAT, seal
from core.member import Hypers, Member
from core.settings import PBT
from core.space import Choice, LogUniform, Space, Uniform
from core.strategies.exploit import Truncation
from core.strategies.ready import Every, never
from core.task import Task
from tests.trainers import Walk, walk

Draw = Callable[[np.random.Generator], Hypers]
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
    members: int = 8,
    steps: int = 20,
    *,
    preset: str = "wide",
    seed: int = 0,
    every: int = 1,
    draw: Draw | None = None,
    settings: Mapping[str, object] | None = None,
    until: Mapping[int, int] | None = None,
    diverged: Mapping[int, int] | None = None,
    seen: int | None = None,
) -> Path:
    """Write a lockstep run in which the worst fifth copies the best fifth at each decision.

    Args:
        preset: a function of this file, or "module:function", which need not exist.
        every: the steps between two decisions.
        draw: the hypers of a member at the start and after a copy; None to draw those of `SPACE`,
            and to explore them after a copy.
        settings: of a preset that need not exist, the settings that differ from a small task's.
        until: by member, the last step of a run that still goes on; -1 if it published nothing.
        diverged: by member, the step from which its scores are NaN, until it copies another.
        seen: how many records each decision saw; None for all.
    """
    size = {"members": members, "steps": steps, "seed": seed}
    if ":" in preset:
        ready: dict[str, object] = {"ready": {"is": "core:Every", "steps": every}}
        _write_info(root, preset, draw or SPACE.sample, size | ready | dict(settings or {}))
    else:
        open_run(root, f"tests.analysis.synthetic:{preset}", size)
    rng = np.random.default_rng(seed)
    until, diverged = until or {}, dict(diverged or {})
    now = [Member(id=id, hypers=(draw or SPACE.sample)(rng)) for id in range(members)]
    found = [[_record(me, rng)] if until.get(id, steps) >= 0 else [] for id, me in enumerate(now)]
    for step in range(1, steps + 1):
        there = [me for me in now if until.get(me.id, steps) >= step]
        decides = step % every == 0 and preset != "wide_random_search"
        for me in there:
            score = _risen(me, step / steps, rng)
            if step >= diverged.get(me.id, steps + 1):
                score = math.nan
            me = replace(me.trained((score,)), n=me.n + 1, waiting=decides)
            now[me.id] = me
            found[me.id].append(_record(me, rng))
        if decides and there:
            for me in _decided([now[me.id] for me in there], rng, draw, seen):
                if me.parent is not None:
                    diverged.pop(me.id, None)
                now[me.id] = me
                found[me.id].append(_record(me, rng))
    for id, records in enumerate(found):
        write_history(root, id, records)
    return root


def _write_info(root: Path, preset: str, draw: Draw, settings: Mapping[str, object]) -> None:
    """Write the run.json of a preset that need not exist."""
    names = list(draw(np.random.default_rng(0)))
    priors = {name: {"is": "core:Uniform", "domain": [0, 1]} for name in names}
    whole = {
        "task": {"space": {"priors": priors}, "score": "score"},
        "inherit": ["weights", "hypers"],
        "mode": "lockstep",
    }
    epoch = {
        "preset": preset,
        "overrides": {},
        "settings": whole | dict(settings),
        "code": "0123456789ab",
        "versions": {"python": "3.11"},
        "host": "host",
        "machine": "machine",
        "began": "2026-01-01T00:00:00+0000",
    }
    root.mkdir(parents=True)
    info = {"format": FORMAT, "id": f"run-{settings['seed']}", "epochs": [epoch]}
    (root / "run.json").write_bytes(seal(info))


def _decided(
    there: Sequence[Member], rng: np.random.Generator, draw: Draw | None, seen: int | None
) -> Iterator[Member]:
    """Yield each member after its decision, the best ones first."""
    ranked = sorted(there, key=lambda me: (-me.fitness, me.id))
    tail = max(1, len(ranked) // 5)
    numbers = {me.id: me.n for me in ranked[:seen]}
    for place, me in enumerate(ranked):
        after = replace(me.decided(numbers), n=me.n + 1)
        donor = ranked[int(rng.integers(tail))]
        if len(ranked) - place <= tail and donor.healthy and donor.id != me.id:
            hypers = draw(rng) if draw else _explored(donor.hypers, rng)
            after = after.copied(donor, hypers).rescored((donor.score,))
        yield after


def warn(root: Path, *sentences: str, worker: str = "worker-1") -> None:
    """Write the log of a worker that warned of something."""
    (root / "workers").mkdir(exist_ok=True)
    lines = [json.dumps({"time": i, "warning": said}) for i, said in enumerate(sentences)]
    (root / "workers" / f"{worker}.jsonl").write_text("\n".join(lines) + "\n")


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


def _risen(me: Member, done: float, rng: np.random.Generator) -> float:
    """Return the score after one more step."""
    before = me.score if math.isfinite(me.score) else 0.0
    return before + 0.1 * rng.normal(1.0) * _worth(me.hypers, done)


def _worth(hypers: Hypers, done: float) -> float:
    """Return how well hypers do: the best rate falls from 0.3 to 0.003 in the course of the run."""
    if set(hypers) != set(SPACE.priors):
        return 1.0
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
