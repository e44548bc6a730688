"""The frozen code: equal code has the same place, and changes are detected."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.directory.run import RunError, code_version
from slurm.code.snapshot import freeze, thaw
from slurm.code.sources import PROJECT

TASK = "from tasks.toy.presets import pbt\n\n\ndef mine():\n    return pbt()\n"


def test_the_same_code_is_frozen_once(tmp_path: Path) -> None:
    """The snapshot has the commit and every module, and nothing that git ignores."""
    first = freeze("tests.trainers:walk", tmp_path)
    again = freeze("tests.trainers:walk", tmp_path)

    assert first == again == thaw(first.folder)
    assert first.commit == code_version()
    assert len(list(tmp_path.iterdir())) == 1
    assert (first.folder / "project/core/pbt.py").read_bytes() == (
        PROJECT / "core/pbt.py"
    ).read_bytes()
    assert not list(first.folder.rglob("__pycache__"))
    assert not (first.folder / "project/.venv").exists()


def test_a_change_is_found_out(tmp_path: Path) -> None:
    """A changed file, a changed name and an added file are detected."""
    frozen = freeze("tests.trainers:walk", tmp_path)
    file = frozen.folder / "project/core/pbt.py"
    file.chmod(0o644)
    file.write_text(file.read_text() + "\n# changed\n")

    with pytest.raises(RunError, match="was changed after it was frozen"):
        thaw(frozen.folder)


def test_a_changed_one_is_replaced_by_what_is_frozen_again(tmp_path: Path) -> None:
    """A changed snapshot is replaced by a correct one."""
    frozen = freeze("tests.trainers:walk", tmp_path)
    (frozen.folder / "project/core/more.py").write_text("")

    assert freeze("tests.trainers:walk", tmp_path) == frozen == thaw(frozen.folder)


def test_what_is_no_code_may_be_edited_meanwhile(tmp_path: Path) -> None:
    """The snapshot holds the packages and the preset's folder, without documents."""
    frozen = freeze("tasks.toy.presets:pbt", tmp_path)
    names = {path.name for path in (frozen.folder / "project").iterdir()}
    assert names == {"core", "tasks", "slurm", "analysis", "paper", "SNAPSHOT"}
    assert not list(frozen.folder.rglob("*.md"))


def test_a_snapshot_that_is_gone_is_named(tmp_path: Path) -> None:
    """A missing snapshot is an error with a sentence."""
    with pytest.raises(RunError, match="not a snapshot of the code any more"):
        thaw(tmp_path / "code-0")


def _own(folder: Path) -> None:
    folder.mkdir()
    (folder / "my_frozen_task.py").write_text(TASK)
    (folder / "helper.py").write_text("X = 1\n")
    (folder / "package").mkdir()
    (folder / "package/module.py").write_text("Y = 2\n")
    (folder / "data.bin").write_bytes(bytes(6 * 2**20))


def test_a_task_of_ones_own_is_frozen_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without git, modules and packages are copied; large data are linked."""
    _own(tmp_path / "own")
    monkeypatch.syspath_prepend(str(tmp_path / "own"))

    frozen = freeze("my_frozen_task:mine", tmp_path / "jobs")

    kept = {
        str(path.relative_to(frozen.folder / "own")) for path in frozen.folder.rglob("own/**/*")
    }
    assert {"my_frozen_task.py", "helper.py", "package/module.py"} <= kept
    assert (frozen.folder / "own/data.bin").readlink() == tmp_path / "own/data.bin"


def test_in_a_repository_git_says_what_belongs_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ignored files are not copied; files too large to be code are named."""
    own = tmp_path / "own"
    _own(own)
    (own / ".gitignore").write_text("helper.py\n")
    subprocess.run(["git", "init", "-q", str(own)], check=True)
    monkeypatch.syspath_prepend(str(own))

    frozen = freeze("my_frozen_task:mine", tmp_path / "jobs")

    assert (frozen.folder / "own/my_frozen_task.py").exists()
    assert not (frozen.folder / "own/helper.py").exists()
    assert frozen.left == (own / "data.bin",)


def test_a_job_imports_from_the_snapshot_and_from_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot wins over modules of the same names in the working directory."""
    _own(tmp_path / "own")
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    frozen = freeze("my_frozen_task:mine", tmp_path / "jobs")
    (tmp_path / "own/core").mkdir()
    (tmp_path / "own/core/__init__.py").write_text("raise RuntimeError('the wrong one')\n")
    (tmp_path / "own/my_frozen_task.py").write_text("raise RuntimeError('the wrong one')\n")
    code = (
        "import core.pbt, my_frozen_task; print(core.pbt.__file__); print(my_frozen_task.__file__)"
    )
    command = f"import sys; exec({code!r})"

    said = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path / "own",
        env=dict(os.environ) | frozen.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert all(Path(path).is_relative_to(frozen.folder) for path in said)


def test_the_snapshot_says_of_which_commit_it_is(tmp_path: Path) -> None:
    """A job can compare commits although the snapshot has no git."""
    frozen = freeze("tests.trainers:walk", tmp_path)

    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "from core.directory.run import code_version; print(code_version())",
        ],
        cwd=tmp_path,
        env=dict(os.environ) | frozen.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

    assert said == frozen.commit
