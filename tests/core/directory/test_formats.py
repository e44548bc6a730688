"""Run directories of each format: read, verified, gone on with, whatever has moved since."""

import gzip
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from analysis.data.runs import read_run
from core.audits.verify import verify
from core.directory import format_2
from core.directory.described import describe, differences
from core.directory.files import Unreadable
from core.directory.format_2 import NAMES
from core.directory.members import Members
from core.directory.record import Record, decode, encode
from core.directory.run import RunError, open_run, read_info, resolve
from core.directory.sealed import FORMAT, seal, unseal
from core.member import Member
from core.workers.worker import work

GOLDEN = Path(__file__).parent / "golden"
FORMATS = (2, 3)
STUDY = "tasks.toy.presets:toy_study"
DIGESTS = {  # of these arms with seed 3, in lockstep, in any format
    "done": "d7d1f3f576350c6b393dabf71cae1c17865f24aaac1123703861aa5dad1eda9e",
    "search": "77281d182d4a2d37c7e652836766edbbaf9a8b4bdc8e5808156c439253ae58a8",
    "begun": "ebeffcc8b63bd68b122c14c0a9058a0cf98d015236233f464a1320d1fddfab64",
}
ARMS = {
    "done": "t-test-resample-5",
    "search": "random_search-5",
    "begun": "tournament-perturb-5",  # left in the middle
}


@pytest.fixture(params=FORMATS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Three runs as a program wrote them when this format was new."""
    with tarfile.open(GOLDEN / f"format_{request.param}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_runs_of_each_format_are_verified_and_gone_on_with(golden: Path) -> None:
    """By the directory alone, to the digest that they had then; run.json stays as it was."""
    for name, digest in DIGESTS.items():
        before = (golden / name / "run.json").read_bytes()
        run = open_run(golden / name)

        assert work(run, durable=False)

        verdict = verify(run)
        assert (verdict.problems, verdict.digest) == ([], digest)
        assert (golden / name / "run.json").read_bytes() == before


def test_runs_of_each_format_are_held_to_their_settings(golden: Path) -> None:
    """The preset of today is the one of then, and another seed is another run."""
    for name, arm in ARMS.items():
        run = open_run(golden / name, f"{STUDY}[{arm}]", {"seed": 3})
        assert run.note == ""
        with pytest.raises(RunError, match="seed: 3 in the run, 4 now"):
            open_run(golden / name, f"{STUDY}[{arm}]", {"seed": 4})


def test_analysis_knows_a_baseline_of_each_format(golden: Path) -> None:
    """A random search is one whatever its settings call `never`; and so is a logarithmic prior."""
    pbt, search = read_run(golden / "done"), read_run(golden / "search")

    assert search.is_baseline_of(pbt)
    assert not pbt.is_baseline
    assert pbt.settings.is_fixed("updates")
    assert not pbt.settings.is_logarithmic("h0")


def test_a_run_of_one_format_is_the_baseline_of_one_of_another(tmp_path: Path) -> None:
    """They are compared by what their settings mean."""
    for number in FORMATS:
        with tarfile.open(GOLDEN / f"format_{number}.tar.gz") as archive:
            archive.extractall(tmp_path / str(number), filter="data")

    assert read_run(tmp_path / "2/search").is_baseline_of(read_run(tmp_path / "3/done"))
    assert read_run(tmp_path / "3/search").is_baseline_of(read_run(tmp_path / "2/done"))


def test_every_preset_is_described_as_in_format_2() -> None:
    """All that 263 presets said of themselves when format 2 ended, but for the names of classes."""
    with gzip.open(GOLDEN / "format_2_settings.json.gz") as file:
        before = json.load(file)
    different = {}
    for preset, settings in before.items():
        now = json.loads(json.dumps(describe(resolve(preset))))
        if lines := differences(format_2.settings(settings), now):
            different[preset] = lines

    assert len(before) == 263
    assert different == {}


def test_public_names_lead_to_what_they_name() -> None:
    """The table of format 2 ends at names that a package of today has."""
    import core
    import tasks.gan
    import tasks.nmt
    import tasks.rl
    import tasks.toy

    packages = (core, tasks.gan, tasks.nmt, tasks.rl, tasks.toy)
    public = {f"{package.__name__}:{name}" for package in packages for name in package.PUBLIC}

    assert set(NAMES.values()) <= public
    for package in packages:
        assert len(set(package.PUBLIC.values())) == len(package.PUBLIC)


def test_what_format_2_did_not_say_is_not_guessed(golden: Path) -> None:
    """Its records have no run and no backend; those of format 3 have both."""
    info = read_info(golden / "done")
    for record in Members(golden / "done").history(0):
        assert record.run == ("" if info["format"] == 2 else info["id"])
        assert record.backend == ("" if info["format"] == 2 else "workers")
        assert not record.failed


def test_a_failed_member_of_format_2_is_known_by_its_missing_weights() -> None:
    """It had no other sign; before its first step a member had none either, and was well."""
    body = unseal(encode(Record(member=Member(id=0, n=3, step=2, score=1.0))))
    for name in ("failed", "run", "backend", "checksum"):
        body.pop(name, None)
    step_0 = body | {"member": {**body["member"], "step": 0}}  # type: ignore[dict-item]

    assert decode(seal(body | {"format": 2})).failed
    assert not decode(seal(step_0 | {"format": 2})).failed
    with pytest.raises(Unreadable, match="failed"):
        decode(seal(body | {"format": FORMAT}))


def test_records_of_another_run_are_not_gone_on_with(golden: Path, tmp_path: Path) -> None:
    """Caught before anything is trained on them; `verify` names each."""
    run = open_run(tmp_path / "other", f"{STUDY}[{ARMS['begun']}]", {"seed": 3})
    shutil.copytree(golden / "begun/members", run.root / "members")
    if read_info(golden / "begun")["format"] == 2:
        return  # they do not say of which run they are

    with pytest.raises(RunError, match="holds records of another run"):
        work(run, durable=False)
    assert any("is of another run" in problem for problem in verify(run).problems)


def test_a_run_of_several_epochs_is_refused_by_name(golden: Path) -> None:
    """Decisions of the first would be held to the rules of the last."""
    path = golden / "done/run.json"
    body = unseal(path.read_bytes())
    body.pop("checksum", None)
    epochs = body.get("epochs", [dict(body)])
    path.write_bytes(seal(body | {"format": 3, "epochs": [*epochs, *epochs]}))  # type: ignore[misc]

    with pytest.raises(RunError, match="no description of a run of one epoch"):
        read_info(golden / "done")
