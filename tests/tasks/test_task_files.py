"""Each task's small file, task.toml: extras, presets and places that exist."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.presets import resolve_any
from core.study.study import Study

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path for path in (ROOT / "tasks").iterdir() if (path / "__init__.py").exists())
NAMES = [folder.name for folder in FOLDERS]


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


def _presets(about: dict[str, Any]) -> Iterator[str]:
    """Return every preset that a file names, with the names of rows put in."""
    for table in about.get("tables", {}).values():
        for column in table["columns"].values():
            for row in column.get("rows") or table["numbers"]:
                yield column["preset"].replace("{row}", row)
    for result in about["results"]:
        yield from result["presets"]


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_a_task_has_a_file_with_its_extras_and_results(folder: Path) -> None:
    """Its extras are in pyproject.toml; a result has the paper's number, ours, and a place."""
    about = _read(folder / "task.toml")
    extras = _read(ROOT / "pyproject.toml")["project"]["optional-dependencies"]

    assert set(about["extras"]) <= set(extras)
    assert about["results"]
    for result in about["results"]:
        assert result.keys() == {"section", "presets", "paper", "ours", "where"}
        assert (ROOT / result["where"]).exists()


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_the_presets_that_a_task_names_exist(folder: Path) -> None:
    """Runs, studies, and arms of studies."""
    names = set(_presets(_read(folder / "task.toml")))
    made = {function: resolve_any(function) for function in {n.partition("[")[0] for n in names}}

    for name in names:
        function, _, arm = name.partition("[")
        assert function.startswith(f"tasks.{folder.name}.presets:")
        found = made[function]
        assert not arm or (isinstance(found, Study) and arm.removesuffix("]") in found.arms), name


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_the_columns_of_a_table_fit_together(folder: Path) -> None:
    """A baseline is another column; the population is that of the preset."""
    for table in _read(folder / "task.toml").get("tables", {}).values():
        for column in table["columns"].values():
            assert not column["baseline"] or column["baseline"] in table["columns"]
            for row in column.get("rows") or table["numbers"]:
                function, _, arm = column["preset"].replace("{row}", row).partition("[")
                run = resolve_any(function)
                if isinstance(run, Study):
                    run = run.arms[arm.removesuffix("]")]
                assert run.members == column["members"]  # type: ignore[attr-defined]


def test_the_set_up_installs_what_the_tasks_ask_for() -> None:
    """setup.sh names no extra of a task: a new task brings its own."""
    script = (ROOT / "setup.sh").read_text()
    code = script.split('extras=$("$python" -c \'')[1].split("')")[0]
    wanted = {extra for folder in FOLDERS for extra in _read(folder / "task.toml")["extras"]}

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    installed = done.stdout.strip().split(",")
    assert set(installed) == wanted | {"slurm", "analysis", "dev"}
    assert len(installed) == len(set(installed))
