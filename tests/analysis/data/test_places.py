"""What a command is about: runs, a study, a folder of runs; and a program that lacks a package."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.data.places import run_directories
from analysis.data.runs import read_run, read_runs
from core.directory.run import RunError, open_run
from core.status.places import runs_in
from core.study.study import open_study
from tests.analysis.runs import run_of
from tests.analysis.synthetic import write_run

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


def _runs_of(path: Path) -> set[str]:
    with (path / "members.csv").open() as file:
        return {row["run"] for row in csv.DictReader(file)}


def test_runs_are_found_in_a_study_and_in_folders(study: Path, tmp_path: Path) -> None:
    """They are found three levels deep; other folders and runs not begun are not."""
    shutil.copytree(study, tmp_path / "runs" / "study")
    shutil.rmtree(tmp_path / "runs" / "study" / "final")
    one = write_run(tmp_path / "runs" / "one", 2, 2)
    deep = write_run(tmp_path / "runs" / "folder" / "two", 2, 2)
    write_run(tmp_path / "runs" / "a" / "b" / "c" / "three", 2, 2)
    (tmp_path / "runs" / "nothing").mkdir()
    (tmp_path / "runs" / "file").write_text("")

    found = runs_in(tmp_path / "runs")

    assert {one, deep} < set(found)
    assert len(found) == 2 + 6 * 3
    assert runs_in(one) == [one]
    assert len(runs_in(study)) == 7 * 3
    assert runs_in(tmp_path / "runs" / "nothing") == runs_in(tmp_path / "runs" / "file") == []


def test_a_run_that_is_named_twice_by_a_folder_is_taken_once(tmp_path: Path) -> None:
    """A folder and the run itself, or two folders, may name it."""
    one = write_run(tmp_path / "runs" / "one", 2, 2)
    two = write_run(tmp_path / "runs" / "two", 2, 2)

    found = run_directories([tmp_path / "runs", one, tmp_path / "runs" / "..", tmp_path / "runs"])

    assert sorted(place.path.resolve() for place in found) == [one, two]
    with_itself = run_directories([one, one])  # which `figures` refuses
    assert [place.path for place in with_itself] == [one, one]


def test_what_lies_beside_a_run_for_its_jobs_is_left_out(tmp_path: Path) -> None:
    """A glob also matches these folders."""
    one = write_run(tmp_path / "one", 2, 2)
    (tmp_path / "one.slurm").mkdir()

    found = run_directories([one, tmp_path / "one.slurm"])

    assert [place.path for place in found] == [one]


@pytest.mark.parametrize("command", ["members", "tables", "figures", "report"])
def test_a_study_is_taken_as_its_runs(
    command: str,
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Runs that are missing are named, with the reason."""
    monkeypatch.setattr("analysis.figures.catalogue.figures", lambda runs, lower: iter(()))
    monkeypatch.setattr("analysis.report.page.figures", lambda runs, lower: iter(()))
    shutil.copytree(study, root := tmp_path / "study")
    shutil.rmtree(root / "final" / "2")
    shutil.rmtree(root / "replay" / "3")
    open_run(root / "replay" / "3", "tests.trainers:walk", {"seed": 3})
    out = tmp_path / ("a.html" if command == "report" else "out")

    assert main([command, str(root), "--out", str(out)]) == 0

    said = out.read_text() if command == "report" else capsys.readouterr().err
    assert f"1 run has not begun, left out here: {root / 'final' / '2'}" in said
    assert f"left out: {root / 'replay' / '3'} has nothing to show" in said
    if command == "members":
        assert len(_runs_of(out)) == 19


def test_a_folder_of_runs_is_taken_as_its_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs without records are left out; a folder with only such runs is refused."""
    for name in ("one", "two"):
        write_run(tmp_path / "runs" / name, 2, 2)
    open_run(tmp_path / "runs" / "new", "tests.trainers:walk")

    assert main(["members", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0

    assert _runs_of(tmp_path / "out") == {"one", "two"}
    assert f"left out: {tmp_path / 'runs' / 'new'} has nothing to show" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "runs" / "one")
    shutil.rmtree(tmp_path / "runs" / "two")
    assert main(["members", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
    assert "no run in" in capsys.readouterr().err


def test_a_side_of_a_comparison_is_a_folder_of_one_arm(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a folder of several arms, the message names their directories."""
    ours, theirs, out = str(study / "truncation-5"), str(study / "baseline"), str(tmp_path)
    assert main(["compare", ours, "--against", theirs, "--out", out]) == 0
    assert "3 seeds in pairs" in capsys.readouterr().out

    both = main(["compare", str(study), "--against", theirs, "--out", out])
    several = main(["compare", ours, "--against", str(study), "--out", out])

    said = capsys.readouterr().err
    assert (both, several) == (2, 2)
    assert f"{study} holds runs of 7 arms" in said
    assert f"{study / 'tournament-3'}/*" in said
    assert main(["compare", ours, "--against", ours, "--out", out]) == 2
    assert "is on both sides" in capsys.readouterr().err


def test_a_run_of_a_folder_that_goes_on_is_left_out_of_a_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--so-far keeps it; a run that was given itself is refused."""
    never: dict[str, object] = {"ready": "core:never"}
    space = {"priors": {"rate": {"is": "x"}}}
    trainer: dict[str, object] = {"task": {"trainer": "x", "space": space, "score": "y"}}
    for seed, until in ((1, {}), (2, dict.fromkeys(range(4), 5)), (3, {})):
        ours, theirs = tmp_path / "ours" / str(seed), tmp_path / "theirs" / str(seed)
        write_run(ours, 4, 8, preset="m:pbt", settings=trainer, seed=seed, until=until)
        write_run(theirs, 4, 8, seed=seed, settings=never | trainer, preset="m:search")
    against = ["--against", str(tmp_path / "theirs"), "--out", str(tmp_path / "out")]

    assert main(["compare", str(tmp_path / "ours"), *against]) == 0

    said = capsys.readouterr()
    assert "2 seeds in pairs" in said.out
    assert f"left out: {tmp_path / 'ours' / '2'} is not done" in said.err
    each = [str(tmp_path / "ours" / seed) for seed in "123"]
    assert main(["compare", *each, *against]) == 2
    assert main(["compare", str(tmp_path / "ours"), *against, "--so-far"]) == 0
    assert "3 seeds in pairs" in capsys.readouterr().out


def test_a_place_without_runs_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """It is empty, missing, a part of a run, or a study that has not begun."""
    run = write_run(tmp_path / "run", 2, 2)
    open_study(tmp_path / "new", "tests.trainers:small_study")
    (tmp_path / "empty").mkdir()

    for path, said in (
        (tmp_path / "empty", "nor has any folder in it, 3 levels deep"),
        (tmp_path / "away", "there is no such directory"),
        (run / "members", f"it lies in one; give {run}"),
        (tmp_path / "new", "a study of which no run has begun yet"),
    ):
        with pytest.raises(RunError) as caught:
            run_directories([path])
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("preset", "why"),
    [("too_late", "no member was ever ready (ready=Every(steps=1000"), ("stays", "to stay")],
)
def test_pbt_without_copies_is_called_a_random_search(
    preset: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """figures, compare and report say so with the reason; a random search gets no note."""
    root = str(run_of(tmp_path / preset, f"tests.analysis.odd:{preset}"))
    search = str(run_of(tmp_path / "search", "tests.trainers:walk_random_search"))
    [run] = read_runs([Path(root)])

    assert main(["figures", root, search, "--out", str(tmp_path / "out")]) == 0
    drawn = capsys.readouterr().err
    assert main(["compare", root, "--against", search, "--out", str(tmp_path / "out")]) == 0
    compared = capsys.readouterr().out
    assert main(["report", root, search, "--out", str(tmp_path / "a.html")]) == 0

    assert why in run.idle
    assert "It is a random search." in run.idle
    assert f"warning: {run.idle}" in drawn
    assert f"NOT PBT: {run.idle}" in compared
    assert "No member copied another in" in (tmp_path / "a.html").read_text()
    assert run.idle in (tmp_path / "out" / "captions.md").read_text()
    assert read_runs([Path(search)])[0].idle == ""


def test_a_run_that_goes_on_has_no_copies_so_far(tmp_path: Path) -> None:
    """Its members may still become ready."""
    run = read_run(
        write_run(
            tmp_path / "run", 4, 12, preset="m:pbt", every=4, until=dict.fromkeys(range(4), 2)
        )
    )

    assert run.idle.endswith("So far it is a random search.")


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
from analysis.__main__ import main
sys.exit(main({arguments!r}))
"""


def _without(names: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    code = BLOCKED.format(names=names, arguments=list(arguments))
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_what_draws_nothing_needs_nothing_that_draws(
    arms: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    """`compare`, `members` and `tables` do without matplotlib."""
    ours, theirs = str(arms[0][0]), str(arms[1][0])
    out = ["--out", str(tmp_path)]
    missing = ("matplotlib", "networkx", "PIL")

    done = [
        _without(missing, "compare", ours, "--against", theirs, *out),
        _without(missing, "members", ours, *out),
        _without(missing, "tables", ours, *out),
    ]

    assert [(found.returncode, found.stderr) for found in done] == [(0, "")] * 3


@pytest.mark.parametrize(
    ("command", "package"),
    [("ablation", "matplotlib")]
    + [(c, p) for c in ("figures", "report") for p in ("matplotlib", "networkx", "PIL")],
)
def test_what_draws_says_what_to_install(
    command: str, package: str, arms: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    """The message is a sentence, and nothing is written."""
    out = str(tmp_path / "out.html")

    found = _without((package,), command, str(arms[0][0]), "--out", out)

    assert found.returncode == 2
    assert "pip install -e '.[analysis]'" in found.stderr
    assert package.replace("PIL", "pillow") in found.stderr
    assert "Traceback" not in found.stderr
    assert list(tmp_path.iterdir()) == []
