"""Fake commands of Slurm that print what a test wants and log each call."""

from pathlib import Path

import pytest

SQUEUE = """\
1234_0|RUNNING|None|n1|0|1:00:00|pbt|
1234_1|RUNNING|None|n2|2|50:00|pbt|
1234_2|PENDING|Resources||0|4:00:00|pbt|
1234_3|PENDING|Resources||0|4:00:00|pbt|
1234_4|FAILED|NonZeroExitCode|n1|0|INVALID|pbt|
"""


class Fake:
    """A folder of fake commands, the only one on the path."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Begin without any command."""
        self.folder = folder / "fake commands"
        self.folder.mkdir()
        self.log = folder / "asked"
        patch.setenv("PATH", f"{self.folder}:/usr/bin:/bin")
        self.says("squeue", SQUEUE)
        for name in ("scancel", "scontrol", "sacct", "sbatch", "srun", "sinfo"):
            self.says(name, "")

    def says(self, name: str, text: str, status: int = 0, stream: int = 1) -> None:
        """Make a command print a text and exit with a status."""
        path = self.folder / name
        path.write_text(
            f"#!/bin/sh\necho {name} \"$@\" >>'{self.log}'\ncat >&{stream} <<'E'\n{text}\nE\n"
            f"exit {status}\n"
        )
        path.chmod(0o755)

    def asked(self) -> list[str]:
        """Return the calls, one command line each."""
        return self.log.read_text().splitlines() if self.log.exists() else []
