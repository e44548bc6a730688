"""Any agent in any batch of environments, as a trainer: act for an unroll, learn from it, go on."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core import Hypers
from core.task import Report
from tasks.rl.agents.a2c import A2C
from tasks.rl.agents.fun import FuN
from tasks.rl.agents.rmsprop import EPSILON, RMSProp
from tasks.rl.agents.rollout import Agent, Rollout
from tasks.rl.agents.unreal import UNREAL
from tasks.rl.environments.batch import Batch, Spec, Step
from tasks.rl.scene import Scene, first_scene, joined, scene_of
from tasks.torch_state import load_state, restore_generator, save_state

EPISODES = 10  # whose returns are the score
JUDGED = 1711_09846  # the seed of the episodes that are reported


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What differs between the paper's experiments and their small forms.

    environment: makes the batch. agent: its spec -> the network; draws from torch's global
        generator. steps: agent steps of all environments together in one step of the trainer.
    unroll: steps of each environment between two updates; None if it is a hyperparameter.
    clip: the largest size of a reward as the learner sees it; inf for rewards as they are.
    limit: the largest norm of a gradient. epsilon: RMSProp's.
    judged: episodes whose returns `report` tells, rounded up to as many of each environment; 0 for
        none.

    Raises:
        ValueError: no step, a bound that is not above 0, or fewer than no episodes.
    """

    environment: Callable[[], Batch]
    agent: Callable[[Spec], A2C | FuN | UNREAL]
    steps: int
    unroll: int | None = None
    clip: float = math.inf
    limit: float = 40.0
    epsilon: float = EPSILON
    judged: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "unroll"):
            count = getattr(self, name)
            if count is not None and not count >= 1:
                raise ValueError(
                    f"{name} of a problem is {count}, and must be at least 1: give the number of "
                    "agent steps" + (", or None to search it" if name == "unroll" else "")
                )
        if not self.judged >= 0:
            raise ValueError(f"judged of a problem is {self.judged}: give how many episodes, or 0")
        for name in ("clip", "limit", "epsilon"):
            bound = getattr(self, name)
            if not bound > 0:  # which NaN is not either
                use = "1e-5, as A3C here" if name == "epsilon" else "inf for no bound"
                raise ValueError(
                    f"{name} of a problem is {bound}, and must be above 0: give {use}, say"
                )


class ActorCritic:
    """A member of an experiment in reinforcement learning.

    Hyperparameters: `learning_rate`, `entropy_cost`, `unroll` where the problem has none of its own
    (rounded here; its last update of a step may be of a shorter one), and for FuN `intrinsic_cost`.
    All hold from the next step on; the memory of the agent goes over from unroll to unroll. From an
    unroll shorter than its horizon FuN's manager would learn no goals: only that last update may be
    so short.

    The score is the returns of the last ten training episodes, of rewards as the game gives them.
    They go over with the weights: after a copy they are the donor's until ten episodes have ended,
    and two samples of one ancestor may share values, which Welch's t-test takes for independent.
    What is reported is of new episodes, which the weights themselves have played.

    Environments that cannot be saved begin their episodes anew with each step, and the replay is
    emptied: so what is saved between two steps is all that there is, and to load it is to go on.

    Raises:
        ValueError: the problem's own unroll, or all of a step, is shorter than FuN's horizon.

    Source: Jaderberg et al. 2017 (arXiv:1711.09846), sections 4.1 and appendix A.
    """

    def __init__(self, problem: Problem, seed: int, device: str) -> None:
        self.problem, self.device = problem, torch.device(device)
        self.games = problem.environment()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.network = problem.agent(self.games.spec).to(self.device)
        self.agent: Agent = self.network
        self._check(self._steps() if problem.unroll is None else min(problem.unroll, self._steps()))
        self.optimizer = RMSProp(self.network, limit=problem.limit, epsilon=problem.epsilon)
        self.noise = torch.Generator(self.device).manual_seed(_seed(seed, 0, 0))
        self.stream, self.steps = seed, 0
        self.episodes: deque[float] = deque(maxlen=EPISODES)
        self.received = np.zeros(self.games.count)  # of the episodes that go on
        self.scene: Scene | None = None  # None before the first step, and after a load without one

    def step(self, hypers: Hypers) -> None:
        """Act and learn for the problem's number of agent steps."""
        rate, unroll = float(hypers["learning_rate"]), self.problem.unroll
        if unroll is None:
            unroll = round(float(hypers["unroll"]))
            if unroll < 1:
                raise ValueError(
                    f"unroll is {hypers['unroll']}, and an unroll has at least 1 step: give it a "
                    "domain that begins at 1"
                )
            self._check(unroll)
        if self.scene is None or not self.games.savable:
            self._begin()
        left = self._steps()
        while left > 0:
            rollout = self._act(min(unroll, left))
            loss = self.agent.loss(rollout, hypers, self.noise)
            self.optimizer.descend(loss, rate)
            left -= len(rollout.rewards)
        self.steps += 1

    def _steps(self) -> int:
        """Return the steps of each environment in one step of the trainer."""
        return -(-self.problem.steps // self.games.count)

    def _check(self, unroll: int) -> None:
        horizon = self.network.horizon if isinstance(self.network, FuN) else 1
        if unroll < horizon:
            raise ValueError(
                f"an unroll of {unroll} steps of each environment is shorter than the horizon of "
                f"{horizon} of FuN's manager, which would learn no goals from it: make the unroll "
                f"(its domain, or the step of the trainer) at least {horizon} or the horizon "
                "shorter"
            )

    def _begin(self) -> None:
        first = self.games.reset(_seed(self.stream, 1, self.steps))
        memory = self.agent.begin(self.games.count)
        self.scene = first_scene(first, len(self.games.spec.heads), memory, self.device)
        self.received = np.zeros(self.games.count)
        self._forget()

    def _forget(self) -> None:
        if isinstance(self.network, UNREAL):
            self.network.replay.clear()

    @torch.no_grad()
    def _act(self, steps: int) -> Rollout:
        """Return the next steps of all environments; the scene is then the one behind them."""
        assert self.scene is not None
        scenes, answers = [self.scene], list[tuple[Tensor, Step]]()
        for _ in range(steps):
            scene, actions, answer = self._play(scenes[-1], self.noise)
            self._count(answer)
            scenes.append(scene)
            answers.append((actions, answer))
        self.scene = scenes[-1]
        seen = joined([scene.seen for scene in scenes])
        return Rollout(
            seen=seen,
            memory=scenes[0].memory,
            actions=torch.stack([actions for actions, _ in answers]),
            rewards=seen.rewards[1:],
            terminated=self._flags([answer.terminated for _, answer in answers]),
            truncated=self._flags([answer.truncated for _, answer in answers]),
            valid=~seen.first[1:],  # what a reset shows is the first of its episode
        )

    def _play(self, scene: Scene, noise: torch.Generator) -> tuple[Scene, Tensor, Step]:
        """Act once: return the moment that follows, the actions, and what the games answered."""
        logits, memory = self.agent.act(scene.seen, scene.memory)
        mask = scene.seen.available
        actions = self.network.policy.draw(logits, None if mask is None else mask[0], noise)
        answer = self.games.step(actions.cpu().numpy())
        return scene.after(answer, actions, memory, self.problem.clip), actions, answer

    def _flags(self, rows: list[NDArray[np.bool_]]) -> Tensor:
        return torch.from_numpy(np.stack(rows)).to(self.device)

    def _count(self, answer: Step) -> None:
        self.received += answer.rewards
        for i in np.flatnonzero(answer.ended):
            self.episodes.append(float(self.received[i]))
            self.received[i] = 0.0

    def eval(self) -> tuple[float, ...]:
        """Return the returns of the last ten training episodes.

        Of fewer, as long as there are fewer; of none, what has been received so far, a mean over
        environments. NaN if a weight is no number.
        """
        if not bool(self.optimizer.weights.isfinite().all()):
            return (math.nan,)
        if self.episodes:
            return tuple(self.episodes)
        return (float(self.received.mean()),)

    def report(self) -> Report:
        """Return the returns of episodes that neither training nor selection has seen.

        fresh_return: their mean. fresh_returns: each. Actions are drawn, as in training; episodes
        begin alike for every member. {} if the problem judges none, or the training has diverged.
        Where training stands is left as it was. A good policy may play for long: a run that reports
        at each step spends more on the better members.
        """
        if not self.problem.judged or math.isnan(self.eval()[0]):
            return {}
        keeps = self.games.savable and self.scene is not None  # others begin anew at the next step
        before = self.games.state() if keeps else {}
        found = self._fresh_returns(-(-self.problem.judged // self.games.count))
        if keeps:
            self.games.restore(before)
        return {"fresh_return": float(np.mean(found)), "fresh_returns": found}

    @torch.no_grad()
    def _fresh_returns(self, each: int) -> list[float]:
        """Return those of the first episodes of each environment: not those that end first."""
        noise = torch.Generator(self.device).manual_seed(JUDGED)
        first, memory = self.games.reset(JUDGED), self.agent.begin(self.games.count)
        scene = first_scene(first, len(self.games.spec.heads), memory, self.device)
        received = np.zeros(self.games.count)
        found: list[list[float]] = [[] for _ in received]
        while min(map(len, found)) < each:
            scene, _, answer = self._play(scene, noise)
            received += answer.rewards
            for i in np.flatnonzero(answer.ended):
                found[i].append(float(received[i]))
                received[i] = 0.0
        return [score for scores in found for score in scores[:each]]

    def reseed(self, seed: int) -> None:
        """Draw actions and later episodes from a new stream from now on."""
        self.stream = seed
        self.noise.manual_seed(_seed(seed, 0, 0))
        self.games.reseed(seed)

    def save(self, path: Path) -> None:
        """Write weights, optimiser, random state, the last returns; and where the games are."""
        state: dict[str, object] = {
            "weights": self.optimizer.weights,
            "squares": self.optimizer.squares,
            "noise": self.noise.get_state(),
            "stream": self.stream,
            "steps": self.steps,
            "episodes": list(self.episodes),
            "received": self.received.tolist(),
        }
        if self.games.savable and self.scene is not None:
            state["games"] = self.games.state()
            state["scene"] = self.scene.state()
            if isinstance(self.network, UNREAL):
                state["replay"] = self.network.replay.state()
        save_state(state, path)

    def load(self, path: Path) -> None:
        """Go on exactly from where the trainer that wrote `path` was."""
        state = load_state(path, self.device)
        with torch.no_grad():
            self.optimizer.weights.copy_(state["weights"])
            self.optimizer.squares.copy_(state["squares"])
        restore_generator(self.noise, state["noise"], _seed(state["stream"], 0, 0))
        self.stream, self.steps = state["stream"], state["steps"]
        self.episodes = deque(state["episodes"], maxlen=EPISODES)
        self.received = np.array(state["received"])
        self.scene = None
        self._forget()
        if "scene" in state:
            self.games.restore(state["games"])
            self.scene = scene_of(state["scene"])
            if isinstance(self.network, UNREAL):
                self.network.replay.restore(state["replay"])


def _seed(stream: int, *place: int) -> int:
    """Return a seed in [0, 2**32) of a stream: (0, 0) for actions, (1, step) for episodes.

    None is the stream's own number, from which the first weights are drawn.
    """
    return int(np.random.SeedSequence(stream, spawn_key=place).generate_state(1)[0])
