"""The environments: gymnasium's conventions, each game's own traps, and games that break."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.member import Hypers
from tasks.rl import problems, scores
from tasks.rl.agents.rollout import Rollout
from tasks.rl.environments import lab, starcraft
from tasks.rl.environments.atari import Atari
from tasks.rl.environments.batch import Batch, EnvironmentLost
from tasks.rl.environments.catch import BALLS, CELLS, Catch
from tasks.rl.environments.classic import NAMES, Classic
from tasks.rl.environments.doom import Doom
from tasks.rl.environments.lab import Lab
from tasks.rl.environments.recall import Recall
from tasks.rl.environments.remote import Remote
from tasks.rl.environments.singles import Frame, Single, Singles
from tasks.rl.environments.starcraft import StarCraft
from tasks.rl.trainer import ActorCritic
from tests.tasks.rl import doubles

SAVABLE: list[Callable[[], Single]] = [Recall, Catch, *(partial(Classic, name) for name in NAMES)]


def _play(batch: Batch, steps: int, seed: int = 0) -> list[NDArray[Any]]:
    """Act at random; return all that was answered."""
    rng, seen = np.random.default_rng(seed), []
    for _ in range(steps):
        step = batch.step(rng.integers(0, batch.spec.heads[0], (batch.count, 1)))
        seen += [step.observations, step.rewards, step.terminated, step.truncated]
    return seen


@pytest.mark.parametrize("make", SAVABLE)
def test_what_is_saved_goes_on_exactly(make: Callable[[], Single]) -> None:
    """In a batch that has done something else before, over the ends of episodes."""
    batch, other = Singles(make, 3), Singles(make, 3)
    batch.reset(1)
    _play(batch, 17)
    state = batch.state()
    unbroken = _play(batch, 250, seed=2)
    other.reset(5)
    _play(other, 9)

    other.restore(state)

    for a, b in zip(_play(other, 250, seed=2), unbroken, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_cart_and_pole_are_gymnasiums() -> None:
    """The same numbers as gymnasium.make gives, and its limit of 500 steps."""
    import gymnasium

    ours, theirs = Classic("CartPole-v1"), gymnasium.make("CartPole-v1")
    first, _ = theirs.reset(seed=7)
    np.testing.assert_array_equal(ours.reset(7).observation, first)

    for i in range(12):
        frame = ours.step(np.array([i % 2]))
        observation, reward, terminated, truncated, _ = theirs.step(i % 2)
        np.testing.assert_array_equal(frame.observation, observation)
        answer = (frame.reward, frame.terminated, frame.truncated)
        assert answer == (reward, terminated, truncated)
    ours.taken = 499
    ours.game.state = np.zeros(4)
    cut = ours.step(np.array([0]))
    assert (cut.terminated, cut.truncated) == (False, True)


def test_the_step_after_an_end_is_the_reset() -> None:
    """It has no reward, ignores its action, and the others go on."""
    batch = Singles(partial(Recall, delay=2), 2)
    batch.reset(0)
    ends = []
    for t in range(8):
        step = batch.step(np.zeros((2, 1), np.int64))
        ends.append(bool(step.terminated[0]))
        if t and ends[t - 1]:
            assert step.rewards[0] == 0
            assert step.observations[0][:2].sum() == 1  # the cue is shown

    assert ends == [False, False, True, False, False, False, True, False]


def test_catch_pays_for_each_ball() -> None:
    """A paddle that follows the ball catches them all; one in a corner seldom does."""
    game = Catch()
    game.reset(3)
    total = 0.0
    for t in range(BALLS * (CELLS - 1)):
        wanted = game.columns[t // (CELLS - 1)]
        move = 1 + (wanted > game.paddle) - (wanted < game.paddle)
        frame = game.step(np.array([move]))
        total += frame.reward
        assert frame.terminated == (t == BALLS * (CELLS - 1) - 1)

    assert total == BALLS


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Classic("CartPole"), "Did you mean 'CartPole-v1'"),
        (lambda: Atari("mspacman", 2), "Did you mean 'ms_pacman'"),
        (lambda: Doom("HealthGathering"), "Did you mean 'health_gathering'"),
        (lambda: Lab("nav_maze_static_1"), "Did you mean 'nav_maze_static_01'"),
        (lambda: Lab("emstm_watermaze"), "never published"),
        (lambda: StarCraft("DefeatRoach"), "Did you mean 'DefeatRoaches'"),
        (lambda: Singles(Recall, 0), "at least 1 environment"),
        (lambda: Recall(delay=0), "delay must be at least 1"),
    ],
)
def test_what_does_not_exist_is_named_with_the_nearest(
    make: Callable[[], object], sentence: str
) -> None:
    """Before anything is started."""
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.parametrize(
    ("module", "make", "sentence"),
    [
        ("ale_py", lambda: Atari("pong", 1), "ale-py"),
        ("vizdoom", lambda: Doom("basic"), "vizdoom"),
        ("deepmind_lab", lambda: Lab("nav_maze_static_01"), "Bazel"),
        ("pysc2", lambda: StarCraft("MoveToBeacon"), "Blizzard/s2client-proto"),
    ],
)
def test_a_game_that_is_not_installed_is_one_clear_sentence(
    module: str, make: Callable[[], object], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With how to get it."""
    for name in [n for n in sys.modules if n.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ImportError, match=sentence):
        make()


def test_atari_gives_the_games_own_rewards_and_masks_its_resets() -> None:
    """Ms Pac-Man pays 10 a pellet; the same seed gives the same stream."""
    pytest.importorskip("ale_py")
    first, second = Atari("ms_pacman", 2), Atari("ms_pacman", 2)
    np.testing.assert_array_equal(first.reset(3).observations, second.reset(3).observations)

    seen = _play(first, 60)
    again = _play(second, 60)

    for a, b in zip(seen, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.spec.shape == (4, 84, 84)
    assert seen[0].dtype == np.uint8
    assert max(rewards.max() for rewards in seen[1::4]) >= 10
    first.close()
    second.close()


def test_atari_begins_anew_after_an_end_and_at_a_reset() -> None:
    """Without reward, with one frame and no others before it; used games equal fresh ones."""
    pytest.importorskip("ale_py")
    games, rng = Atari("ms_pacman", 3), np.random.default_rng(0)
    games.reset(3)
    ends, ended = 0, np.zeros(3, np.bool_)
    for _ in range(600):
        step = games.step(rng.integers(0, games.spec.heads[0], (3, 1)))
        assert not step.rewards[ended].any()
        assert not step.ended[ended].any()
        assert not step.observations[ended, :3].any()
        assert step.observations[:, 3].any((1, 2)).all()
        ends, ended = ends + int(ended.sum()), step.ended
        if ends >= 2:
            break
    fresh = Atari("ms_pacman", 3)

    again, first = games.reset(5), fresh.reset(5)

    assert ends >= 2
    np.testing.assert_array_equal(again.observations, first.observations)
    for a, b in zip(_play(games, 30), _play(fresh, 30), strict=True):
        np.testing.assert_array_equal(a, b)
    games.close()
    fresh.close()


def test_doom_at_its_time_limit_is_cut_off_and_shows_its_last_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both flags are set there, and the picture is empty: neither reaches a learner.

    Nor does the engine leave its settings where we are.
    """
    pytest.importorskip("vizdoom")
    monkeypatch.chdir(tmp_path)
    game = Doom("basic", frame_skip=30)
    frame = game.reset(1)
    for _ in range(20):
        before, frame = frame, game.step(np.array([0]))
        if frame.terminated or frame.truncated:
            break
    game.close()

    assert (frame.terminated, frame.truncated) == (False, True)
    np.testing.assert_array_equal(frame.observation, before.observation)
    assert frame.observation.shape == (1, 84, 84)
    assert frame.observation.any()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def labs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with the rules of DeepMind Lab."""
    monkeypatch.setitem(sys.modules, "deepmind_lab", SimpleNamespace(Lab=doubles.Lab))


@pytest.mark.usefixtures("labs")
def test_deepmind_lab_is_played_by_its_rules() -> None:
    """Three actions of four frames an episode; the last picture stands in for the one after."""
    batch = Singles(partial(Lab, "lt_horse_shoe_color"), 2)
    first = batch.reset(0)
    forward = np.full((2, 1), lab.ACTIONS.index((0, 0, 0, 1, 0, 0, 0)))

    steps = [batch.step(forward) for _ in range(4)]

    assert first.observations.shape == (2, 3, 84, 84)
    assert [step.rewards.tolist() for step in steps] == [[4, 4], [4, 4], [4, 4], [0, 0]]
    assert [bool(step.terminated.all()) for step in steps] == [False, False, True, False]
    np.testing.assert_array_equal(steps[2].observations, steps[1].observations)
    assert batch.games[0].game.level == "lt_horseshoe_color"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("labs")
@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (((0, 0, 1),), "has 3 numbers where the level takes 7"),
        (((0, 0, 2, 0, 0, 0, 0),), "2 in the action .* STRAFE_LEFT_RIGHT"),
        ((), "empty"),
    ],
)
def test_a_table_of_actions_that_does_not_fit_is_refused(
    rows: tuple[tuple[int, ...], ...], sentence: str
) -> None:
    """At once, with what does not fit."""
    with pytest.raises(ValueError, match=sentence):
        Lab("nav_maze_static_01", rows)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its old protobuf
def test_starcraft_is_played_through_pysc2s_own_mock() -> None:
    """Every function that is available is complete; and the agent of table 3 learns from it."""
    if os.environ.get("PBT_SC2_TESTS") != "required":
        pytest.importorskip("pysc2", reason="pysc2 is not installed: pip install -e '.[rl,sc2]'")
    starcraft._pysc2()
    from pysc2.env import mock_sc2_env

    game = StarCraft("MoveToBeacon", mock_sc2_env.SC2TestEnv)
    frame = game.reset(0)
    assert frame.available is not None
    for function in np.flatnonzero(frame.available):
        action = np.zeros(len(game.spec.heads), np.int64)
        action[0] = function
        frame = game.step(action)

    assert frame.observation.shape == game.spec.shape
    assert game.spec.heads[0] == 573

    games = partial(Singles, partial(StarCraft, "MoveToBeacon", mock_sc2_env.SC2TestEnv), 2)
    problem = replace(problems.starcraft("MoveToBeacon"), environment=games, steps=80)
    trainer = ActorCritic(problem, 1, "cpu")
    before, learn, rollouts = trainer.optimizer.weights.clone(), trainer.agent.loss, list[Rollout]()

    def noted(rollout: Rollout, hypers: Hypers, rng: torch.Generator) -> torch.Tensor:
        rollouts.append(rollout)
        return learn(rollout, hypers, rng)

    trainer.agent.loss = noted  # type: ignore[method-assign]
    trainer.step({"learning_rate": 1e-4, "entropy_cost": 1e-3})
    [rollout] = rollouts
    assert rollout.seen.available is not None
    chosen = rollout.seen.available[:-1].gather(2, rollout.actions[..., :1]).squeeze(2)
    assert rollout.valid.sum() > 60
    assert bool((chosen | ~rollout.valid).all())
    assert not torch.equal(trainer.optimizer.weights, before)


def _sizes(*kinds: tuple[int, tuple[int, ...]]) -> SimpleNamespace:
    types = [SimpleNamespace(id=id, sizes=sizes) for id, sizes in kinds]
    functions = [SimpleNamespace(id=0, args=[]), SimpleNamespace(id=1, args=[types[1], types[0]])]
    return SimpleNamespace(functions=functions, types=types)


def test_an_action_of_starcraft_has_a_part_for_each_number() -> None:
    """A point is two of them."""
    heads, places = starcraft._heads(_sizes((0, (64, 32)), (3, (2,))))

    assert heads == (2, 64, 32, 2)
    assert places == {0: (1, 2), 3: (3,)}


class Troubled(doubles.Misbehaves):
    """A game that at its start is slow or dies, once or each time; or that notes that it hangs."""

    def __init__(self, how: str, note: str = "") -> None:
        super().__init__(how, note)
        self.note = note
        if how == "starts slowly":
            time.sleep(2.0)
        if how in ("dies once at its start", "dies at its start") and not os.path.exists(note):
            if how == "dies once at its start":
                Path(note).touch()
            os._exit(4)

    def step(self, action: NDArray[np.int64]) -> Frame:
        if self.how == "hangs" and self.note and self.steps == 6:
            told = Path(self.note + ".part")
            told.write_text(f"{os.getpid()} {tempfile.mkdtemp()}")
            told.rename(self.note)
        return super().step(action)


def _broken(how: str, note: str = "", patience: float = 20.0) -> Remote:
    return Remote(partial(Singles, partial(Troubled, how, note), 2), patience)


@pytest.mark.parametrize(
    ("how", "patience", "sentence"),
    [
        ("dies", 20.0, "ended during step .*exit status 3"),
        ("raises", 20.0, "failed in step.*out of ammunition"),
        ("hangs", 6.0, "has not answered to step for 6 s"),
    ],
)
def test_a_game_that_breaks_is_lost_with_the_reason_and_begins_anew(
    how: str, patience: float, sentence: str
) -> None:
    """Nobody waits for it, and the next reset has a new one."""
    games = _broken(how, patience=patience)
    first = games.reset(1)
    with pytest.raises(EnvironmentLost, match=sentence):
        _play(games, 20)
    with pytest.raises(EnvironmentLost, match="nothing but a reset"):
        _play(games, 1)

    again = games.reset(1)
    _play(games, 3)
    games.close()

    np.testing.assert_array_equal(first.observations, again.observations)


def test_what_a_game_has_begun_ends_with_it(tmp_path: Path) -> None:
    """ViZDoom's engine, for one, outlives the process that began it."""
    note = tmp_path / "pid"
    games = _broken("spawns", str(note))
    pid = int(note.read_text())
    os.kill(pid, 0)

    games.close()

    assert _gone(pid)


def _gone(pid: int) -> bool:
    """Return whether a process ends within ten seconds."""
    for _ in range(200):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


HANGS = """
import sys
import numpy as np
from tests.tasks.rl.test_environments import _broken, _play
games = _broken("hangs", sys.argv[1], patience=600.0)
games.reset(1)
_play(games, 20)
"""


def test_a_game_that_hangs_ends_when_whoever_plays_it_is_killed(tmp_path: Path) -> None:
    """And leaves no temporary files: a worker that is killed cannot clean up."""
    note = tmp_path / "note"
    player = subprocess.Popen([sys.executable, "-c", HANGS, str(note)])
    while not note.exists():
        assert player.poll() is None
        time.sleep(0.05)
    pid, folder = note.read_text().split()
    assert Path(folder).is_dir()

    player.kill()
    player.wait()

    assert _gone(int(pid))
    assert not Path(folder).parent.exists()


class Wide(Recall):
    """A game whose pictures are more than a pipe holds."""

    def reset(self, seed: int) -> Frame:
        return Frame(np.zeros(1 << 20, np.uint8))


@pytest.mark.parametrize("half", ["answer", "question"])
def test_a_game_that_is_stopped_amid_a_message_is_lost(half: str) -> None:
    """A pipe that is half full keeps nobody waiting, whichever way it goes."""
    games = Remote(partial(Singles, Wide, 1), 2.0)
    process = games._process
    assert process is not None
    assert process.pid
    if half == "answer":
        games._ours.send(("reset", (1,)))
        assert games._ours.poll(60.0)
        time.sleep(0.5)  # it writes as much as there is room for
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(EnvironmentLost, match="fell silent for 2 s amid its answer to reset"):
            games._answer("reset")
    else:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(EnvironmentLost, match="has not taken restore for 2 s"):
            games.restore({"much": bytes(1 << 22)})
    assert not process.is_alive()
    games.reset(1)
    games.close()


def test_a_game_that_is_ended_leaves_no_temporary_files(tmp_path: Path) -> None:
    """Though it was killed."""
    note = tmp_path / "note"
    games = _broken("hangs", str(note), patience=2.0)
    games.reset(1)
    with pytest.raises(EnvironmentLost, match="has not answered"):
        _play(games, 20)

    folder = Path(note.read_text().split()[1])

    assert folder.parent.name.startswith("games-")
    assert not folder.parent.exists()


def test_a_game_that_dies_once_at_its_start_is_started_again(tmp_path: Path) -> None:
    """A trainer that cannot be made would stop the run; what dies each time is lost."""
    games = _broken("dies once at its start", str(tmp_path / "died"))
    assert (tmp_path / "died").exists()
    games.reset(1)
    _play(games, 3)
    games.close()

    with pytest.raises(EnvironmentLost, match=r"ended during the start.*exit status 4"):
        _broken("dies at its start", str(tmp_path / "never"))


def test_a_start_has_a_patience_of_its_own() -> None:
    """Longer than a step's; and it ends too."""
    slow = partial(Singles, partial(Troubled, "starts slowly"), 1)
    Remote(slow, 1.0).close()

    with pytest.raises(EnvironmentLost, match=r"has not answered to the start for 0.2 s"):
        Remote(slow, 60.0, start_patience=0.2)
    for wrong in (0.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"a patience of {wrong} s, and it must be finite"):
            Remote(slow, wrong)


def test_an_error_at_the_start_comes_through_as_it_was() -> None:
    """A misspelt level in a process is still a ValueError with the nearest name."""
    with pytest.raises(ValueError, match="Did you mean 'basic'"):
        Remote(partial(Singles, partial(Doom, "basics"), 1))


@pytest.mark.parametrize(("members", "fun", "pbt"), [(80, 1.47, 1.81), (40, 1.40, 1.65)])
def test_table_1_gives_the_papers_means(members: int, fun: float, pbt: float) -> None:
    """With human starts; with no-op starts it does not."""
    for table, expected in ((scores.TABLE_1_FUN, fun), (scores.TABLE_1_PBT, pbt)):
        found = scores.mean(scores.normalised(table[members], scores.HUMAN_STARTS))
        assert round(found, 2) == expected
    no_op = scores.mean(scores.normalised(scores.TABLE_1_PBT[80], scores.NO_OP_STARTS))
    assert round(no_op, 2) == 1.84


def test_means_of_tables_2_and_3() -> None:
    """Capped or not; StarCraft's come near the paper's 0.36 and 0.39."""
    search, pbt = ({k: v[i] / 100 for k, v in scores.TABLE_2.items()} for i in (0, 1))
    assert scores.mean(search) == pytest.approx(1.346, abs=5e-4)
    assert scores.mean(pbt) == pytest.approx(1.499, abs=5e-4)
    assert scores.mean(pbt, cap=1.0) < 1 < scores.mean(pbt)
    for i, expected in ((0, 0.388), (1, 0.421)):
        raw = {name: row[i] for name, row in scores.TABLE_3.items()}
        found = scores.mean(scores.normalised(raw, scores.STARCRAFT))
        assert found == pytest.approx(expected, abs=2e-3)
    with pytest.raises(ValueError, match="Did you mean 'amidar'"):
        scores.normalised({"amidr": 1.0}, scores.HUMAN_STARTS)
    with pytest.raises(ValueError, match="at least one game"):
        scores.mean({})
