"""The shape of the repository: who may import whom, and whose names are ours."""

import ast
import subprocess
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "tasks": {"core"},
    "slurm": {"core"},  # tasks by name alone
    "analysis": {"core"},
}
SHARED = ("tasks.download", "tasks.torch_state")  # what every task may import


def _imports(path: Path) -> set[tuple[int, str]]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found.add((node.lineno, node.module or ""))
        elif isinstance(node, ast.Import):
            found |= {(node.lineno, alias.name) for alias in node.names}
    return found


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_point_one_way(folder: str) -> None:
    """No folder imports one that it must be able to live without."""
    forbidden = set(MAY_IMPORT) - {folder} - MAY_IMPORT[folder]
    for path in sorted((ROOT / folder).rglob("*.py")):
        for line, name in _imports(path):
            assert name.split(".")[0] not in forbidden, f"{path.relative_to(ROOT)}:{line}: {name}"


def test_no_task_imports_another() -> None:
    """Each is a folder that can be deleted."""
    for path in sorted((ROOT / "tasks").rglob("*.py")):
        task = path.relative_to(ROOT / "tasks").parts[0]
        for line, name in _imports(path):
            parts = name.split(".")
            shared = name in SHARED
            assert parts[0] != "tasks" or shared or parts[1] == task, f"{path}:{line}"


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_our_names_are_ours(folder: str) -> None:
    """No installed package takes the name of one of our folders; see "Names" in the README."""
    where = import_module(folder).__file__

    assert where is not None, f"{folder} needs an __init__.py: without one, any other {folder} wins"
    assert Path(where).parent == ROOT / folder
    assert set(packages_distributions().get(folder, [])) <= {"pbt-repro"}


def test_nothing_large_is_committed() -> None:
    """Weights and data are made or fetched, never kept here."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        assert not path.exists() or path.stat().st_size < 500_000, name


def test_every_file_says_what_it_holds() -> None:
    """And holds few enough things to be read at one sitting."""
    for folder in MAY_IMPORT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text()
            assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
            assert len(text.splitlines()) <= 420, f"{path} is too long to be one idea"
