"""What a person names: runs, studies, folders of them, and names that are a little wrong."""

import shlex
from pathlib import Path

import pytest

from core.directory.run import RunError, open_run, read_info
from core.status.places import await_run, go_on, not_begun, one_run, runs_in, shown
from core.study.study import open_study

PRESET, STUDY = "tests.trainers:walk", "tests.trainers:small_study"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs, and a study of which two runs have begun; one stands above it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("core.status.places.STARTED_IN", str(tmp_path))
    for name in ("walk-10", "walk-2"):
        open_run(tmp_path / "runs" / name, PRESET)
    study = open_study(tmp_path / "runs/study", STUDY)
    for seed in (1, 2):
        study.begin("baseline", seed)
    return tmp_path / "runs"


def test_the_runs_of_a_study_and_of_a_folder_are_found(runs: Path) -> None:
    """In the order in which people count; what has not begun is known, too."""
    baseline = [runs / "study/baseline" / seed for seed in "12"]

    assert runs_in(runs / "study") == baseline
    assert runs_in(runs) == [*baseline, runs / "walk-2", runs / "walk-10"]
    assert runs_in(runs / "walk-2") == [runs / "walk-2"]
    assert len(not_begun(runs / "study")) == 7 * 2 - 2


def test_neither_links_nor_the_folders_of_a_run_are_searched(runs: Path) -> None:
    """A link may lead anywhere; weights may be many."""
    (runs / "link").symlink_to(runs / "walk-2")
    open_run(runs / "weights/odd", PRESET)
    open_run(runs / "a/b/c/deep", PRESET)

    assert {path.name for path in runs_in(runs)} == {"1", "2", "walk-2", "walk-10"}


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("runs/study", "runs/study is a study; its runs are: runs/study/baseline/1, runs/study"),
        ("runs", "runs is a folder of runs; its runs are: runs/study/baseline/1"),
        ("runs", "`schedule` needs one of them: python -m core schedule runs/study/baseline/1"),
        ("runs/wakl-2", "there is no runs/wakl-2; did you mean runs/walk-2?"),
        ("rusn/walk-10", "did you mean runs/walk-10?"),
        ("runs/other", "in runs there are: runs/study, runs/walk-2, runs/walk-10"),
        ("runs/walk-2/members", "lies in a run: give the run itself, runs/walk-2"),
        ("runs/walk-2/run.json", "lies in a run: give the run itself, runs/walk-2"),
        ("empty", "empty is not a run directory: it has no run.json, and no run lies below it"),
    ],
)
def test_what_is_no_run_is_answered_with_those_that_are(
    runs: Path, place: str, sentence: str
) -> None:
    """By name, and with the command that takes one."""
    Path("empty").mkdir()

    with pytest.raises(RunError) as error:
        one_run(Path(place), "schedule")

    assert sentence in str(error.value)


def test_a_path_is_shown_as_one_would_type_it(runs: Path) -> None:
    """Short below the current directory, whole elsewhere."""
    assert shown(runs / "walk-2") == "runs/walk-2"
    assert shown(Path("/elsewhere")) == "/elsewhere"


def test_the_line_that_goes_on_can_be_typed(tmp_path: Path) -> None:
    """With what was overridden, and with names that a shell leaves whole."""
    root = tmp_path / "a run; it's mine"
    open_run(root, PRESET, {"seed": 3, "members": 4, "mode": "asynchronous"})

    line = go_on(root, read_info(root))

    assert shlex.split(line) == [
        *("python", "-m", "core", "run", PRESET, "--out", str(root)),
        *("--seed", "3", "--members", "4", "--mode", "asynchronous"),
    ]


def test_a_replay_goes_on_by_a_worker_and_a_run_of_a_study_with_its_study(runs: Path) -> None:
    """What `run` could not repeat is not offered."""
    schedule = [[0, {"rate": 0.1}]]
    replay = open_run(runs / "replay", PRESET, {"schedule": schedule})
    arm = open_run(runs / "arm", f"{STUDY}[baseline]")
    jobs = open_run(runs / "jobs", PRESET)
    (runs / "jobs.slurm").mkdir()
    inside = runs / "study/baseline/1"

    assert go_on(replay.root, replay.info) == "python -m core work runs/replay"
    assert go_on(inside, read_info(inside)) == f"python -m core study {STUDY} --out runs/study"
    assert f"run '{STUDY}[baseline]' --out runs/arm" in go_on(arm.root, arm.info)
    assert go_on(jobs.root, jobs.info) == "python -m slurm status runs/jobs"


def test_what_is_not_there_yet_is_awaited(runs: Path) -> None:
    """Whoever waits is told so, with the name that may have been meant; then it begins."""
    said = []

    def begin(line: str) -> None:
        said.append(line)
        (runs / "later").mkdir()
        open_run(runs / "later", PRESET)

    await_run(runs / "later", begin, pause=0.01)

    assert "runs/later is not there yet" in said[0]
    assert "Ctrl-C" in said[0]


def test_something_else_is_not_awaited(runs: Path) -> None:
    """It would never become a run."""
    (runs / "notes").mkdir()
    (runs / "notes/a.txt").touch()

    for place in (runs / "notes", runs / "notes/a.txt", runs):
        with pytest.raises(RunError):
            await_run(place, print)
