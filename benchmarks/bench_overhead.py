"""Wall time of PBT over random search at equal steps on the digits, in pairs, two workers.

`python -m benchmarks.bench_overhead`: PBT evaluates once more after each copy; that time is what
the task asks for, not what the engine costs, and is stated beside the ratio.
"""

import os
import tempfile
import time
from pathlib import Path

from benchmarks.provenance import say, spread
from core.directory.members import Members
from core.directory.run import open_run
from core.workers.pool import Pool

STEPS, WORKERS, PAIRS = 10, 2, 5


def measure(preset: str, seed: int, mode: str) -> dict[str, float]:
    """Return wall seconds from first to last record, and seconds of evaluations after copies."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("PBT_BENCH_DIR")) as folder:
        overrides = {"seed": seed, "steps": STEPS, "mode": mode}
        run = open_run(Path(folder) / "run", f"tasks.gan.presets:{preset}", overrides)
        began = time.perf_counter()
        with Pool(run.root, WORKERS) as pool:
            pool.wait(lambda: None, 1.0)
            assert pool.complaints() == [], pool.complaints()
        wall = time.perf_counter() - began
        population = Members(run.root)
        records = [r for id in range(run.pbt.members) for r in population.history(id)]
        evals = [r.seconds.get("eval", 0.0) for r in records if r.member.step > 0]
        copies = sum(r.member.parent is not None for r in records)
        single = [
            r.seconds.get("eval", 0.0)
            for r in records
            if r.member.parent is None and "step" in r.seconds
        ]
        again = copies * sum(single) / len(single) / WORKERS
        times = [r.time for r in records if r.member.step > 0]
        return {"wall": wall, "span": max(times) - min(times), "again": again, "eval": sum(evals)}


def main() -> None:
    """Measure pairs in turns, the order within a pair alternating."""
    found: dict[str, dict[str, list[float]]] = {}
    for mode in ("asynchronous", "lockstep"):
        ratios: dict[str, list[float]] = {
            "ratio": [],
            "ratio_without_reevaluation": [],
            "share": [],
        }
        for seed in range(PAIRS):
            names = ["digits", "digits_random_search"][:: 1 if seed % 2 else -1]
            one = {name: measure(name, seed, mode) for name in names}
            pbt, baseline = one["digits"], one["digits_random_search"]
            ratios["ratio"].append(pbt["wall"] / baseline["wall"])
            ratios["ratio_without_reevaluation"].append(
                (pbt["wall"] - pbt["again"]) / baseline["wall"]
            )
            ratios["share"].append(pbt["again"] / baseline["wall"])
        found[mode] = ratios
    say(
        {
            "benchmark": "digits, wall time of PBT over random search, equal steps, 2 workers",
            "steps": STEPS,
            "modes": {
                mode: {name: spread(values) for name, values in ratios.items()}
                for mode, ratios in found.items()
            },
        }
    )


if __name__ == "__main__":
    main()
