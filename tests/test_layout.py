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


# which other rooms each room may import; "." is the vocabulary beside the rooms
BELOW: dict[str, dict[str, set[str]]] = {
    "core": {
        ".": {"strategies"},
        "strategies": {"."},
        "directory": {".", "strategies"},
        "workers": {".", "strategies", "directory"},
        "status": {".", "strategies", "directory"},
        "audits": {".", "strategies", "directory", "workers"},
        "study": {".", "strategies", "directory", "workers", "status"},
        "terminal": {".", "strategies", "directory", "workers", "status", "audits", "study"},
    },
    "analysis": {
        ".": set(),
        "data": set(),
        "tables": {"data"},
        "figures": {"data", "tables"},
        "report": {"data", "tables", "figures"},
    },
}
FRONT = {  # modules beside the rooms that put them together, so that they may import any
    "core": {"__init__", "__main__", "memory", "presets", "running"},
    "analysis": {"__init__", "__main__"},
}
MODULES = 14  # in a room
LINES = 62  # of a function


def _room(package: str, name: str) -> str:
    """Return the room in which a module lies, by its dotted name."""
    parts = name.split(".")
    return parts[1] if (ROOT / package / parts[1]).is_dir() else "."


@pytest.mark.parametrize("package", BELOW)
def test_rooms_are_floors(package: str) -> None:
    """A room imports the rooms below it, and nothing runs back up."""
    rooms = {path.name for path in (ROOT / package).iterdir() if (path / "__init__.py").exists()}
    assert rooms | {"."} == set(BELOW[package])
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT / package).parts
        room = parts[0] if len(parts) > 1 else "."
        if room == "." and path.stem in FRONT[package]:
            continue
        for line, name in _imports(path):
            if name.startswith(f"{package}.") and (other := _room(package, name)) != room:
                place = f"{path.relative_to(ROOT)}:{line} imports {name}"
                assert other in BELOW[package][room], place


def test_algorithm_1_knows_no_file() -> None:
    """It stands on the first screen of core/pbt.py, and imports the vocabulary alone."""
    path = ROOT / "core/pbt.py"

    ours = {name for _, name in _imports(path) if name.startswith("core.")}

    assert {_room("core", name) for name in ours} == {"."}
    assert not any(name == "pathlib" or name.startswith("os") for _, name in _imports(path))
    lines = path.read_text().splitlines()
    assert lines.index(next(line for line in lines if "while not end of training" in line)) < 30


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_rooms_and_functions_are_small(package: str) -> None:
    """A room is seen at once, and a function on one screen."""
    for folder in (ROOT / package, *(ROOT / package).rglob("*/")):
        modules = [path for path in folder.glob("*.py") if not path.stem.startswith("__")]
        assert len(modules) <= MODULES, folder
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                assert node.end_lineno - node.lineno < LINES, f"{path}: {node.name}"
