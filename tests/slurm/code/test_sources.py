"""Which files are frozen: all that a preset needs, wherever it lies, and no data."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from slurm.code import sources
from slurm.code.snapshot import freeze, thaw
from slurm.preflight import check_imports
from tests.faults.storms import REPOSITORY

pytestmark = pytest.mark.slow
HELPER = "from tasks.toy.presets import pbt as toy\n\n\ndef make():\n    return toy()\n"
PRESET = "from {} import make\n\n\ndef pbt():\n    return make()\n"
LATE = "def pbt():\n    from {} import make\n\n    return make()\n"
PRESETS = {  # the preset by its text's place, with the helper that lies beside the top folder
    "alone:pbt": ("alone.py", PRESET.format("the_helper")),
    "late:pbt": ("late.py", LATE.format("the_helper")),
    "packed.deep.presets:pbt": ("packed/deep/presets.py", PRESET.format("the_helper")),
    "named.deep.presets:pbt": ("named/deep/presets.py", PRESET.format("the_helper")),
    "near.deep.presets:pbt": ("near/deep/presets.py", PRESET.format("..lower.more")),
}


def _write(root: Path) -> None:
    """Write a helper, a module, a package and namespace packages into a folder."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "the_helper.py").write_text(HELPER)
    for place, text in PRESETS.values():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    for folder in ("packed", "packed/deep"):
        (root / folder / "__init__.py").touch()
    (root / "near/lower").mkdir()
    (root / "near/lower/more.py").write_text(HELPER)


def _git(root: Path, ignored: str = "__pycache__\n") -> None:
    (root / ".gitignore").write_text(ignored)
    subprocess.run(["git", "init", "-q", str(root)], check=True)


def _none(root: Path) -> None:
    """Leave the folder as it is."""


def _ignoring(root: Path) -> None:
    """Let a git repository around the folder ignore it."""
    _git(root.parent, f"/{root.name}\n")


def _ignored_helpers(root: Path) -> None:
    """Let a repository know the presets, and ignore what they import."""
    _git(root, "the_helper.py\nmore.py\n")


@pytest.mark.parametrize(
    ("prepare", "preset"),
    [
        *((prepare, preset) for prepare in (_none, _ignored_helpers) for preset in PRESETS),
        (_git, "named.deep.presets:pbt"),
        (_ignoring, "named.deep.presets:pbt"),
    ],
)
def test_a_preset_is_made_from_the_frozen_code_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str, prepare: Callable[[Path], None]
) -> None:
    """Whatever kind of module it is in, and whatever git knows of it."""
    root = tmp_path / "own"
    _write(root)
    prepare(root)
    monkeypatch.syspath_prepend(str(root))

    frozen = freeze(preset, tmp_path / "jobs")

    check_imports(frozen, preset)  # raises where something is missing
    assert (frozen.folder / "own" / PRESETS[preset][0]).read_bytes() == (
        root / PRESETS[preset][0]
    ).read_bytes()


def test_the_frozen_code_reads_the_papers_numbers_from_its_own_copy(tmp_path: Path) -> None:
    """A job that makes a preset of the paper's tables finds them beside its frozen code."""
    frozen = freeze("tasks.rl.presets:table_3", tmp_path / "jobs")

    said = subprocess.run(
        [sys.executable, "-c", "from tasks.rl import scores; print(scores.PAPER, scores.TABLE_3)"],
        cwd=tmp_path,
        env=os.environ | frozen.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert said.startswith(f"{frozen.folder / 'project' / 'paper'} ")
    assert "BuildMarines" in said
    for name in ("tables.json", "human_scores.json"):
        copy = frozen.folder / "project" / "paper" / name
        assert not copy.is_symlink()
        assert copy.read_bytes() == (REPOSITORY / "paper" / name).read_bytes()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this program, a git repository in whose root the user's own tasks lie."""
    tree = tmp_path_factory.mktemp("project")
    for name in sources.PARTS:
        shutil.copytree(
            REPOSITORY / name, tree / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    _write(tree)
    _write(tree / "scratch")
    (tree / "tasks/mine").mkdir()
    (tree / "tasks/mine/presets.py").write_text(PRESET.format("the_helper"))
    _git(tree, "__pycache__\n/scratch\n/tasks/mine\n")
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    for words in (("add", "-A"), ("commit", "-qm", "All of it")):
        subprocess.run(["git", "-C", str(tree), *who, *words], check=True)
    return tree


def _submit(
    preset: str, out: Path, *options: str, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "slurm", "submit", preset, "--out", str(out)]
    return subprocess.run(
        [*words, "--cluster", "local", "--no-fsync", *options],
        cwd=cwd,
        env={name: word for name, word in os.environ.items() if not name.startswith("SLURM")}
        | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("preset", "inside"),
    [
        ("alone:pbt", "."),
        ("packed.deep.presets:pbt", "."),
        ("named.deep.presets:pbt", "."),
        ("scratch.near.deep.presets:pbt", "."),
        ("alone:pbt", "scratch"),
        ("tasks.mine.presets:pbt", "."),
    ],
)
def test_tasks_in_the_project_itself_are_frozen(project: Path, preset: str, inside: str) -> None:
    """In its root, in a folder that its git ignores, among its own tasks; nothing is written."""
    before = {path for path in project.rglob("*") if "__pycache__" not in path.parts}
    done = _submit(
        preset,
        Path("runs/one"),
        "--dry-run",
        cwd=project / inside,
        env={"PYTHONPATH": str(project)},
    )

    assert done.returncode == 0, done.stderr
    assert f"{project / inside}/runs/one.slurm/code-" in done.stdout
    after = {path for path in project.rglob("*") if "__pycache__" not in path.parts}
    assert after == before


def test_a_run_of_a_task_in_the_projects_root(project: Path) -> None:
    """Is done, in this process; that the preset goes elsewhere changes nothing."""
    text = (project / "alone.py").read_text()
    (project / "wanders.py").write_text(f"import os\n\nos.chdir('/')\n{text}")

    done = _submit(
        "wanders:pbt", Path("runs/debug"), "--steps", "2", "--cluster", "debug", cwd=project
    )

    assert done.returncode == 0, done.stderr
    info = json.loads((project / "runs/debug/run.json").read_text())
    assert info["epochs"][-1]["preset"] == "wanders:pbt"
    assert (project / "runs/debug.slurm").is_dir()


def test_what_is_frozen_is_no_change_of_the_projects_code(project: Path) -> None:
    """A run beside the task, in the project's own repository, is of the same code before and after.

    Else the jobs would refuse it, and nobody could go on with it.
    """
    code = (
        "from pathlib import Path; from core.directory.run import code_version; "
        "from slurm.code.snapshot import freeze; "
        "print(code_version()); freeze('alone:pbt', Path('one.slurm')); "
        "print(code_version())"
    )

    said = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    ).stdout.split()

    assert said[0] == said[1] != "unknown"
    assert list((project / "one.slurm").glob("code-*/own/alone.py"))


def test_data_stay_where_they_are_and_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a module, in a package, a folder of many small files: a link leads to each."""
    root = tmp_path / "own"
    _write(root)
    for place in ("large.bin", "packed/deep/large.bin"):
        (root / place).write_bytes(bytes(sources.LARGE + 1))
    (root / "packed/images").mkdir()
    for i in range(sources.MANY + 1):
        (root / f"packed/images/{i}.png").write_text("x")
    (root / "packed/small.json").write_text("{}")
    monkeypatch.syspath_prepend(str(root))

    frozen = freeze("packed.deep.presets:pbt", tmp_path / "jobs")

    own = frozen.folder / "own"
    for place in ("large.bin", "packed/deep/large.bin", "packed/images"):
        assert (own / place).readlink() == root / place
    assert not (own / "named").exists(), "the code of another preset, as it is and not as it was"
    assert frozen.left == (root / "packed/deep/large.bin", root / "packed/images")
    assert not (own / "packed/small.json").is_symlink()
    (root / "large.bin").write_bytes(b"other data")
    assert thaw(frozen.folder).digest == frozen.digest


def test_a_run_directory_beside_a_task_is_neither_copied_nor_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes while the run goes on, and what is in it is not to be imported."""
    root = tmp_path / "own"
    _write(root)
    for name in ("a_run", "packed/a_run", "a_run.slurm"):
        (root / name).mkdir()
        (root / name / "run.json").touch()
        (root / name / "weights.py").touch()
    monkeypatch.syspath_prepend(str(root))

    frozen = freeze("packed.deep.presets:pbt", tmp_path / "jobs")

    assert not list((frozen.folder / "own").rglob("*a_run*"))


def test_a_folder_of_everything_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a home full of other projects, what the preset imports is frozen."""
    root = tmp_path / "home"
    _write(root)
    (root / "other").mkdir()
    (root / "other/module.py").touch()
    for i in range(20):
        (root / f"other/{i}.txt").touch()
    monkeypatch.setattr(sources, "FILES", 10)
    monkeypatch.syspath_prepend(str(root))

    frozen = freeze("packed.deep.presets:pbt", tmp_path / "jobs")

    check_imports(frozen, "packed.deep.presets:pbt")
    assert not (frozen.folder / "own/other").exists()
