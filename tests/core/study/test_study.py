"""A study: its arms and seeds, worked on as one, interrupted and resumed, never mixed up."""

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import Run, RunError, open_run, resolve
from core.settings import PBT
from core.strategies.exploit import Truncation, binary_tournament
from core.strategies.ready import Every
from core.study.found_schedule import schedule_of
from core.study.study import Replay, Study, StudyDirectory, grid, open_study, work_study
from core.task import TaskError
from core.terminal.study_table import StudyView
from core.workers.worker import work
from tests.trainers import walk, walk_random_search

ROOT = Path(__file__).parents[3]
PRESET = "tests.trainers:small_study"


def _on(run: Run) -> bool:
    return work(run, durable=False)


def _digests(study: StudyDirectory) -> dict[str, str]:
    return {f"{name}/{seed}": verify(open_run(root)).digest for name, seed, root in study.places()}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> StudyDirectory:
    """A study, worked on by one worker from its beginning to its end."""
    study = open_study(tmp_path_factory.mktemp("study") / "out", PRESET)
    assert work_study(study, _on)
    return study


def test_every_arm_has_every_seed_and_can_be_verified(done: StudyDirectory) -> None:
    """As run directories like any other."""
    places = list(done.places())

    assert len(places) == 7 * 2
    for name, seed, root in places:
        run = open_run(root)
        assert not verify(run).problems
        assert (run.pbt.seed, root.parent.name) == (seed, name)


def test_an_arm_is_what_the_preset_says(done: StudyDirectory) -> None:
    """By its name, as a preset that can be run alone."""
    pbt = resolve(f"{PRESET}[tournament-3]")
    assert (pbt.members, pbt.exploit) == (3, binary_tournament)
    assert open_run(done.root / "tournament-3/1").pbt == replace(pbt, seed=1)


def test_a_replay_follows_what_the_other_arm_found_with_the_same_seed(done: StudyDirectory) -> None:
    """Its schedule, or its final values; with the same budget."""
    for seed in (1, 2):
        found = schedule_of(open_run(done.root / "truncation-5" / str(seed)))
        replay = open_run(done.root / "replay" / str(seed)).pbt
        final = open_run(done.root / "final" / str(seed)).pbt
        assert replay.schedule == found.points
        assert final.schedule == ((0, found.points[-1][1]),)
        assert replay.members == final.members == 5
        assert replay.seed == seed


def test_a_study_that_was_interrupted_goes_on(done: StudyDirectory, tmp_path: Path) -> None:
    """Workers that leave after some turns, others that come: the same runs in the end."""
    study = open_study(tmp_path / "out", PRESET)
    for _ in range(400):
        if work_study(open_study(study.root), lambda run: work(run, durable=False, turns=9)):
            break

    assert _digests(study) == _digests(done)


def _helper(root: Path) -> None:
    work_study(open_study(root), _on)


def test_several_workers_share_the_runs(done: StudyDirectory, tmp_path: Path) -> None:
    """Each takes one that nobody works on, and helps with the last ones."""
    study = open_study(tmp_path / "out", PRESET)
    context = multiprocessing.get_context("spawn")
    helpers = [context.Process(target=_helper, args=(study.root,)) for _ in range(3)]
    for helper in helpers:
        helper.start()
    for helper in helpers:
        helper.join(120)

    assert [helper.exitcode for helper in helpers] == [0, 0, 0]
    assert _digests(study) == _digests(done)
    records = [r for _, _, root in study.places() for r in _records(root)]
    assert len({record.worker.rpartition("-")[0] for record in records}) == 3  # host and pid


def _records(root: Path) -> list[Record]:
    population = Members(root)
    return [r for id in range(open_run(root).pbt.members) for r in population.history(id)]


def test_more_seeds_may_be_asked_for_later(tmp_path: Path) -> None:
    """What is done stays; no seed is ever forgotten."""
    work_study(open_study(tmp_path / "out", PRESET, [1]), _on)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("recent/*")}

    study = open_study(tmp_path / "out", PRESET, [5])

    assert list(study.study.seeds) == [1, 5]
    work_study(study, _on)
    assert list(open_study(tmp_path / "out").study.seeds) == [1, 5]
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_another_study_in_the_same_place_is_refused(done: StudyDirectory, tmp_path: Path) -> None:
    """And so is a directory that holds something else, or a run."""
    with pytest.raises(RunError, match="holds a study of"):
        open_study(done.root, "tests.trainers:walk")
    body = json.loads((done.root / "study.json").read_text())
    assert body["baseline"] == "baseline"
    open_run(tmp_path / "run", "tests.trainers:walk")
    with pytest.raises(RunError, match=r"has no study\.json, but holds"):
        open_study(tmp_path / "run", PRESET)
    with pytest.raises(RunError, match="where a study returns a Study"):
        open_study(tmp_path / "new", "tests.trainers:walk")
    assert not (tmp_path / "new").exists()


def test_a_run_that_cannot_go_on_does_not_stop_the_others(tmp_path: Path) -> None:
    """Its error is raised when all others are done; what replays it is given up too."""
    study = open_study(tmp_path / "out", PRESET, [1])

    def on(run: Run) -> bool:
        if run.root.parent.name == "truncation-5":
            raise TaskError("no rope")
        return _on(run)

    with pytest.raises(TaskError, match="no rope"):
        work_study(study, on)

    undone = {name for name, _, root in study.places() if not study.is_done(root)}
    assert undone == {"truncation-5", "replay", "final"}


def test_progress_counts_every_run(done: StudyDirectory, tmp_path: Path) -> None:
    """Those that have not begun, too."""
    study = open_study(tmp_path / "out", PRESET, [1])
    view = StudyView(study, inside=True)
    assert view.line() == "0 of 7 runs, 0/372 steps (0%)"
    work_study(study, _on, stop=_after(2))
    assert view.line().startswith("2 of 7 runs, 96/372 steps")
    assert StudyView(done).line() == "14 of 14 runs, 744/744 steps (100%)"


def _after(times: int) -> Callable[[], bool]:
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > times

    return stop


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"arms": {"a b": walk()}}, "'a b' is no name"),
        ({"arms": {"..": walk()}}, "no name"),
        ({"arms": {"a": Replay(of="b")}}, "replays 'b'"),
        ({"arms": {}}, "needs arms"),
        ({"seeds": (1, 1)}, "seeds each once"),
        ({"seeds": ()}, "seeds each once"),
        ({"baseline": "b"}, "no arm 'b'"),
        ({"levels": {"b": {"size": 3}}}, "no arm 'b'"),
    ],
)
def test_what_is_no_study_is_refused(wrong: dict[str, object], sentence: str) -> None:
    """Before anything runs."""
    settings: dict[str, object] = {"arms": {"a": walk()}, "seeds": (1,)} | wrong
    with pytest.raises(ValueError, match=sentence):
        Study(**settings)  # type: ignore[arg-type]


def test_a_grid_has_every_combination() -> None:
    """Named by its levels, numbers as numbers."""
    arms, levels = grid(
        walk_random_search(),
        exploit={"t20": Truncation(0.2), "tournament": binary_tournament},
        members={"3": 3, "5": 5},
        ready={"2": Every(2)},
    )

    assert list(arms) == ["t20-3-2", "t20-5-2", "tournament-3-2", "tournament-5-2"]
    assert isinstance(arms["t20-5-2"], PBT)
    assert arms["t20-5-2"].members == 5
    assert arms["t20-5-2"].ready == Every(2)
    assert levels["tournament-3-2"] == {"exploit": "tournament", "members": 3.0, "ready": 2.0}


def test_the_command_line_runs_a_study_and_goes_on_with_it(tmp_path: Path) -> None:
    """With a table in the end, and the command that analyses it."""
    command = [sys.executable, "-m", "core", "study", PRESET, "--out", str(tmp_path / "o")]
    command += ["--workers", "2", "--seeds", "1", "--no-fsync"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    status = [sys.executable, "-m", "core", "status", str(tmp_path / "o")]
    shown = subprocess.run(status, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, again.returncode, shown.returncode) == (0, 0, 0)
    assert "7 arms x 1 seeds, 2 workers" in done.stdout
    assert "python -m analysis ablation" in done.stdout
    assert "7 of 7 runs" in again.stdout
    assert "tournament-3" in shown.stdout


def test_more_seeds_do_not_change_with_which_code_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else jobs of another code would take themselves for those of the first."""
    began = open_study(tmp_path / "out", PRESET, [1]).code
    monkeypatch.setattr("core.study.study.code_version", lambda: "another")

    assert open_study(tmp_path / "out", PRESET, [2]).code == began
    assert open_study(tmp_path / "out").code == began
