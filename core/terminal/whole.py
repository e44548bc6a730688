"""A run or a study, for whoever launches its workers and need not know which of them it is."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.directory.run import RunError, open_run, override, read_info, resolve_any
from core.settings import PBT
from core.status.places import is_study
from core.status.progress import View
from core.study.study import Study, StudyDirectory, open_study
from core.terminal.study_table import StudyView


@dataclass(frozen=True, slots=True)
class Whole:
    """What a directory holds, as it is now.

    code: the version of the code with which it began.
    study: None for a run.
    """

    root: Path
    preset: str
    code: str
    study: StudyDirectory | None = None

    def views(self) -> list[View]:
        """Return the run, or those runs of the study that have begun."""
        if self.study is None:
            return [View(self.root, read_info(self.root))]
        found = (self.study.view(root) for _, _, root in self.study.places())
        return [view for view in found if view is not None]

    def members(self) -> int:
        """Return how many members there are to be trained, in all runs together."""
        if self.study is not None:
            return sum(self.study.members(name) for name, _, _ in self.study.places())
        return self.views()[0].members

    def is_done(self) -> bool:
        """Whether all members of all runs are done."""
        if self.study is not None:
            return StudyView(self.study).is_done()
        [view] = self.views()
        return view.is_done(view.rows())

    def records(self) -> int:
        """Return how many records were published: more of them later if anything moves."""
        return sum(row.record.member.n for view in self.views() for row in view.rows())

    def turn(self) -> float:
        """Return the seconds of a turn: the median of the newest ones; 0 before the first.

        Not the longest: one that was suspended, or waited for a disk, says nothing of the others.
        """
        spent = [row.record.spent for view in self.views() for row in view.rows()]
        spent = [seconds for seconds in spent if seconds > 0]
        return statistics.median(spent) if spent else 0.0


def look(root: Path) -> Whole:
    """Return what a directory holds; raise RunError if it is neither a run nor a study."""
    if is_study(root):
        study = open_study(root)
        return Whole(root, study.preset, study.code, study)
    info = read_info(root)
    return Whole(root, str(info.get("preset")), str(info.get("code")))


def begin(root: Path, preset: str, overrides: Mapping[str, object]) -> Whole:
    """Begin a run or a study, whichever the preset is, or go on with it.

    Raises:
        RunError: as `open_run` and `open_study` say; or a study was to be overridden.
    """
    found = resolve_any(preset.partition("[")[0])
    if isinstance(found, Study) and "[" not in preset:
        if overrides:
            raise RunError(f"{preset} is a study: its arms say what --{min(overrides)} would")
        open_study(root, preset)
    else:
        if isinstance(found, PBT):
            override(found, overrides)  # a clear error before anything is written
        open_run(root, preset, overrides)
    return look(root)
