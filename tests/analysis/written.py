"""Run directories written at once, without training: large ones, odd ones, hostile ones."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.directory.history import SEGMENT
from core.directory.record import Record, Weights, encode
from core.directory.sealed import FORMAT, seal
from core.member import Hypers, Member

Draw = Callable[[np.random.Generator], Hypers]


def _rate(rng: np.random.Generator) -> Hypers:
    return {"rate": float(rng.uniform(0.1, 1.0))}


def write_run(
    root: Path,
    members: int = 6,
    steps: int = 12,
    *,
    seed: int = 0,
    every: int = 4,
    draw: Draw = _rate,
    preset: str = "tests.trainers:walk",
    settings: Mapping[str, object] | None = None,
    stop: int | None = None,
) -> Path:
    """Write a run in which the worst fifth copies from the best, each `every` steps.

    Args:
        draw: the hypers of a member at the start, and after each copy.
        settings: what differs from a small task's.
        stop: the step at which it is left unfinished.
    """
    rng = np.random.default_rng(seed)
    names = list(draw(np.random.default_rng(0)))
    whole: dict[str, object] = {
        "task": {
            "space": {"priors": {n: {"is": "core:Uniform", "domain": [0, 1]} for n in names}},
            "score": "score",
        },
        "members": members,
        "steps": steps,
        "ready": {"is": "core:Every", "steps": every},
        "inherit": ["weights", "hypers"],
        "seed": seed,
        "mode": "lockstep",
    }
    epoch = {
        "preset": preset,
        "overrides": {},
        "settings": whole | dict(settings or {}),
        "code": "0123456789ab",
        "versions": {"python": "3.11"},
        "host": "host",
        "machine": "machine",
        "began": "2026-01-01T00:00:00+0000",
    }
    (root / "workers").mkdir(parents=True)
    (root / "run.json").write_bytes(
        seal({"format": FORMAT, "id": f"run-{seed}", "epochs": [epoch]})
    )
    now = [Member(id=id, hypers=draw(rng)) for id in range(members)]
    lines = [[_line(me)] for me in now]
    for step in range(1, (steps if stop is None else stop) + 1):
        for id, me in enumerate(now):
            gain = float(rng.normal(0.1)) + (me.score if me.step else 0.0)
            now[id] = replace(me.trained((gain,)), n=me.n + 1)
            lines[id].append(_line(now[id]))
        if step % every:
            continue
        ranked = sorted(range(members), key=lambda id: -now[id].score)
        part = max(members // 5, 1)
        for id in ranked[-part:]:
            donor = now[ranked[int(rng.integers(part))]]
            copy = now[id].decided({donor.id: donor.n}).copied(donor, draw(rng))
            now[id] = replace(copy.rescored((donor.score,)), n=now[id].n + 1)
            lines[id].append(_line(now[id]))
    for id, records in enumerate(lines):
        folder = root / "members" / f"{id:03d}" / "history"
        folder.mkdir(parents=True)
        for first in range(0, len(records), SEGMENT):
            segment = b"".join(records[first : first + SEGMENT])
            (folder / f"{first:08d}.jsonl").write_bytes(segment)
    return root


def _line(me: Member) -> bytes:
    weights = Weights(name=str(me.n), bytes=8, sha256="0" * 64) if me.step else None
    seconds = {"step": 0.01, "eval": 0.002, "publish": 0.001, "fsync": 0.0005} if me.step else {}
    time = 1.7e9 + me.step
    return encode(Record(member=me, weights=weights, seconds=seconds, time=time, worker="w"))


def warn(root: Path, *sentences: str, worker: str = "worker-1") -> None:
    """Let a worker have warned of something."""
    lines = [json.dumps({"time": i, "warning": said}) for i, said in enumerate(sentences)]
    (root / "workers" / f"{worker}.jsonl").write_text("\n".join(lines) + "\n")
