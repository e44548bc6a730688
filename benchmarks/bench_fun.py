"""What the paper's Atari runs cost: agent steps per second of FuN on Ms Pac-Man, in its own size.

`python -m benchmarks.bench_fun [--device cuda]`: 16 games in a process of their own, unrolls of 100
steps. Two lengths are timed, and what they have in common, the start of the episodes, cancels out:
a step of the paper's runs is 2.5e6 agent steps. Hours are those of all that `table_1` trains, one
member at a time.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from benchmarks.provenance import say, spread
from core import Replay
from tasks.rl import presets, problems
from tasks.rl.trainer import ActorCritic

HYPERS = {"learning_rate": 1e-4, "entropy_cost": 1e-3, "intrinsic_cost": 0.5}
TURNS = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Print steps per second, and hours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--unrolls", type=int, default=4, help="that are timed in a turn")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    problem = problems.atari("ms_pacman")
    trainer = ActorCritic(problem, 0, options.device)
    assert problem.unroll is not None
    unroll = problem.unroll * problems.GAMES

    def seconds(unrolls: int) -> float:
        trainer.problem = replace(problem, steps=unrolls * unroll)
        began = time.perf_counter()
        trainer.step(HYPERS)
        trainer.eval()  # waits for the device
        return time.perf_counter() - began

    seconds(1)  # what is slow only once
    speeds = []
    for _ in range(TURNS):
        less, more = seconds(1), seconds(1 + options.unrolls)
        if more <= less:
            raise SystemExit(f"{more:.2f} s for more than {less:.2f} s were for: a busier machine?")
        speeds.append(options.unrolls * unroll / (more - less))
    speed = spread(speeds)
    study = presets.table_1()
    total = sum(
        arm.members * arm.steps * problems.READY * len(study.seeds)
        for arm in study.arms.values()
        if not isinstance(arm, Replay)
    )
    say(
        {
            "benchmark": "FuN on Ms Pac-Man, 16 games, unrolls of 100: agent steps per second",
            "device": options.device,
            "parameters": trainer.optimizer.weights.numel(),
            "steps_per_second": speed,
            "agent_steps_of_table_1": total,
            "hours_of_table_1": round(total / speed["median"] / 3600),
        }
    )


if __name__ == "__main__":
    main()
