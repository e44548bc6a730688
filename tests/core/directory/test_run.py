"""run.json: what is run is written down, and a directory is held to it."""

import functools
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from core.directory.run import RunError, describe, differences, open_run, read_info, resolve
from core.directory.sealed import seal
from core.settings import PBT
from core.strategies.exploit import Truncation
from core.strategies.explore import Perturb
from core.strategies.ready import Every
from core.workers.worker import work
from tests import trainers

WALK = "tests.trainers:walk"


def test_a_directory_goes_on_with_the_same_settings_only(tmp_path: Path) -> None:
    """And names those that differ, once a step is trained."""
    work(open_run(tmp_path / "run", WALK, {"seed": 3}), durable=False, turns=1)
    before = (tmp_path / "run/run.json").read_bytes()

    open_run(tmp_path / "run", WALK, {"seed": 3})
    with pytest.raises(RunError, match=r"(?s)steps: 12 in the run, 20 now.*seed: 3 in the run, 0"):
        open_run(tmp_path / "run", WALK, {"steps": 20})

    assert (tmp_path / "run/run.json").read_bytes() == before


def test_a_run_knows_what_it_is(tmp_path: Path) -> None:
    """A worker needs the directory alone."""
    open_run(tmp_path / "run", WALK, {"seed": 3, "members": 4})

    again = open_run(tmp_path / "run")

    assert (again.preset, again.pbt.seed, again.pbt.members) == (WALK, 3, 4)
    assert {"code", "versions", "host", "machine", "began", "overrides"} <= set(again.info)


def test_settings_are_described_alike_in_any_process() -> None:
    """No address of anything; rules by their names and values."""
    described = json.dumps(describe(trainers.walk()))

    assert "0x" not in described
    assert '"is": "core:Truncation", "fraction": 0.4' in described
    assert json.loads(described) == json.loads(json.dumps(describe(trainers.walk())))


def test_every_setting_makes_a_difference() -> None:
    """Whatever is replaced in a run shows, by its path."""
    pbt = trainers.walk()
    changes = {
        "exploit": Truncation(0.3),
        "explore": Perturb((0.5, 2.0)),
        "ready": Every(3),
        "inherit": ("weights",),
        "steps": 13,
        "seed": 1,
        "mode": "asynchronous",
        "rescues": 1,
    }

    for name, value in changes.items():
        lines = differences(describe(pbt), describe(replace(pbt, **{name: value})))  # type: ignore[arg-type]
        assert lines
        assert all(line.startswith(name) for line in lines), lines


def test_a_setting_that_cannot_be_written_down_is_refused() -> None:
    """Nobody could say afterwards what was run."""
    described = describe(functools.partial(trainers.Walk, 3))

    assert described == {
        "is": "partial",
        "of": "tests.trainers:Walk",
        "args": [3],
        "keywords": {},
    }
    for setting in (object(), lambda: 0, Truncation().__call__):
        with pytest.raises(RunError, match="cannot be written down"):
            describe(setting)
    assert describe(frozenset("abc")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("walk", "is not a preset; write module:function"),
        ("tests.trainer:walk", "no module 'tests.trainer'; did you mean 'tests.trainers'"),
        ("tests.trainers:wolk", "no 'wolk' in tests.trainers; did you mean 'walk'"),
        ("tests.trainers:not_a_preset", "is a int, where a preset returns a PBT"),
        ("tasks.toy.preset:pbt", "did you mean 'tasks.toy.presets'"),
        ("nowhere.at.all:pbt", "there is no module 'nowhere'"),
        ("tasks.toys.presets:pbt", "no module 'tasks.toys'; did you mean 'tasks.toy'"),
        (".trainers:walk", "is not a preset; write module:function"),
        ("tests.trainers:Walk", "takes arguments"),
    ],
)
def test_a_preset_that_does_not_exist_is_answered_with_the_nearest(name: str, words: str) -> None:
    """Before anything is made."""
    with pytest.raises(RunError, match=words):
        resolve(name)


def test_a_directory_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    """Somebody's files are in it."""
    (tmp_path / "thesis.tex").write_text("...")

    with pytest.raises(RunError, match=r"is not a run directory.*thesis.tex"):
        open_run(tmp_path, WALK)
    with pytest.raises(RunError, match=r"has no run\.json"):
        open_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match="is a file"):
        open_run(tmp_path / "thesis.tex", WALK)

    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    """With both versions."""
    (tmp_path / "run.json").write_bytes(seal({"format": 99}))

    with pytest.raises(RunError, match="the format is '99', this program reads 2"):
        read_info(tmp_path)


def test_a_run_json_that_was_edited_is_refused(tmp_path: Path) -> None:
    """What was run is what it says."""
    open_run(tmp_path / "run", WALK)
    path = tmp_path / "run/run.json"
    path.write_bytes(path.read_bytes().replace(b'"steps":12', b'"steps":13'))

    with pytest.raises(RunError, match="the checksum does not match"):
        open_run(tmp_path / "run", WALK)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_place_is_said_to_be_one(tmp_path: Path) -> None:
    """Before a worker is started."""
    tmp_path.chmod(0o500)

    with pytest.raises(RunError, match=r"cannot begin a run in .*: Permission denied"):
        open_run(tmp_path / "run", WALK)


def test_the_same_run_begun_twice_at_once_is_one_run(tmp_path: Path) -> None:
    """Whoever comes second joins."""
    first = open_run(tmp_path / "run", WALK)
    second = open_run(tmp_path / "run", WALK)

    assert first.info == second.info
    assert isinstance(second.pbt, PBT)
