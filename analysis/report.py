"""A report: runs as one page that needs nothing but itself, and opens without a network."""

import base64
import hashlib
import math
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from analysis.compare import Comparison
from analysis.comparison_files import difference, higher, mean
from analysis.comparison_files import number as plain
from analysis.evidence import Evidence, read_evidence
from analysis.figures import Drawing, figures, saved
from analysis.lineage import colours, lineage
from analysis.markup import Html, data, date, details, join, number, table, tag, value
from analysis.plates import embedded
from analysis.provenance import provenance
from analysis.runs import STUDY, RunData, by_arm, run_directories, runs_of_study
from analysis.verdict import Verdict, seeds_compared, verdicts
from core.run import RunError

HERE = Path(__file__).parent
OPEN = 6  # figures that are shown at once; the others behind a click
WARNINGS = 20  # sentences shown at once
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{}'; "
    "base-uri 'none'; form-action 'none'"
)


def write_report(
    paths: Sequence[Path], out: Path, lower: Sequence[str] = (), folder: Path | None = None
) -> Path:
    """Write the page of some run directories; of a study's, of all its runs that are done.

    Args:
        lower: numbers of the report of which a lower one is better.
        folder: for the figures as files of their own; None for none.

    Raises:
        RunError: one of them is none, or has published nothing yet; no run of a study is done.
        ValueError: no run reports a number of `lower`.
    """
    runs: list[Evidence] = []
    left_out: list[Path] = []
    for path in run_directories(paths):
        if not (path / STUDY).exists():
            runs.append(read_evidence(path))
            continue
        for place in runs_of_study(path).values():
            found = _of_study(place)
            if found is None:
                left_out.append(place)
            else:
                runs.append(found)
    if not runs:
        raise RunError(f"of {', '.join(map(str, paths))} no run is done: nothing to report yet")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page(runs, left_out, lower, folder), encoding="utf-8")
    return out


def _of_study(path: Path) -> Evidence | None:
    """Return a run of a study if it is done, else None."""
    try:
        found = read_evidence(path)
    except RunError:
        return None
    return found if found.data.is_done else None


def page(
    runs: Sequence[Evidence],
    left_out: Sequence[Path] = (),
    lower: Sequence[str] = (),
    folder: Path | None = None,
) -> str:
    """Return the page of some runs.

    Args:
        left_out: runs of a study that are not done, to be named.
        lower: numbers of the report of which a lower one is better.
        folder: for the figures as files of their own; None for none.
    """
    script, style = ((HERE / f"report.{kind}").read_text("utf-8") for kind in ("js", "css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    groups = by_arm([run.data for run in runs])
    evidence = {run.data.path: run for run in runs}
    shown = [[evidence[run.path] for run in group] for group in groups]
    found = verdicts(groups, lower)
    title = ", ".join(dict.fromkeys(run.data.name for run in runs))
    parts = {
        "unreadable record": sum(len(run.data.problems) for run in runs),
        "warning": sum(one.times for run in runs for one in run.warned),
        "failed turn": sum(len(run.failures) for run in runs),
    }
    alerts = ", ".join(count(n, what) for what, n in parts.items() if n)
    alerts = tag("a", f"{alerts}.", href="#warnings") if alerts else "No warnings."
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY.format(digest)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"Report: {title}"),
        tag("style", Html(style)),
    )
    sections = {
        "help": (
            "Did it help?",
            join([_left_out(left_out), _help(groups, found), _tiles(shown)]),
        ),
        "runs": ("What was run", join(map(provenance, shown))),
        "lineage": ("Lineage", _lineage(runs)),
        "members": ("How each member ended", _members(runs)),
        "figures": ("Figures", _figures(runs, lower, folder)),
        "warnings": ("Warnings and failures", _troubles(runs)),
    }
    links = tag("nav", *(tag("a", name, href=f"#{id}") for id, (name, _) in sections.items()))
    body = tag(
        "body",
        tag(
            "header",
            tag("h1", title),
            tag("p", f"{count(len(runs), 'run')}, reported on {date(time.time())}. ", alerts),
            links,
        ),
        tag(
            "main",
            *(
                tag("section", tag("h2", name), content, id=id)
                for id, (name, content) in sections.items()
            ),
        ),
        data({"colours": colours(), "runs": len(runs)}, "page"),
        *(data(lineage(run.data), f"run-{i}") for i, run in enumerate(runs)),
        tag("script", Html(script)),
    )
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


# ---------------------------------------------------------------------------- did it help?


def _left_out(paths: Sequence[Path]) -> Html:
    if not paths:
        return Html("")
    text = f"{count(len(paths), 'run')} of the study not done, and left out: "
    return tag("p", tag("strong", text), ", ".join(map(str, paths)), class_="loud")


def _help(groups: Sequence[Sequence[RunData]], found: Sequence[Verdict]) -> Html:
    parts: list[str] = [_unfinished(run) for group in groups for run in group if not run.is_done]
    parts += [_verdict(verdict) for verdict in found]
    against = {verdict.ours for verdict in found}
    for group in groups:
        run = group[0]
        if run.is_baseline or any(name.startswith(run.name) for name in against):
            continue
        seeds = ", ".join(str(one.seed) for one in group)
        parts.append(
            tag(
                "p",
                tag("strong", f"{run.name} has no baseline here. "),
                "Whether it helped cannot be said from these runs alone. Run the same preset with ",
                tag("code", "ready=never"),
                f" (random search: the same starts and budget), seed {seeds}, and give its run "
                "directories to this command too.",
                class_="notice",
            )
        )
    if all(group[0].is_baseline for group in groups):
        parts.append(tag("p", "All of these runs are baselines: nobody ever copies in them."))
    return join(parts)


def _unfinished(run: RunData) -> Html:
    goal = run.members * run.steps
    text = f"{run.trained:,} of {goal:,} steps ({run.trained / goal:.0%})"
    if run.silent:
        text += f"; {_members_said(run.silent)} published nothing yet"
    name = f"{run.name}, seed {run.seed}, is not done: "
    return tag("p", tag("strong", name), f"{text}. It is reported as far as it is.", class_="loud")


def _verdict(found: Verdict) -> Html:
    return tag(
        "div",
        tag("p", found.headline, class_="verdict"),
        *(tag("p", sentence, class_="loud") for sentence in found.loud),
        _numbers(found.comparison) if found.comparison else "",
        *(tag("p", sentence, class_="quiet") for sentence in found.said),
        class_="card",
    )


def _numbers(found: Comparison) -> Html:
    several = found.n > 1
    head = ["", "difference", *found.names, "higher in"]
    rows = [
        [row.name, difference(row), mean(row, 0), mean(row, 1), higher(found, row)]
        for row in found.rows
    ]
    if several:
        head += ["g", "p", "p, Holm"]
        for shown, row in zip(rows, found.rows, strict=True):
            test = row.t or row.permutation
            p = test.p if test else math.nan
            shown += [plain(row.effect, ".2f", "+"), plain(p, ".2g"), plain(row.holm, ".2g")]
    what = "means ± half of their 95 % intervals" if several else "no interval"
    return table(head, rows, caption=f"n = {seeds_compared(found)}, {what}")


def _tiles(groups: Sequence[Sequence[Evidence]]) -> Html:
    return tag("div", *map(_tile, groups), class_="tiles")


def _tile(group: Sequence[Evidence]) -> Html:
    best = [run.data.result() for run in group]
    top = [run.top() for run in group]
    seeds = f"{len(group)} seed{'s' * (len(group) > 1)}"
    run = group[0].data
    return tag(
        "div",
        tag("div", run.name, class_="name"),
        tag("div", number(float(np.mean(best))), class_="big"),
        tag(
            "div",
            f"{run.score}: best member's last score{', mean of ' * (len(group) > 1)}"
            f"{seeds if len(group) > 1 else ', ' + seeds}",
        ),
        tag("div", f"mean of the five best {number(float(np.mean(top)))}", class_="quiet"),
        class_="tile",
    )


# ---------------------------------------------------------------------------- lineage, members


def _lineage(runs: Sequence[Evidence]) -> Html:
    options = [tag("option", run.name, value=str(i)) for i, run in enumerate(runs)]
    return tag(
        "div",
        tag(
            "p",
            "A row is a member, coloured by its score at each step; a line leads from the member "
            "that was copied to the one that copied it. Hover or tap for what happened there, "
            "click for its ancestry.",
        ),
        tag("noscript", tag("p", "The lineage needs JavaScript; the table below does not.")),
        tag("div", *options, id="lineage-runs", hidden=True),
        tag("div", id="lineage-view"),
    )


def _members(runs: Sequence[Evidence]) -> Html:
    shown = [
        details(
            f"{run.name}: {run.data.members} members",
            tag("p", "On paper: the 25 best.", class_="quiet paper")
            if run.data.members > 25
            else "",
            _ends(run),
            data_run=str(i),
            open=i == 0,
        )
        for i, run in enumerate(runs)
    ]
    note = "A click on a heading sorts; a click on a member shows its ancestry above."
    return join([tag("p", note, class_="quiet"), *shown])


def _ends(run: Evidence) -> Html:
    columns = run.columns
    founders = columns.founders()
    copies = np.bincount(columns.member[columns.copied], minlength=columns.members)
    donors = np.bincount(columns.donor[columns.copies()], minlength=columns.members)
    rows = []
    for row in columns.ranked():
        me = int(columns.member[row])
        rows.append(
            (
                tag("button", str(me), type="button", data_row=str(row)),
                str(columns.step[row]),
                number(columns.score[row]),
                *(value(of[row]) for of in columns.hypers.values()),
                str(founders[row]) if founders[row] >= 0 else "lost",
                str(copies[me]),
                str(donors[me]),
                "failed" if columns.failed[row] else "",
            )
        )
    head = ("member", "step", "score", *columns.hypers, "founder", "copied", "was copied", "state")
    return table(head, rows, sortable=True, title=f"members of {run.data.name}")


# ---------------------------------------------------------------------------- figures, warnings


def _figures(runs: Sequence[Evidence], lower: Sequence[str], folder: Path | None) -> Html:
    drawn: Iterable[Drawing] = figures([run.data for run in runs], lower)
    if folder:
        drawn = (one for one, _ in saved(drawn, folder))
    shown = map(embedded, drawn)
    first, rest = list(islice(shown, OPEN)), list(shown)
    more = details(f"{len(rest)} more figures", *rest) if rest else ""
    return join([*first, more])


def _troubles(runs: Sequence[Evidence]) -> Html:
    parts: list[str] = []
    for run in runs:
        found: list[str] = []
        if silent := run.data.silent:
            found.append(tag("p", f"{_members_said(silent)} never published a record."))
        if run.data.problems:
            found.append(tag("h4", "Records that cannot be read, and are left out"))
            found.append(_sentences(run.data.problems))
        if lost := int(run.columns.lost.sum()):
            copies = count(lost, "copy", "copies")
            found.append(tag("p", f"What {copies} took is not there: ancestries end there."))
        if run.warned:
            found.append(tag("h4", "Warnings of its workers"))
            found.append(
                _sentences(
                    [
                        f"{one.sentence} ({one.worker}{f', {one.times} times' * (one.times > 1)})"
                        for one in run.warned
                    ]
                )
            )
        if run.failures:
            found.append(tag("h4", f"{len(run.failures):,} turns in which a trainer raised"))
            found += [
                details(
                    f"member {one.member} at step {one.step}: {_last_line(one.error)}",
                    tag("pre", one.error),
                )
                for one in run.failures[:WARNINGS]
            ]
            if rest := run.failures[WARNINGS:]:
                lines = [f"member {f.member} at step {f.step}: {_last_line(f.error)}" for f in rest]
                found.append(details(f"{len(rest):,} more", _items(lines)))
        if found:
            parts += [tag("h3", run.name), *found]
    return join(parts) if parts else tag("p", "None.")


def _sentences(sentences: Sequence[str]) -> Html:
    more = sentences[WARNINGS:]
    rest = details(f"{len(more):,} more", _items(more)) if more else ""
    return join([_items(sentences[:WARNINGS]), rest])


def _items(sentences: Sequence[str]) -> Html:
    return tag("ul", *(tag("li", sentence) for sentence in sentences))


def count(n: int, one: str, many: str = "") -> str:
    """Return a number of things in words."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _last_line(error: str) -> str:
    return error.strip().rpartition("\n")[2]


def _members_said(ids: Sequence[int]) -> str:
    shown = ", ".join(map(str, ids[:10])) + (", …" if len(ids) > 10 else "")
    return f"member {shown}" if len(ids) == 1 else f"{len(ids)} members ({shown})"
