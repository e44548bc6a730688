"""What is asked of Slurm: numbers that fit together, times and sizes as Slurm writes them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.directory.run import RunError
from slurm.request import (
    Request,
    as_json,
    gigabytes,
    make,
    minutes,
    read_site,
    sbatch_options,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("10:00", 10),
        ("0:30", 1),
        ("4:00:00", 240),
        ("0:00:01", 1),
        ("2-0", 2880),
        ("1-12:30", 2190),
        ("1-00:00:01", 1441),
    ],
)
def test_times_are_read_as_slurm_reads_them(text: str, expected: int) -> None:
    """Minutes alone, minutes with seconds, hours, days; a part of a minute counts as one."""
    assert minutes(text) == expected


@given(
    days=st.integers(0, 30), hours=st.integers(0, 23), rest=st.integers(0, 59), s=st.integers(0, 59)
)
def test_the_ways_to_write_a_time_agree(days: int, hours: int, rest: int, s: int) -> None:
    """Whatever the time."""
    seconds = ((days * 24 + hours) * 60 + rest) * 60 + s

    assert minutes(f"{days}-{hours}:{rest:02d}:{s:02d}") == -(-seconds // 60)
    assert minutes(f"{days * 24 + hours}:{rest:02d}:{s:02d}") == -(-seconds // 60)
    assert minutes(f"{seconds // 60}:{s:02d}") == -(-seconds // 60)


@pytest.mark.parametrize("text", ["", "4h", "1-", "-5", "1:2:3:4", "infinite", "1.5"])
def test_a_text_that_is_no_time_is_refused(text: str) -> None:
    """With the ways to write one."""
    with pytest.raises(RunError, match="d-hh:mm:ss"):
        minutes(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("16G", 16), ("16GB", 16), ("4000M", 3.90625), ("4000", 3.90625), ("1T", 1024), ("512m", 0.5)],
)
def test_sizes_are_read_as_slurm_reads_them(text: str, expected: float) -> None:
    """A number alone is megabytes."""
    assert gigabytes(text) == expected


@pytest.mark.parametrize("text", ["", "0", "4 GB", "lots", "-1G"])
def test_a_text_that_is_no_size_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(RunError, match="16G"):
        gigabytes(text)


def test_workers_become_jobs() -> None:
    """A job has as many workers as its GPUs carry, and each is told which of them is its."""
    request = Request(workers=12, gpus=2, workers_per_gpu=3)

    assert (request.per_job, request.jobs) == (6, 2)
    assert request.devices() == ("cuda:0",) * 3 + ("cuda:1",) * 3
    assert Request(workers=3).devices() == ("cpu",)
    assert Request(workers=1, gpus=1, device="cpu").devices() == ("cpu",)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"workers": 0}, "--workers must be at least 1, got 0"),
        ({"cpus": 0}, "--cpus must be at least 1"),
        ({"gpus": -1}, "--gpus must be at least 0"),
        ({"workers": 4, "workers_per_gpu": 4}, "need GPUs: give --gpus 1 too"),
        ({"workers": 7, "gpus": 2, "workers_per_gpu": 2}, "give --workers 4 or 8"),
        ({"workers": 1, "gpus": 2}, "give --workers 2$"),
        ({"array_parallelism": 0}, "--array-parallelism must be at least 1"),
        ({"time": "2"}, "--time 2 is too short.*at least 3 minutes"),
        ({"cluster": "pbs"}, "slurm, local or debug"),
        ({"sbatch": {"signal": "USR1@5"}}, "--signal cannot be given"),
        ({"mem": "lots"}, "16G"),
    ],
)
def test_what_does_not_fit_together_is_refused(asked: dict[str, object], sentence: str) -> None:
    """With what would."""
    with pytest.raises(RunError, match=sentence):
        make(asked, {})


def test_the_command_line_goes_over_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site's file has defaults under the same names; tables are merged."""
    site = tmp_path / "site.toml"
    site.write_text(
        'partition = "gpu"\narray-parallelism = 4\nsetup = ["module load cuda"]\n'
        '[sbatch]\nexclude = "n1"\nexclusive = true\n'
    )
    monkeypatch.setenv("PBT_SLURM", str(site))

    base, place = read_site()
    request = make({"partition": "cpu", "time": None, "sbatch": {"exclude": "n2"}}, base, place)

    assert place == site
    assert request.partition == "cpu"
    assert request.array_parallelism == 4
    assert request.setup == ("module load cuda",)
    assert request.sbatch == {"exclude": "n2", "exclusive": True}
    assert make({}, as_json(request)) == request


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('partitoin = "gpu"', "did you mean 'partition'"),
        ("partition = 3", "partition = 3 is not what it should be: a text"),
        ('gpus = "two"', "a whole number"),
        ('setup = "module load"', "a list of texts"),
        ("a = [", "cannot be read"),
    ],
)
def test_a_mistake_in_the_sites_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    """With the file, and what would be right."""
    site = tmp_path / "site.toml"
    site.write_text(text)
    monkeypatch.setenv("PBT_SLURM", str(site))

    with pytest.raises(RunError, match=sentence) as error:
        make({}, *read_site())
    assert str(site) in str(error.value)


def test_a_sites_file_that_is_named_and_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than no defaults at all."""
    monkeypatch.setenv("PBT_SLURM", str(tmp_path / "none"))
    with pytest.raises(RunError, match="which is not there"):
        read_site()


def test_further_options_are_sbatchs() -> None:
    """With and without a value."""
    assert sbatch_options(["--exclude=n1,n2", "--overcommit"]) == {
        "exclude": "n1,n2",
        "overcommit": True,
    }


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("--patition=gpu", "did you mean --partition"),
        ("--worker=3", "did you mean --workers"),
        ("n1", "--name=value"),
        ("-p", "--name=value"),
    ],
)
def test_a_slip_is_not_given_to_sbatch(word: str, sentence: str) -> None:
    """It is asked what was meant."""
    with pytest.raises(RunError, match=sentence):
        sbatch_options([word])
