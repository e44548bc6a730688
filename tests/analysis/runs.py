"""Small runs for tests: trained into a directory, or made in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.data.columns import columns
from analysis.data.runs import RunData
from core.directory.record import Record, Weights
from core.directory.run import open_run
from core.directory.settings_file import Settings
from core.member import Dropped, Member
from core.workers.worker import work

THETA = Weights(name="w", bytes=1, sha256="0" * 64)


@dataclass(frozen=True, slots=True)
class Written(RunData):
    """A run that is in memory alone, with its records."""

    histories: Sequence[Sequence[Record]] = ()

    def history(self, member: int) -> list[Record]:
        """Return the records of a member."""
        return list(self.histories[member])

    def having(self, histories: Sequence[Sequence[Record]]) -> "Written":
        """Return the run with other records."""
        last = {id: history[-1] for id, history in enumerate(histories) if history}
        return replace(self, histories=histories, columns=columns(histories), last=last)


def run_of(root: Path, preset: str, **overrides: object) -> Path:
    """Train a run to its end; return where."""
    run = open_run(root, preset, overrides)
    assert work(run, durable=False)
    return root


def written(
    scores: Sequence[Sequence[float]],
    *,
    seed: int = 0,
    steps: int | None = None,
    preset: str = "tests.trainers:walk",
    trainer: str = "tests.trainers:Walk",
    members: int | None = None,
) -> Written:
    """Return a run in memory whose members have these scores at each step.

    Each step took a second and reported twice the score. No member copies another.
    """
    histories = [
        [Record(member=Member(id=id, hypers={"rate": 0.1}))]
        + [
            Record(
                member=Member(id=id, n=step, step=step, score=score, hypers={"rate": 0.1}),
                report={"twice": 2 * score},
                seconds={"step": 1.0},
                weights=THETA,
            )
            for step, score in enumerate(line, 1)
        ]
        for id, line in enumerate(scores)
    ]
    space: dict[str, dict[str, object]] = {"priors": {"rate": {}}}
    settings = {
        "seed": seed,
        "steps": steps or max(map(len, scores)),
        "members": members or len(scores),
        "task": {"trainer": trainer, "space": space, "score": "height (m)"},
        "ready": "core:never",
    }
    run = Written(Path(f"run-{seed}"), preset, Settings(settings), "abc", columns([]), {})
    return run.having(histories)


def with_copy(run: Written, child: int, donor: int, score: float) -> Written:
    """Return the run in which a member copied another at the last step, and was scored again."""
    mine, other = run.histories[child][-1].member, run.histories[donor][-1].member
    copy = replace(
        mine,
        n=mine.n + 1,
        score=score,
        cause="exploit",
        parent=(other.id, other.n),
        dropped=Dropped(score=mine.score, scores=(mine.score,), hypers=mine.hypers),
    )
    record = Record(member=copy, report={"twice": 2 * score}, seconds={"eval": 0.5}, weights=THETA)
    histories = [list(history) for history in run.histories]
    histories[child].append(record)
    return run.having(histories)
