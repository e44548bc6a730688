"""A preset that cannot be had is answered with the mend, and the line of the user's own file."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.directory.run import RunError, resolve

ROOT = Path(__file__).parents[2]
GOOD = "from tests.trainers import walk\n"
Said = Callable[[str], str]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """What is said of a preset that is typed in a folder of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def ask(preset: str) -> str:
        for name in ("mine", "bad", "badd"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        with pytest.raises(RunError) as refused:
            resolve(preset)
        assert 'core/presets.py"' not in str(refused.value)
        return str(refused.value)

    return ask


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1 / 0", ["cannot be imported: ZeroDivisionError", 'mine.py", line 1']),
        ("def ok(:", ["cannot be imported: SyntaxError", "mine.py, line 1"]),
        ("def ok():\n    return {}['data_dir']", ["cannot be made: KeyError", 'mine.py", line 2']),
        (
            "from core.strategies import Truncation\ndef ok():\n    return Truncation(2)",
            ["fraction must be in (0, 0.5], got 2", "mine.py, line 3"],
        ),
        (
            "import nowhere_to_be_found",
            ["needs the package 'nowhere_to_be_found'", "mine.py"],
        ),
        ("import core.model", ["stands in the way of one of your own", "mine.core.model"]),
        ("from tasks.mine import net", ["'tasks' is a package of this program", "mine/tasks"]),
        ("def okay(): pass", ["there is no 'ok' in mine; did you mean 'okay'?"]),
    ],
)
def test_a_mistake_in_the_users_file_is_shown_with_its_line(
    tmp_path: Path, said: Said, code: str, words: list[str]
) -> None:
    """Nothing is advised that would do harm, such as to install a package called core.model."""
    (tmp_path / "mine.py").write_text(code + "\n")

    text = said("mine:ok")

    for word in words:
        assert word in text
    assert "pip install core" not in text


def test_a_file_name_is_answered_with_the_module(said: Said) -> None:
    """As a shell completes it."""
    assert "write mine:walk" in said("mine.py:walk")
    assert "write deep.mine:walk" in said("./deep/mine.py:walk")


def test_a_missing_module_is_answered_with_the_users_own_alone(tmp_path: Path, said: Said) -> None:
    """Never with one of Python's, such as bdb, its debugger; and with where one has looked."""
    nothing = said("bad:pbt")
    (tmp_path / "badd.py").write_text(GOOD)
    near = said("bad:pbt")

    assert "there is no module 'bad'" in nothing
    assert "did you mean 'bdb'" not in nothing
    assert str(tmp_path) in nothing
    assert "type the command in the directory in which your module is" in nothing
    assert "did you mean 'badd'" in near


def test_a_package_of_the_users_own_called_tasks_is_told_of(tmp_path: Path) -> None:
    """Where ours is found first, it says what is in the way, and the ways out."""
    (tmp_path / "tasks/mine").mkdir(parents=True)
    (tmp_path / "tasks/mine/presets.py").write_text(GOOD)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.argv = sys.argv[:1]\n"
        "from core.presets import resolve\nresolve('tasks.mine.presets:walk')"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "'tasks' is a package of this program, which stands in the way" in done.stderr
