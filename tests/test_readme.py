"""What the README shows is what happens."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.audits.check import check
from core.directory.run import resolve, resolve_any

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
GAN = (ROOT / "tasks/gan/README.md").read_text()
RL = (ROOT / "tasks/rl/README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def _commands() -> list[str]:
    lines = "".join(text for kind, text in BLOCKS if kind == "sh").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


def _is_quick(command: str) -> bool:
    return command.startswith("python -m") and "tasks.gan" not in command


def test_the_commands_run_in_their_order(tmp_path: Path) -> None:
    """In an empty directory with the README's own task in it; those that take minutes are not."""
    [code] = [text for kind, text in BLOCKS if kind == "python"]
    (tmp_path / "my_task.py").write_text(code)
    quick = [command for command in _commands() if _is_quick(command)]
    assert len(quick) >= 6

    for command in quick:
        if "digits" in command:
            continue
        words = [sys.executable, *shlex.split(command)[1:]]
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_every_preset_that_is_named_exists() -> None:
    """Those of the commands that take minutes, and those of the tables."""
    names = set(re.findall(r"tasks\.\w+\.presets:\w+", README + GAN + RL))

    assert len(names) >= 4
    for name in names:
        resolve_any(name)


@pytest.mark.parametrize("name", ["make test", "make reproduce", "make check"])
def test_the_two_commands_are_those_of_the_makefile(name: str) -> None:
    """A renamed target is noticed."""
    assert name in README
    assert f"\n{name.split()[1]}:" in (ROOT / "Makefile").read_text()


def test_no_placeholder_is_left() -> None:
    """Every number has been filled in."""
    for path in (ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("tasks/*/README.md")):
        assert not re.search(r"@[A-Z_]+@", path.read_text()), path


def test_every_file_that_is_named_is_there() -> None:
    """Links and paths of the README lead somewhere."""
    for path in (
        ROOT / "README.md",
        ROOT / "slurm/README.md",
        ROOT / "tasks/gan/README.md",
        ROOT / "tasks/rl/README.md",
    ):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_the_example_is_about_thirty_lines_and_keeps_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the README promises."""
    [code] = [text for kind, text in BLOCKS if kind == "python"]
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("#")]
    (tmp_path / "readme_task.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))

    findings = list(check(resolve("readme_task:pbt")))

    assert len(lines) <= 55
    assert all(finding.kept is not False for finding in findings)
