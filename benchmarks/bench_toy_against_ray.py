"""Turns per second on the toy, 8 members on 2 workers, in turns with Ray Tune's PBT.

`python -m benchmarks.bench_toy_against_ray` (extra `bench`). A turn is one step, one evaluation,
one decision, and one checkpoint that others can copy. Both train the same quadratic, and both have
more members than workers, so that members take turns. The rate is that between the first turn and
the last one, without any start-up; the wall time of the whole command stands beside it. Ray runs as
fast as it honestly can: a class trainable, actors reused, no loggers, no fsync (it has none).
"""

import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.provenance import say, spread
from core.pool import Pool
from core.population import Population
from core.run import open_run

MEMBERS, WORKERS = 8, 2
ROUNDS = 3
OUR_STEPS, RAY_STEPS = 400, 24


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
        population = Population(run.root)
        times = sorted(
            record.time
            for id in range(MEMBERS)
            for record in population.history(id)
            if record.member.step > 0
        )
        return (len(times) - 1) / (times[-1] - times[0]), wall


def rays() -> tuple[float, float]:
    """Return turns per second and wall seconds of the same problem in Ray Tune."""
    import ray
    from ray import tune
    from ray.tune.schedulers import PopulationBasedTraining

    stamps = Path(tempfile.mkdtemp())

    class Quadratic(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, float]) -> None:
            self.theta = np.array([0.9, 0.9])
            self.h = np.array([config["h0"], config["h1"]])
            self.log = (stamps / f"{os.getpid()}-{id(self)}").open("a", buffering=1)

        def step(self) -> dict[str, float]:
            self.theta = self.theta - 0.05 * 2 * self.h * self.theta
            self.log.write(f"{time.time()}\n")
            return {"score": 1.2 - float(self.theta @ self.theta)}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            Path(checkpoint_dir, "theta.json").write_text(json.dumps(self.theta.tolist()))

        def load_checkpoint(self, checkpoint_dir: str) -> None:
            self.theta = np.array(json.loads(Path(checkpoint_dir, "theta.json").read_text()))

        def reset_config(self, new_config: dict[str, float]) -> bool:
            self.h = np.array([new_config["h0"], new_config["h1"]])
            return True

    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=1,
        quantile_fraction=0.2,
        hyperparam_mutations={"h0": tune.uniform(0, 1), "h1": tune.uniform(0, 1)},
    )
    began = time.perf_counter()
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    tuner = tune.Tuner(
        Quadratic,
        param_space={"h0": tune.uniform(0, 1), "h1": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(
            metric="score", mode="max", scheduler=scheduler, num_samples=MEMBERS, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            stop={"training_iteration": RAY_STEPS},
            storage_path=tempfile.mkdtemp(),
            verbose=0,
            callbacks=[],
        ),
    )
    tuner.fit()
    wall = time.perf_counter() - began
    ray.shutdown()
    lines = [line for path in stamps.iterdir() for line in path.read_text().splitlines()]
    times = sorted(map(float, lines))
    return (len(times) - 1) / (times[-1] - times[0]), wall


def main() -> None:
    """Measure in turns, and print the rates, the ratios and where they come from."""
    os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0"}
    measured: dict[str, list[tuple[float, float]]] = {"fsync": [], "no_fsync": [], "ray": []}
    for _ in range(ROUNDS):
        measured["fsync"].append(ours())
        measured["no_fsync"].append(ours("--no-fsync"))
        measured["ray"].append(rays())
    rates = {name: [rate for rate, _ in found] for name, found in measured.items()}
    say(
        {
            "benchmark": "toy, 8 members on 2 workers, turns per second",
            "turns_per_second": {name: spread(found) for name, found in rates.items()},
            "wall_seconds": {name: spread([w for _, w in f]) for name, f in measured.items()},
            "turns": {"ours": MEMBERS * OUR_STEPS, "ray": MEMBERS * RAY_STEPS},
            "times_ray": {
                name: spread([a / b for a, b in zip(rates[name], rates["ray"], strict=True)])
                for name in ("fsync", "no_fsync")
            },
        }
    )


if __name__ == "__main__":
    main()
