"""The trainer and its presets: the contract, live hypers, agents that learn, games that break."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from core.audits.check import check
from core.audits.verify import verify
from core.directory.members import Members
from core.directory.run import open_run
from core.member import Hypers
from core.settings import PBT
from core.space import Fixed, LogUniform, Prior, Space, Uniform
from core.study.study import Study
from core.task import Task
from core.workers.worker import work
from tasks.rl import presets, problems
from tasks.rl.agents.a2c import A2C
from tasks.rl.agents.fun import FuN
from tasks.rl.agents.rollout import Rollout
from tasks.rl.agents.unreal import UNREAL
from tasks.rl.environments.atari import Atari
from tasks.rl.environments.batch import Batch, EnvironmentLost
from tasks.rl.environments.catch import Catch
from tasks.rl.environments.doom import Doom
from tasks.rl.environments.recall import Recall
from tasks.rl.environments.remote import Remote
from tasks.rl.environments.singles import Frame, Singles, Unsavable
from tasks.rl.trainer import ActorCritic, Problem
from tests.tasks.rl.doubles import Misbehaves

HYPERS = {"learning_rate": 3e-3, "entropy_cost": 0.01, "unroll": 7.4, "intrinsic_cost": 0.5}
SHORT = replace(problems.CART_POLE, steps=160)
FEUDAL = replace(SHORT, agent=partial(FuN, cells=8, horizon=4), unroll=10, steps=80)
UNREAL_SHORT = replace(
    problems.CATCH,
    environment=partial(Singles, Catch, 2),
    agent=partial(UNREAL, cells=8, replay=60),
    unroll=10,
    steps=20,
)


class Forgetful(Unsavable, Recall):
    """The memory task as a game that cannot be saved."""


FORGETFUL = replace(problems.RECALL, environment=partial(Singles, Forgetful, 4), steps=100)


def _task(problem: Problem, *names: str) -> Task:
    priors: dict[str, Prior] = {
        "learning_rate": LogUniform(1e-4, 1e-2),
        "entropy_cost": LogUniform(1e-3, 1e-1),
        "unroll": Uniform(2.0, 20.0, domain=(1.0, 100.0)),
        "intrinsic_cost": Uniform(0.25, 1.0),
    }
    return Task(partial(ActorCritic, problem), Space({name: priors[name] for name in names}))


@pytest.mark.parametrize(
    "task",
    [
        _task(SHORT, "learning_rate", "entropy_cost", "unroll"),
        _task(FORGETFUL, "learning_rate", "entropy_cost"),
        _task(FEUDAL, "learning_rate", "entropy_cost", "intrinsic_cost"),
        _task(UNREAL_SHORT, "learning_rate", "entropy_cost"),
    ],
    ids=["a2c", "lstm, unsavable", "fun", "unreal"],
)
def test_the_contract_is_kept(task: Task) -> None:
    """Save, load, continue bit by bit; each hyperparameter is in force after a load."""
    pbt = replace(presets.cart_pole(), task=task)

    findings = list(check(pbt))

    assert [finding.sentence for finding in findings if finding.kept is False] == []
    effects = [finding for finding in findings if "has an effect" in finding.sentence]
    assert len(effects) == len(task.space)


def test_an_unroll_that_changes_carries_the_memory_over() -> None:
    """With a rate of nothing the actions do not depend on how they are cut into unrolls."""
    problem = replace(problems.RECALL, steps=16 * 24, unroll=None)
    found = []
    for unroll in (24.0, 5.0, 1.0, 7.6):
        trainer = ActorCritic(problem, 1, "cpu")
        trainer.step({"learning_rate": 0.0, "entropy_cost": 0.0, "unroll": unroll})
        assert trainer.scene is not None
        found.append((trainer.eval(), trainer.scene.memory))

    for score, memory in found[1:]:
        assert score == found[0][0]
        torch.testing.assert_close(memory, found[0][1])


def test_members_with_long_and_short_unrolls_train_for_as_many_steps() -> None:
    """The budget of a step is agent steps, not updates."""

    def steps(unroll: float) -> int:
        taken = 0
        trainer = ActorCritic(SHORT, 1, "cpu")
        play = trainer.games.step

        def counted(actions: object) -> object:
            nonlocal taken
            taken += len(actions)  # type: ignore[arg-type]
            return play(actions)  # type: ignore[arg-type]

        trainer.games.step = counted  # type: ignore[method-assign, assignment]
        trainer.step(HYPERS | {"unroll": unroll})
        return taken

    assert steps(3.0) == steps(20.0) == steps(500.0) == 160


def test_an_unroll_of_nothing_is_refused() -> None:
    """And the domain of the presets has none."""
    with pytest.raises(ValueError, match="an unroll has at least 1 step"):
        ActorCritic(SHORT, 1, "cpu").step(HYPERS | {"unroll": 0.4})
    for run in (presets.cart_pole(), presets.lab("nav_maze_static_01"), presets.health_gathering()):
        unroll = run.task.space["unroll"]
        assert isinstance(unroll, Uniform)
        assert round(unroll.domain[0]) >= 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 0}, "steps of a problem is 0, and must be at least 1"),
        ({"unroll": 0}, "unroll of a problem is 0, and must be at least 1.*None to search it"),
        ({"unroll": -2}, "unroll of a problem is -2"),
        ({"clip": 0.0}, "clip of a problem is 0.0, and must be above 0: give inf"),
        ({"clip": math.nan}, "clip of a problem is nan"),
        ({"limit": -40.0}, "limit of a problem is -40.0"),
        ({"epsilon": 0.0}, "epsilon of a problem is 0.0.*1e-5"),
        ({"judged": -1}, "judged of a problem is -1: give how many episodes"),
    ],
)
def test_a_problem_that_cannot_be_is_refused(change: dict[str, float], sentence: str) -> None:
    """Where it is made: clip=0 would have taken all reward away, unseen."""
    with pytest.raises(ValueError, match=sentence):
        replace(SHORT, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"unroll": 3}, {"steps": 3 * 8}])
def test_an_unroll_shorter_than_funs_horizon_is_refused_at_the_start(
    change: dict[str, int],
) -> None:
    """The problem's own, or a whole step that is so short; as long as the horizon is enough."""
    ActorCritic(replace(FEUDAL, unroll=4), 1, "cpu")
    with pytest.raises(ValueError, match=r"unroll of 3 steps .* horizon of 4 "):
        ActorCritic(replace(FEUDAL, **change), 1, "cpu")  # type: ignore[arg-type]


def test_a_searched_unroll_shorter_than_funs_horizon_is_refused_in_its_step() -> None:
    """With both numbers; the member fails, and another one is copied."""
    trainer = ActorCritic(replace(FEUDAL, unroll=None), 1, "cpu")
    trainer.step(HYPERS | {"unroll": 4.0})  # its last update is of two steps
    with pytest.raises(ValueError, match=r"unroll of 3 steps .* horizon of 4 "):
        trainer.step(HYPERS | {"unroll": 3.4})


def test_weights_actions_and_episodes_have_streams_of_their_own() -> None:
    """After the start and after a reseeding, which a fresh trainer of that seed equals."""
    trainer, other = ActorCritic(FORGETFUL, 1, "cpu"), ActorCritic(FORGETFUL, 2, "cpu")
    seeds: list[int] = []
    begin = trainer.games.reset
    trainer.games.reset = lambda seed: (seeds.append(seed), begin(seed))[1]  # type: ignore

    other.reseed(1)

    assert trainer.noise.initial_seed() == other.noise.initial_seed()
    trainer.step(HYPERS)
    trainer.step(HYPERS)
    assert len({1, trainer.noise.initial_seed(), *seeds}) == 4


def test_the_score_is_the_last_ten_returns_unclipped() -> None:
    """Though the learner sees clipped rewards."""
    trainer = ActorCritic(replace(SHORT, clip=0.1), 1, "cpu")
    rewards: list[float] = []
    learn = trainer.agent.loss

    def noted(rollout: Rollout, hypers: Hypers, rng: torch.Generator) -> torch.Tensor:
        rewards.append(float(rollout.rewards.max()))
        return learn(rollout, hypers, rng)

    trainer.agent.loss = noted  # type: ignore[method-assign]
    for _ in range(6):
        trainer.step(HYPERS)

    score = trainer.eval()
    assert len(score) == 10
    assert all(number >= 8 for number in score)  # a cart and pole stands for eight steps at least
    assert max(rewards) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "problem", [SHORT, FORGETFUL, UNREAL_SHORT], ids=["a2c", "unsavable", "unreal"]
)
def test_a_report_is_of_new_episodes_and_leaves_training_as_it_was(
    problem: Problem, tmp_path: Path
) -> None:
    """Bit by bit; and the same weights report the same."""
    trainer = ActorCritic(replace(problem, judged=7), 1, "cpu")
    trainer.step(HYPERS)
    trainer.save(tmp_path / "before")
    trainer.step(HYPERS)
    trainer.save(tmp_path / "without")
    trainer.load(tmp_path / "before")

    report = trainer.report()
    again = trainer.report()
    trainer.step(HYPERS)
    trainer.save(tmp_path / "with")

    assert (tmp_path / "with").read_bytes() == (tmp_path / "without").read_bytes()
    assert again == report
    returns = report["fresh_returns"]
    assert isinstance(returns, list)
    assert len(returns) == -(-7 // trainer.games.count) * trainer.games.count
    assert report["fresh_return"] == pytest.approx(sum(returns) / len(returns))


def test_new_episodes_are_played_when_a_run_is_over_and_not_before(tmp_path: Path) -> None:
    """To play them takes the longer the better a member is, and no arm may pay for that."""
    run = open_run(tmp_path / "run", "tests.tasks.rl.test_trainer:brief")

    work(run, durable=False)

    for id in range(2):
        *history, last = Members(run.root).history(id)
        assert "fresh_return" in last.report
        assert not any(record.report for record in history if record.member.step < 3)


def brief() -> PBT:
    """Two members of the cart and pole, three short rounds."""
    small = replace(problems.CART_POLE, steps=160, judged=8)
    task = Task(partial(ActorCritic, small), presets.SMALL_SPACE)
    return replace(presets.cart_pole(), task=task, members=2, steps=3)


def test_a_report_does_not_favour_episodes_that_end_first() -> None:
    """Of two environments one has short episodes: as many of each are counted."""
    lengths = itertools.cycle((5, 1))

    def games() -> Batch:
        return Singles(lambda: Sprint(next(lengths)), 2)

    trainer = ActorCritic(replace(problems.RECALL, environment=games, judged=6), 1, "cpu")

    assert trainer.report()["fresh_returns"] == [5.0] * 3 + [1.0] * 3


class Sprint(Unsavable, Recall):
    """Pays 1 for each step, of which an episode has `length`."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = self.left = length

    def reset(self, seed: int) -> Frame:
        self.left = self.length
        return super().reset(seed)

    def step(self, action: object) -> Frame:
        self.left -= 1
        return Frame(super().reset(1).observation, 1.0, terminated=self.left == 0)


def test_before_an_episode_has_ended_the_score_is_what_has_been_received() -> None:
    """And not NaN, which would say that the member has diverged."""
    trainer = ActorCritic(replace(SHORT, steps=8 * 3), 1, "cpu")
    trainer.step(HYPERS)

    assert trainer.eval() == (3.0,)


@pytest.mark.parametrize("module", ["ale_py", "vizdoom"])
def test_a_game_that_may_crash_is_in_a_process_of_its_own(module: str) -> None:
    """One that is gone is seen at once, though ViZDoom's engines still live, and started again."""
    pytest.importorskip(module)
    problem = {"ale_py": problems.MS_PACMAN, "vizdoom": problems.HEALTH_GATHERING}[module]
    games = problem.environment()
    assert isinstance(games, Remote)
    assert games.reset(1).observations.shape[-2:] == (problems.SMALL, problems.SMALL)
    assert games._process is not None
    games._process.kill()

    with pytest.raises(EnvironmentLost, match=r"ended (during|before) step"):
        games.step(np.zeros((games.count, 1), np.int64))
    assert len(games.reset(1).rewards) == games.count
    games.close()


def test_weights_that_are_no_numbers_are_a_score_of_nan() -> None:
    """So the member is rescued."""
    trainer = ActorCritic(SHORT, 1, "cpu")
    trainer.step(HYPERS)
    trainer.optimizer.weights[3] = math.inf

    assert math.isnan(trainer.eval()[0])


@pytest.mark.parametrize(("cells", "learns"), [(32, True), (0, False)])
def test_the_memory_task_needs_the_lstm(cells: int, learns: bool) -> None:
    """With it nearly every answer is right; without it, half of them, as by a guess."""
    problem = replace(
        problems.RECALL,
        environment=partial(Singles, partial(Recall, delay=2), 16),
        agent=partial(A2C, cells=cells),
        unroll=12,
        steps=3000,
    )
    trainer = ActorCritic(problem, 2, "cpu")
    means = []
    for step in range(5):
        trainer.step(HYPERS)
        if step >= 2:
            means.append(sum(trainer.eval()) / 10)

    assert (sum(means) / len(means) > 0.8) == learns


def _remote(how: str) -> Remote:
    return Remote(partial(Singles, partial(Misbehaves, how), 2), 20.0)


class Doomed(ActorCritic):
    """A member whose hypers are fatal plays a game that dies in its seventh step."""

    def __init__(self, seed: int, device: str) -> None:
        problem = replace(problems.RECALL, environment=partial(_remote, "well"), steps=20, unroll=2)
        super().__init__(problem, seed, device)
        self.well = self.games

    def step(self, hypers: Hypers) -> None:
        self.games = _remote("dies") if float(hypers["fatal"]) else self.well
        super().step(hypers)


def test_a_member_whose_game_dies_in_a_turn_fails_with_the_reason_and_is_rescued(
    tmp_path: Path,
) -> None:
    """And the run comes to its end."""
    run = open_run(tmp_path / "run", "tests.tasks.rl.test_trainer:doomed")

    work(run, durable=False)

    history = Members(run.root).history(0)
    errors = [record.error for record in history if record.error]
    assert any("EnvironmentLost" in error and "exit status 3" in error for error in errors)
    assert history[-1].member.step == 3
    assert history[-1].member.healthy
    assert history[-1].member.hypers["fatal"] == 0
    assert verify(run).problems == []


def doomed() -> PBT:
    """Two members, one of them with a game that dies."""
    space = Space(
        {
            "learning_rate": Fixed(1e-3),
            "entropy_cost": Fixed(1e-2),
            "fatal": Fixed(0.0, domain=(0.0, 1.0)),
        }
    )
    start = {"learning_rate": 1e-3, "entropy_cost": 1e-2}
    return replace(
        presets.cart_pole(),
        task=Task(Doomed, space),
        members=2,
        steps=3,
        start=({**start, "fatal": 1.0}, {**start, "fatal": 0.0}),
    )


PRESETS = (
    "figure_6_fun",
    "ms_pacman_80",
    "cart_pole",
    "cart_pole_random_search",
    "cart_pole_t_test",
    "recall",
    "ms_pacman",
    "ms_pacman_random_search",
    "health_gathering",
    "health_gathering_random_search",
)
STUDIES = {
    "table_1": (4 * 4 * 2, (10, 80)),
    "figure_5a": (4 * 4 * 2, (10, 80)),
    "table_2": (15 * 2, (40, 40)),
    "table_3": (6 * 2, (30, 30)),
    "figure_5c": (4 * 4, (20, 20)),
    "figure_5d": (4 * 4, (20, 20)),
    "cart_pole_figure_5": (10, (4, 16)),
    "ms_pacman_pairs": (2, (6, 6)),
    "health_gathering_pairs": (2, (6, 6)),
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_run(name: str) -> None:
    """That says in its docstring what it reproduces or costs, with 20 rounds or more."""
    make: Callable[[], PBT] = getattr(presets, name)

    assert make.__doc__
    assert make().steps >= (10 if name == "recall" else 20)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_has_the_arms_and_sizes_of_its_figure(name: str) -> None:
    """With as many members as the paper's, or in small."""
    study: Study = getattr(presets, name)()
    arms, (least, most) = STUDIES[name]

    assert len(study.arms) == arms
    sizes = [arm.members for arm in study.arms.values() if isinstance(arm, PBT)]
    assert (min(sizes), max(sizes)) == (least, most)


def test_the_papers_runs_are_as_long_as_the_papers() -> None:
    """2.5e8 agent steps a member, and 1e9 on StarCraft II."""
    for run, problem, total in (
        (presets.atari("amidar", 10), problems.atari("amidar"), 2.5e8),
        (presets.lab("seekavoid_arena_01"), problems.lab("seekavoid_arena_01"), 2.5e8),
        (presets.starcraft("BuildMarines"), problems.starcraft("BuildMarines"), 1e9),
    ):
        assert run.steps * problem.steps == total


@pytest.mark.parametrize(
    ("make", "near"),
    [
        (lambda: presets.atari("amidra", 10), "amidar"),
        (lambda: presets.lab("stairway_to_melon"), "stairway_to_melon_01"),
        (lambda: presets.starcraft("Marines"), "BuildMarines"),
    ],
)
def test_a_game_that_the_table_does_not_have_is_named_with_the_nearest(
    make: Callable[[], PBT], near: str
) -> None:
    """Before anything is started."""
    with pytest.raises(ValueError, match=f"Did you mean '{near}'"):
        make()


@pytest.mark.parametrize(
    ("problem", "games", "module"),
    [
        (problems.MS_PACMAN, partial(Atari, "ms_pacman", 2, size=problems.SMALL), "ale_py"),
        (
            problems.HEALTH_GATHERING,
            partial(
                Remote,
                partial(Singles, partial(Doom, "health_gathering", size=problems.SMALL), 1),
            ),
            "vizdoom",
        ),
    ],
)
def test_a_game_of_pixels_goes_on_from_what_was_saved(
    problem: Problem, games: Callable[[], Batch], module: str, tmp_path: Path
) -> None:
    """With the networks of its preset: as it would have without, bit by bit."""
    pytest.importorskip(module)
    trainer = ActorCritic(replace(problem, environment=games, steps=24), 1, "cpu")
    trainer.step(HYPERS)
    trainer.save(tmp_path / "a.tmp")
    trainer.step(HYPERS)
    trainer.save(tmp_path / "b.tmp")

    trainer.load(tmp_path / "a.tmp")
    trainer.step(HYPERS)
    trainer.save(tmp_path / "c.tmp")
    trainer.games.close()

    assert (tmp_path / "b.tmp").read_bytes() == (tmp_path / "c.tmp").read_bytes()
