"""Agent steps per second of a member, in turns against Stable-Baselines3's A2C and a plain loop.

`python -m benchmarks.bench_rl [cart_pole|ms_pacman]`: same game, same number of environments, same
layers, five steps between two updates; processor time of this process, whose threads are one. The
plain loop is written the way of single-file implementations: gymnasium's vector environment, one
forward pass to act, another to learn, torch's own RMSProp. Without Stable-Baselines3 (extra
`bench`) only the loop is measured.

Then a member on each core at once, each a process with one thread, against one alone: steps per
second of the clock on the wall, of all together.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.provenance import say, spread
from tasks.rl.agents.a2c import A2C
from tasks.rl.environments.atari import Atari
from tasks.rl.environments.batch import Batch
from tasks.rl.problems import CART_POLE, MS_PACMAN
from tasks.rl.trainer import ActorCritic, Problem

UNROLL, TURNS = 5, 3
PATIENCE = 600.0  # seconds for one that may have died
HYPERS = {"learning_rate": 7e-4, "entropy_cost": 0.01, "unroll": UNROLL}
HERE = replace(MS_PACMAN, environment=partial(Atari, "ms_pacman", 8))  # not in another process
# Steps of a turn of the others, and of a member's: it begins Atari's episodes anew each time, which
# takes ale-py 1.5 s for eight games, and a step of the paper's (2.5e6) would not feel it.
GAMES = {
    "cart_pole": (CART_POLE, "CartPole-v1", 4000, 4000),
    "ms_pacman": (HERE, "ALE/MsPacman-v5", 4000, 12_000),
}


def by_member(problem: Problem, id: str, steps: int) -> Callable[[], float]:
    """Return what measures ours: steps per second of `ActorCritic.step`."""
    trainer = ActorCritic(replace(problem, steps=steps), 0, "cpu")
    return lambda: _speed(steps, lambda: trainer.step(HYPERS))


def by_loop(problem: Problem, id: str, steps: int) -> Callable[[], float]:
    """Return what measures the plain loop."""
    games, count, network = _vector(id), problem.environment().count, _network(problem)
    optimizer = torch.optim.RMSprop(network.parameters(), 7e-4, 0.99, 1e-5)
    seen = torch.as_tensor(games.reset(seed=0)[0])

    def learn() -> None:
        nonlocal seen
        for _ in range(steps // count // UNROLL):
            rows: list[tuple[torch.Tensor, ...]] = []
            for _ in range(UNROLL):
                with torch.no_grad():
                    logits, _ = network(seen)
                policy: Any = torch.distributions.Categorical(logits=logits)
                actions = policy.sample()
                after, rewards, over, cut, _ = games.step(actions.numpy())
                ends = torch.as_tensor(np.logical_or(over, cut))
                rows.append((seen, actions, torch.as_tensor(rewards).float(), ends))
                seen = torch.as_tensor(after)
            with torch.no_grad():
                ahead = network(seen)[1]
            goals = []
            for _, _, rewards, ends in reversed(rows):
                ahead = rewards + 0.99 * ahead * ~ends
                goals.append(ahead)
            goal = torch.stack(goals[::-1]).flatten()
            logits, values = network(torch.cat([row[0] for row in rows]))
            policy = torch.distributions.Categorical(logits=logits)
            gap = goal - values
            chances = policy.log_prob(torch.cat([row[1] for row in rows]))
            loss = -(chances * gap.detach()).mean() + 0.5 * (gap**2).mean()
            loss = loss - 0.01 * policy.entropy().mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimizer.step()

    return lambda: _speed(steps, learn)


def by_baselines(problem: Problem, id: str, steps: int) -> Callable[[], float] | None:
    """Return what measures Stable-Baselines3's A2C; None if it is not installed."""
    try:
        from stable_baselines3 import A2C as THEIRS
        from stable_baselines3.common.env_util import make_atari_env, make_vec_env
        from stable_baselines3.common.vec_env import VecFrameStack
    except ImportError:
        return None
    count = problem.environment().count
    if id.startswith("ALE"):
        import ale_py  # noqa: F401  # registers the games

        games: Any = VecFrameStack(make_atari_env(id, n_envs=count, seed=0), 4)
        model = THEIRS("CnnPolicy", games, n_steps=UNROLL, device="cpu")
    else:
        model = THEIRS("MlpPolicy", make_vec_env(id, count, seed=0), n_steps=UNROLL, device="cpu")
    return lambda: _speed(steps, lambda: model.learn(steps))


def _network(problem: Problem) -> nn.Module:
    agent: Any = problem.agent(problem.environment().spec)
    assert isinstance(agent, A2C)

    layers = (agent.torso, agent.actor, agent.critic)

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.torso, self.actor, self.critic = layers

        def forward(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = self.torso(seen)
            return self.actor(x), self.critic(x).squeeze(-1)

    return Plain()


def _vector(id: str) -> Any:
    import gymnasium

    if id.startswith("ALE"):
        import ale_py  # noqa: F401  # registers the games

        return gymnasium.make_vec(id, num_envs=8, num_threads=1)
    return gymnasium.make_vec(id, num_envs=8, vectorization_mode="sync")


def _speed(steps: int, learn: Callable[[], object]) -> float:
    began = time.process_time()
    learn()
    return steps / (time.process_time() - began)


def of_all(game: str, members: int) -> float:
    """Return steps per second, on the wall, of so many members at once."""
    context = multiprocessing.get_context("spawn")
    ready, spent = context.Barrier(members), context.Queue()
    for _ in range(members):
        context.Process(target=_apart, args=(game, ready, spent), daemon=True).start()
    longest: float = max(spent.get(timeout=PATIENCE) for _ in range(members))
    return members * GAMES[game][2] / longest


def _apart(game: str, ready: Any, spent: Any) -> None:
    """Measure in a process of its own, from when all are ready: a short turn, resets and all."""
    torch.set_num_threads(1)
    problem, _, steps, _ = GAMES[game]
    trainer = ActorCritic(replace(problem, steps=steps), 0, "cpu")
    trainer.step(HYPERS)  # what is slow only once
    ready.wait(PATIENCE)
    began = time.perf_counter()
    trainer.step(HYPERS)
    spent.put(time.perf_counter() - began)


def environment_share(problem: Problem, steps: int) -> float:
    """Return the share of a member's processor time that its games take."""
    trainer = ActorCritic(replace(problem, steps=steps), 0, "cpu")
    games: Batch = trainer.games
    step, spent = games.step, 0.0

    def timed(actions: Any) -> Any:
        nonlocal spent
        began = time.process_time()
        answer = step(actions)
        spent += time.process_time() - began
        return answer

    games.step = timed  # type: ignore[method-assign]
    began = time.process_time()
    trainer.step(HYPERS)
    return spent / (time.process_time() - began)


def main() -> None:
    """Print the speeds, in turns, and how many times the others' ours is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("game", choices=sorted(GAMES), nargs="?", default="cart_pole")
    problem, id, steps, longer = GAMES[game := parser.parse_args().game]
    torch.set_num_threads(1)
    makers = {"member": by_member, "loop": by_loop, "stable_baselines3": by_baselines}
    measures = {
        name: make(problem, id, longer if name == "member" else steps)
        for name, make in makers.items()
    }
    ways = {name: measure for name, measure in measures.items() if measure is not None}
    for measure in ways.values():
        measure()  # what is slow only once
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS):
        for name in list(ways) if turn % 2 else list(ways)[::-1]:
            speeds[name].append(ways[name]())
    ratios = {
        name: spread([a / b for a, b in zip(speeds["member"], speeds[name], strict=True)])
        for name in ways
        if name != "member"
    }
    cores = len(os.sched_getaffinity(0))
    together = [of_all(game, cores) / of_all(game, 1) for _ in range(TURNS)]
    say(
        {
            "benchmark": f"{game}: agent steps per second of processor time",
            "steps_per_second": {name: spread(values) for name, values in speeds.items()},
            "ratio_of_ours_to": ratios,
            "share_of_the_environment": round(environment_share(problem, longer), 3),
            f"ratio_of_{cores}_members_at_once_to_one": spread(together),
            "unroll": UNROLL,
            "environments": problem.environment().count,
        }
    )


if __name__ == "__main__":
    main()
