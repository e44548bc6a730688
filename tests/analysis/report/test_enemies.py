"""Hostile names of directories, presets and axes of a study."""

import shutil
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.data.names import file_name
from analysis.data.runs import folders
from tests.analysis.runs import written
from tests.run_files import rewrite


def _renamed(run: Path, to: Path, preset: str) -> str:
    """Copy a run as if a preset of another name had made it."""
    shutil.copytree(run, to)
    rewrite(to, {"preset": preset})
    return str(to)


@pytest.mark.parametrize("name", ["/{root}/away", "../../away", "a\nb <i>$x$ 'q' \"r\" #1"])
def test_no_file_is_written_outside_of_the_directory_for_them(
    name: str, arms: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    """No preset name can do so, and no file name has a line break."""
    preset = f"somebody:{name.format(root=tmp_path)}"
    ours = [_renamed(run, tmp_path / f"ours {i}\n", preset) for i, run in enumerate(arms[0][:2])]
    before, out = set(tmp_path.rglob("*")), tmp_path / "a" / "b"

    assert main(["compare", *ours, "--against", *map(str, arms[1][:2]), "--out", str(out)]) == 0

    new = set(tmp_path.rglob("*")) - before - {out, out.parent}
    assert len(new) == 4
    assert {path.parent for path in new} == {out}
    assert not any(set(path.name) & set("\n/<>$'\"# ") for path in new)


def test_names_of_files_are_told_apart() -> None:
    """They differ even if the names differ only in forbidden characters."""
    runs = [written([[1.0]]) for _ in range(3)]
    for run, path in zip(runs, ("/r/a b", "/r/a_b", "/s/c"), strict=True):
        object.__setattr__(run, "path", Path(path))

    found = folders(runs)

    assert len({file_name(name) for name in found}) == 3


def test_a_run_on_both_sides_is_refused(
    arms: tuple[list[Path], list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any path to it is refused, because the comparison would be meaningless."""
    ours = [str(path) for path in arms[0][:2]]
    again = str(arms[0][1] / ".." / arms[0][1].name)

    assert main(["compare", *ours, "--against", again, "--out", str(tmp_path)]) == 2

    assert f"{arms[0][1].resolve()} is on both sides" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
