"""Requests: numbers that fit together, and the defaults of the site."""

from pathlib import Path

import pytest

from core.directory.run import RunError
from slurm.request import (
    Request,
    as_json,
    make,
    read_site,
    sbatch_options,
)


def test_workers_become_jobs() -> None:
    """A job has as many workers as its GPUs carry; each worker gets its own GPU."""
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
    """The message says what would be right."""
    with pytest.raises(RunError, match=sentence):
        make(asked, {})


def test_times_and_sizes_become_numbers_and_are_kept_as_text() -> None:
    """The ledger's text gives the same request again, also for a size below a megabyte."""
    request = make({"time": "1-00:30", "mem": "512K"}, {})

    assert (request.minutes, request.gigabytes) == (1470, 2**-11)
    assert as_json(request)["time"] == "24:30:00"
    assert as_json(request)["mem"] == "512K"
    assert make({}, as_json(request)) == request


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
        ('partitoin = "gpu"', "did you mean partition"),
        ("partition = 3", "partition = 3 is not what it should be: a text"),
        ('gpus = "two"', "a whole number"),
        ('setup = "module load"', "a list of texts"),
        ("a = [", "cannot be read"),
    ],
)
def test_a_mistake_in_the_sites_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    """The message names the file and what would be right."""
    site = tmp_path / "site.toml"
    site.write_text(text)
    monkeypatch.setenv("PBT_SLURM", str(site))

    with pytest.raises(RunError, match=sentence) as error:
        make({}, *read_site())
    assert str(site) in str(error.value)


def test_a_sites_file_that_is_named_and_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong PBT_SLURM is not taken for a site without defaults."""
    monkeypatch.setenv("PBT_SLURM", str(tmp_path / "none"))
    with pytest.raises(RunError, match="which is not there"):
        read_site()


def test_further_options_are_sbatchs() -> None:
    """Other options go to sbatch, with and without a value."""
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
    """The message names the similar option."""
    with pytest.raises(RunError, match=sentence):
        sbatch_options([word])
