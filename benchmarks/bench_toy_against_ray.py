"""Turns per second on the toy, 8 members on 2 workers, in turns with Ray Tune's PBT.

`python -m benchmarks.bench_toy_against_ray` (extra `bench`). A turn is one step, one evaluation,
one decision, and one checkpoint that others can copy. Both train the same quadratic, and both have
more members than workers, so that members take turns. The rate is that between the first turn and
the last one, without any start-up; the wall time of the whole command stands beside it. Ray runs as
fast as it honestly can: actors reused, no loggers, no fsync (it has none); both its APIs are shown.
"""

import importlib.metadata
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks import presets
from benchmarks.provenance import say, spread
from core.directory.members import Members
from core.directory.run import open_run
from core.memory import crowd
from core.workers.pool import Pool

MEMBERS, WORKERS = 8, 2
ROUNDS = 3
OUR_STEPS, RAY_STEPS, MEMORY_STEPS = 400, 24, 2000


def ours(*options: str) -> tuple[float, float]:
    """Return turns per second and wall seconds of a run of ours."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("PBT_BENCH_DIR")) as folder:
        overrides = {"members": MEMBERS, "steps": OUR_STEPS}
        run = open_run(Path(folder) / "run", "benchmarks.presets:toy", overrides)
        began = time.perf_counter()
        with Pool(run.root, WORKERS, options=options) as pool:
            pool.wait(lambda: None, 1.0)
            assert pool.complaints() == [], pool.complaints()
        wall = time.perf_counter() - began
        population = Members(run.root)
        times = sorted(
            record.time
            for id in range(MEMBERS)
            for record in population.history(id)
            if record.member.step > 0
        )
        return (len(times) - 1) / (times[-1] - times[0]), wall


def in_memory() -> tuple[float, float]:
    """Return turns per second and wall seconds of a run in memory, its records encoded."""
    pbt = replace(presets.toy(), members=MEMBERS, steps=MEMORY_STEPS)
    began = time.perf_counter()
    with crowd(pbt) as population:
        ready = time.perf_counter()
        population.train()
        ended = time.perf_counter()
    turns = sum(slot.member.n for slot in population.slots)
    return turns / (ended - ready), time.perf_counter() - began


def rays(kind: Literal["class", "function"]) -> tuple[float, float]:
    """Return turns per second and wall seconds of the same problem in Ray Tune, in either API."""
    import ray
    from ray import tune
    from ray.tune.schedulers import PopulationBasedTraining

    stamps, storage = Path(tempfile.mkdtemp()), tempfile.mkdtemp()

    def stamp() -> None:
        with (stamps / str(os.getpid())).open("a") as log:
            log.write(f"{time.time()}\n")

    def save(theta: np.ndarray, folder: str) -> None:
        Path(folder, "theta.json").write_text(json.dumps(theta.tolist()))

    def load(folder: str) -> np.ndarray:
        return np.array(json.loads(Path(folder, "theta.json").read_text()))

    class Quadratic(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, float]) -> None:
            self.theta = np.array([0.9, 0.9])
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, float]) -> bool:
            self.h = np.array([new_config["h0"], new_config["h1"]])
            return True

        def step(self) -> dict[str, float]:
            self.theta = self.theta - 0.05 * 2 * self.h * self.theta
            stamp()
            return {"score": 1.2 - float(self.theta @ self.theta)}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            save(self.theta, checkpoint_dir)

        def load_checkpoint(self, checkpoint_dir: str) -> None:
            self.theta = load(checkpoint_dir)

    def quadratic(config: dict[str, float]) -> None:
        theta = np.array([0.9, 0.9])
        if checkpoint := tune.get_checkpoint():
            with checkpoint.as_directory() as folder:
                theta = load(folder)
        h = np.array([config["h0"], config["h1"]])
        while True:
            theta = theta - 0.05 * 2 * h * theta
            stamp()
            with tempfile.TemporaryDirectory() as folder:
                save(theta, folder)
                score = 1.2 - float(theta @ theta)
                tune.report({"score": score}, checkpoint=tune.Checkpoint.from_directory(folder))

    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=1,
        quantile_fraction=0.2,
        hyperparam_mutations={"h0": tune.uniform(0, 1), "h1": tune.uniform(0, 1)},
    )
    began = time.perf_counter()
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    results = tune.Tuner(
        Quadratic if kind == "class" else quadratic,
        param_space={"h0": tune.uniform(0, 1), "h1": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(
            metric="score", mode="max", scheduler=scheduler, num_samples=MEMBERS, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            stop={"training_iteration": RAY_STEPS}, storage_path=storage, verbose=0, callbacks=[]
        ),
    ).fit()
    wall = time.perf_counter() - began
    ray.shutdown()
    assert results.num_errors == 0
    lines = [line for path in stamps.iterdir() for line in path.read_text().splitlines()]
    times = sorted(map(float, lines))
    return (len(times) - 1) / (times[-1] - times[0]), wall


def main() -> None:
    """Measure in turns, and print the rates, the ratios and where they come from."""
    os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0"}
    ways: dict[str, Callable[[], tuple[float, float]]] = {
        "ours in memory": in_memory,
        "ours with fsync": lambda: ours(),
        "ours without": lambda: ours("--no-fsync"),
        "ray, function API": lambda: rays("function"),
        "ray, class API": lambda: rays("class"),
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            measured[name].append(way())
    rates = {name: [rate for rate, _ in found] for name, found in measured.items()}
    ratios = {
        f"{mine} over {theirs}": spread(
            [a / b for a, b in zip(rates[mine], rates[theirs], strict=True)]
        )
        for mine in list(ways)[:3]
        for theirs in list(ways)[3:]
    }
    say(
        {
            "benchmark": "toy, 8 members on 2 workers, turns per second",
            "turns_per_second": {name: spread(found) for name, found in rates.items()},
            "wall_seconds": {name: spread([w for _, w in f]) for name, f in measured.items()},
            "turns": {
                "ours": MEMBERS * OUR_STEPS,
                "in memory": MEMBERS * MEMORY_STEPS,
                "ray": MEMBERS * RAY_STEPS,
            },
            "ratios": ratios,
            "ray": importlib.metadata.version("ray"),
        }
    )


if __name__ == "__main__":
    main()
