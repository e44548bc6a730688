"""The section of a report about what was run, where and when, and its cost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from analysis.data.runs import RULES, said
from analysis.report.evidence import TRAINER, Evidence
from analysis.report.markup import Html, date, details, join, number, seconds, table, tag

MATTER = ("members", "steps", "mode", *RULES)  # settings that are shown without a click


def provenance(name: str, group: Sequence[Evidence]) -> Html:
    """Return the settings, the seeds and the cost of runs that differ only in their seeds."""
    run = group[0].data
    settings = run.settings
    rest = {key: value for key, value in settings.items() if key not in (*MATTER, "is", "seed")}
    plain = [(key, said(settings[key])) for key in MATTER if key in settings]
    space = [
        (hyper, said({k: v for k, v in prior.items() if k != "domain"}), said(prior.get("domain")))
        for hyper, prior in run.settings.priors.items()
    ]
    return tag(
        "div",
        tag("h3", name),
        tag("p", tag("code", run.preset), f", score: {run.score}", class_="quiet"),
        _seeds(group),
        tag(
            "div",
            table(("setting", "value"), plain, numeric=(), title="settings"),
            table(("hyperparameter", "starts as", "domain"), space, numeric=(), title="hypers"),
            class_="two",
        ),
        details(
            "All other settings",
            table(("setting", "value"), list(_flat(rest)), numeric=(), title="other settings"),
        ),
        details("Where, when, and with what", _origin(group)),
        details("Cost of each phase", *map(_cost, group)),
        class_="card",
    )


def _seeds(group: Sequence[Evidence]) -> Html:
    rows = []
    for run in group:
        columns, best = run.columns, run.columns.best()
        phases, data = columns.phases(), run.data
        engine = 1 - sum(phases.get(phase, 0.0) for phase in TRAINER) / (run.worker_seconds or 1.0)
        rows.append(
            (
                str(run.data.seed),
                number(columns.score[best]),
                str(columns.member[best]),
                number(run.top()),
                f"{data.trained:,}/{data.members * data.steps:,}",
                f"{int(columns.copied.sum()):,}",
                f"{run.founders} of {data.members}",
                f"{run.turns:,}",
                seconds(run.wall_seconds),
                seconds(run.worker_seconds),
                f"{max(engine, 0.0):.1%}",
            )
        )
    head = ("seed", "best score", "member", "top five", "steps", "copies", "founders left")
    more = ("turns", "wall", "worker time", "engine's share")
    return table((*head, *more), rows, title="runs by seed")


def _origin(group: Sequence[Evidence]) -> Html:
    rows = []
    for run in group:
        info = run.data.origin
        time_ = run.columns.time
        versions = cast(Mapping[str, object], info.get("versions") or {})
        rows.append(
            (
                str(run.data.seed),
                str(run.data.path),
                run.data.code,
                ", ".join(f"{name} {version}" for name, version in versions.items()),
                f"{info.get('host', '')}: {info.get('machine', '')}",
                str(info.get("began", "")),
                date(float(time_.max())),
            )
        )
    head = ("seed", "directory", "commit", "versions", "begun on", "begun", "last record")
    note = "A commit with + behind it had changes that were not committed."
    return join([table(head, rows, numeric=(), title="provenance"), tag("p", note, class_="quiet")])


def _cost(run: Evidence) -> Html:
    phases, whole = run.columns.phases(), run.worker_seconds or 1.0
    per_turn = 1000 / max(run.turns, 1)
    order = sorted(phases, key=lambda phase: -phases[phase])
    rows = [
        (
            phase,
            "task" if phase in TRAINER else "engine",
            f"{phases[phase]:.3f}",
            f"{phases[phase] / whole:.1%}",
            f"{phases[phase] * per_turn:.3g}",
        )
        for phase in order
    ]
    parts = ", ".join(f"{phase} {spent:.3f} s" for phase, spent in run.parts().items())
    return join(
        [
            table(
                ("phase", "spent by", "seconds", "share", "ms a turn"),
                rows,
                numeric=(2, 3, 4),
                caption=f"Seed {run.data.seed}: {run.turns:,} turns, {run.worker_seconds:.2f} s",
            ),
            tag("p", f"As parts of these: {parts}.", class_="quiet") if parts else "",
        ]
    )


def _flat(value: Mapping[str, object], before: str = "") -> Iterator[tuple[str, str]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{before}{name}.")
        else:
            yield f"{before}{name}", said(item)
