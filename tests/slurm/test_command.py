"""The command line: a dry run, a missing package, a folder of runs, a wandering preset."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core import pbt
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import open_run, read_info
from slurm.__main__ import main
from tests.faults.storms import REPOSITORY
from tests.run_files import rewrite
from tests.slurm.fake import Fake

WALK = "tests.trainers:walk"
SINFO = "debug*|infinite|(null)"
BLOCKED = "raise ImportError('submitit is kept away')\n"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A fake Slurm that accepts any job, and an empty site file."""
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "site.toml").touch()
    monkeypatch.setenv("PBT_SLURM", str(tmp_path / "site.toml"))
    fake = Fake(tmp_path, monkeypatch)
    fake.says("sinfo", SINFO)
    fake.says("squeue", "")
    return fake


def _dry(out: Path, *words: str, preset: str = WALK, time: str = "10") -> int:
    options = ["--out", str(out), "--time", time, "--workers", "2", "--dry-run"]
    return main(["submit", preset, *options, *words])


def test_a_dry_run_does_all_but_the_submission(
    slurm: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run prints the script of sbatch and writes nothing."""
    before = {*tmp_path.iterdir()}
    assert _dry(tmp_path / "runs/one") == 0

    said = capsys.readouterr()
    assert "#SBATCH --array=0-1%2" in said.out
    assert f"{tmp_path}/runs/one.slurm/code-" in said.out
    assert "nothing submitted" in said.err
    assert {*tmp_path.iterdir()} - before == {slurm.log}
    asked = [line for line in slurm.asked() if line.startswith(("sbatch", "srun"))]
    assert len(asked) == 1
    assert asked[0].startswith("sbatch --test-only")


@pytest.mark.parametrize(
    ("preset", "words", "time", "sentence"),
    [
        ("tests.trainers:walks", (), "10", "there is no 'walks' in tests.trainers"),
        (WALK, ("--members", "0"), "10", "members"),
        (WALK, ("--partition", "nowhere"), "10", "there is no partition 'nowhere'"),
        (WALK, (), "1", "--time 1 is too short"),
    ],
)
def test_what_submit_refuses_a_dry_run_refuses(
    slurm: Fake,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    preset: str,
    words: tuple[str, ...],
    time: str,
    sentence: str,
) -> None:
    """The message is the same."""
    assert _dry(tmp_path / "one", *words, preset=preset, time=time) == 2

    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "one").exists()


def test_a_dry_run_reads_the_sites_file(
    slurm: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run finds a mistake in the site's file."""
    (tmp_path / "site.toml").write_text("partitoin = 'gpu'\n")
    assert _dry(tmp_path / "one") == 2

    assert "did you mean partition?" in capsys.readouterr().err


def test_a_dry_run_holds_an_existing_run_to_its_turns_and_its_code(
    slurm: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A turn longer than a job and a changed commit are refused; the run stays as it was."""
    run = open_run(tmp_path / "one", WALK)
    population = Members(run.root)
    population.enter(0)
    population.publish(Record(member=pbt.start(0, run.pbt), seconds={"step": 5000.0}))
    assert _dry(run.root) == 2
    assert "--time 10 is too short: a turn of this run takes" in capsys.readouterr().err

    assert _dry(run.root, time="3:00:00") == 0

    rewrite(run.root, {"code": "0123456789ab"})
    assert _dry(run.root, time="3:00:00") == 2
    assert "began with the code of commit 0123456789ab" in capsys.readouterr().err
    assert not (tmp_path / "one.slurm").exists()


def test_a_dry_run_refuses_a_directory_of_something_else(
    slurm: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal is that of the real submission; nothing is written."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/thesis.tex").touch()
    (tmp_path / "file").touch()

    assert _dry(tmp_path / "thesis") == 2
    assert "holds 'thesis.tex'" in capsys.readouterr().err
    assert _dry(tmp_path / "file") == 2
    assert "is a file" in capsys.readouterr().err
    assert _dry(tmp_path / "file/below") == 2
    assert "cannot begin a run" in capsys.readouterr().err


def test_a_dry_run_where_there_is_no_slurm_says_what_it_did_not_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checks that need no Slurm are still made."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.chdir(tmp_path)
    assert _dry(tmp_path / "one") == 0
    assert "Slurm was not asked" in capsys.readouterr().err

    assert main(["submit", WALK, "--out", str(tmp_path / "one"), "--dry-run"]) == 2

    assert "--time is missing" in capsys.readouterr().err


def test_a_helper_that_lies_elsewhere_is_missed_by_a_dry_run(
    slurm: Fake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A module that only this shell can import is an error before the submission."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far/far_helper.py").write_text("from tests.trainers import walk\n")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/near_task.py").write_text(
        "from far_helper import walk\n\n\ndef pbt():\n    return walk()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "far"))
    monkeypatch.syspath_prepend(str(tmp_path / "own"))

    assert _dry(tmp_path / "one", preset="near_task:pbt") == 2

    said = capsys.readouterr().err
    assert "cannot be made from the frozen code alone" in said
    assert "far_helper" in said


# --------------------------------------------------------------------------- other commands


def _without_submitit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "blocked").mkdir(exist_ok=True)
    (folder / "blocked/submitit.py").write_text(BLOCKED)
    return subprocess.run(
        [sys.executable, "-m", "slurm", *words],
        cwd=REPOSITORY,
        env={name: word for name, word in os.environ.items() if not name.startswith("SLURM")}
        | {"PYTHONPATH": str(folder / "blocked")},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_submitit_a_sentence_says_what_to_install(tmp_path: Path) -> None:
    """The commands that need submitit name it; the others work."""
    out = str(tmp_path / "run")
    worked = _without_submitit(tmp_path, "work", WALK, "--out", out, "--no-fsync")
    status = _without_submitit(tmp_path, "status", out)
    submit = _without_submitit(tmp_path, "submit", WALK, "--out", f"{out}2", "--cluster", "local")
    dry = _without_submitit(tmp_path, "submit", WALK, "--out", f"{out}2", "--dry-run")
    scale = _without_submitit(tmp_path, "scale", out, "--workers", "2")

    assert worked.returncode == status.returncode == 0, worked.stderr + status.stderr
    for refused in (submit, dry, scale):
        assert refused.returncode == 2
        assert "pip install -e '.[slurm]'" in refused.stderr
        assert "submitit is kept away" in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("command", [["status"], ["scale", "--workers", "2"]])
def test_of_a_folder_of_runs_its_runs_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    """Runs in deeper folders too; a study once, without its runs."""
    open_run(tmp_path / "runs/one", WALK)
    open_run(tmp_path / "runs/more/two", WALK)
    open_run(tmp_path / "runs/study/arm/1", WALK)
    (tmp_path / "runs/study/study.json").touch()
    monkeypatch.chdir(tmp_path)

    assert main([*command[:1], "runs", *command[1:]]) == 2

    said = capsys.readouterr().err
    assert f"{tmp_path}/runs is no run, but holds some" in said
    assert said.rstrip().endswith("give one of runs/more/two, runs/one, runs/study")


def test_of_a_folder_without_runs_it_is_said_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing folder gets a message too."""
    assert main(["status", str(tmp_path)]) == 2
    assert "it has no run.json" in capsys.readouterr().err

    assert main(["status", str(tmp_path / "none")]) == 2

    assert "there is no" in capsys.readouterr().err


def test_a_preset_that_changes_the_working_directory(tmp_path: Path) -> None:
    """A relative path of the command line still means the same place."""
    (tmp_path / "wanders.py").write_text(
        "import os\n\nos.chdir('below')\nfrom tests.trainers import walk\n\n\n"
        "def pbt():\n    return walk()\n"
    )
    (tmp_path / "below").mkdir()
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    words = ["work", "wanders:pbt", "--out", "run", "--no-fsync", "--workers", "2"]

    done = subprocess.run(
        [sys.executable, "-m", "slurm", *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert read_info(tmp_path / "run")["preset"] == "wanders:pbt"
    assert not list((tmp_path / "below").iterdir())
