"""A report: runs as one page that needs nothing but itself, and opens without a network."""

import base64
import hashlib
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from analysis.evidence import Evidence, arms, read_evidence
from analysis.lineage import colours, lineage
from analysis.markup import Html, data, date, details, join, number, table, tag, value
from analysis.plates import embedded, plates
from analysis.provenance import provenance
from analysis.verdict import Verdict, verdicts

HERE = Path(__file__).parent
OPEN = 6  # figures that are shown at once; the others behind a click
WARNINGS = 20  # sentences shown at once
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{}'; "
    "base-uri 'none'; form-action 'none'"
)


def write_report(paths: Sequence[Path], out: Path) -> Path:
    """Write the page of some run directories.

    Raises:
        RunError: one of them is none, or has published nothing yet.
    """
    beside = [p for p in paths if p.suffix == ".slurm" and not (p / "run.json").exists()]
    runs = [read_evidence(path) for path in paths if path not in beside]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page(runs), encoding="utf-8")
    return out


def page(runs: Sequence[Evidence]) -> str:
    """Return the page of some runs."""
    script, style = ((HERE / f"report.{kind}").read_text("utf-8") for kind in ("js", "css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    groups = arms(runs)
    found = verdicts(groups)
    title = ", ".join(dict.fromkeys(run.data.name for run in runs))
    parts = {
        "unreadable record": sum(len(run.problems) for run in runs),
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
        "help": ("Did it help?", _help(groups, found)),
        "runs": ("What was run", join(map(provenance, groups))),
        "lineage": ("Lineage", _lineage(runs)),
        "members": ("How each member ended", _members(runs)),
        "figures": ("Figures", _figures(runs)),
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
        *(data(lineage(run), f"run-{i}") for i, run in enumerate(runs)),
        tag("script", Html(script)),
    )
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


# ---------------------------------------------------------------------------- did it help?


def _help(groups: Sequence[Sequence[Evidence]], found: Sequence[Verdict]) -> Html:
    parts: list[str] = [_unfinished(run) for group in groups for run in group if not run.done]
    parts += [_verdict(verdict) for verdict in found]
    against = {verdict.ours for verdict in found}
    for group in groups:
        run = group[0].data
        if run.is_baseline or any(name.startswith(run.name) for name in against):
            continue
        seeds = ", ".join(str(one.data.seed) for one in group)
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
    if all(group[0].data.is_baseline for group in groups):
        parts.append(tag("p", "All of these runs are baselines: nobody ever copies in them."))
    return join([*parts, tag("div", *map(_tile, groups), class_="tiles")])


def _unfinished(run: Evidence) -> Html:
    goal = run.members * run.data.steps
    text = f"{run.trained:,} of {goal:,} steps ({run.trained / goal:.0%})"
    if run.silent:
        text += f"; {_members_said(run.silent)} published nothing yet"
    name = f"{run.data.name}, seed {run.data.seed}, is not done: "
    return tag("p", tag("strong", name), f"{text}. It is reported as far as it is.", class_="loud")


def _verdict(found: Verdict) -> Html:
    head = ("", "difference", found.ours, found.theirs, "higher in", "p")
    n = len(found.seeds)
    what = "means ± half of their 95 % intervals" if n > 1 else "no interval"
    numbers = table(
        head,
        found.rows,
        caption=f"n = {n} paired seed{'s' * (n > 1)}, {what}",
    )
    return tag(
        "div",
        tag("p", found.headline, class_="verdict"),
        *(tag("p", sentence, class_="loud") for sentence in found.loud),
        numbers if found.rows else "",
        *(tag("p", sentence, class_="quiet") for sentence in found.said),
        class_="card",
    )


def _tile(group: Sequence[Evidence]) -> Html:
    best = [run.columns.score[run.columns.best()] for run in group]
    top = [run.top() for run in group]
    seeds = f"{len(group)} seed{'s' * (len(group) > 1)}"
    run = group[0]
    return tag(
        "div",
        tag("div", run.data.name, class_="name"),
        tag("div", number(float(np.mean(best))), class_="big"),
        tag(
            "div",
            f"{run.data.score}: best member's last score{', mean of ' * (len(group) > 1)}"
            f"{seeds if len(group) > 1 else ', ' + seeds}",
        ),
        tag("div", f"mean of the five best {number(float(np.mean(top)))}", class_="quiet"),
        class_="tile",
    )


# ---------------------------------------------------------------------------- lineage, members


def _lineage(runs: Sequence[Evidence]) -> Html:
    options = [
        tag("option", f"{run.data.name}, seed {run.data.seed}", value=str(i))
        for i, run in enumerate(runs)
    ]
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
            f"{run.data.name}, seed {run.data.seed}: {run.members} members",
            tag("p", "On paper: the 25 best.", class_="quiet paper") if run.members > 25 else "",
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
    last, founders = columns.last(), columns.founders()
    fitness = np.where(np.isfinite(columns.score[last]), columns.score[last], -np.inf)
    copies = np.bincount(columns.member[np.isin(columns.cause, (2, 3))], minlength=columns.members)
    donors = np.bincount(
        columns.member[columns.parent[columns.parent >= 0]], minlength=columns.members
    )
    rows = []
    for row in last[np.lexsort((columns.member[last], columns.parent[last] >= 0, -fitness))]:
        me = int(columns.member[row])
        rows.append(
            (
                tag("button", str(me), type="button", data_row=str(row)),
                str(columns.step[row]),
                number(columns.score[row]),
                *(value(of[row]) for of in columns.hypers.values()),
                str(founders[row]),
                str(copies[me]),
                str(donors[me]),
                "failed" if columns.failed[row] else "",
            )
        )
    head = ("member", "step", "score", *columns.hypers, "founder", "copied", "was copied", "state")
    return table(head, rows, sortable=True, title=f"members of {run.data.name}")


# ---------------------------------------------------------------------------- figures, warnings


def _figures(runs: Sequence[Evidence]) -> Html:
    drawn = map(embedded, plates(runs))
    first, rest = list(islice(drawn, OPEN)), list(drawn)
    more = details(f"{len(rest)} more figures", *rest) if rest else ""
    return join([*first, more])


def _troubles(runs: Sequence[Evidence]) -> Html:
    parts: list[str] = []
    for run in runs:
        found: list[str] = []
        if run.silent:
            found.append(tag("p", f"{_members_said(run.silent)} never published a record."))
        if run.problems:
            found.append(tag("h4", "Records that cannot be read, and are left out"))
            found.append(_sentences(run.problems))
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
            parts += [tag("h3", f"{run.data.name}, seed {run.data.seed}"), *found]
    return join(parts) if parts else tag("p", "None.")


def _sentences(sentences: Sequence[str]) -> Html:
    more = sentences[WARNINGS:]
    rest = details(f"{len(more):,} more", _items(more)) if more else ""
    return join([_items(sentences[:WARNINGS]), rest])


def _items(sentences: Sequence[str]) -> Html:
    return tag("ul", *(tag("li", sentence) for sentence in sentences))


def count(n: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def _last_line(error: str) -> str:
    return error.strip().rpartition("\n")[2]


def _members_said(ids: Sequence[int]) -> str:
    shown = ", ".join(map(str, ids[:10])) + (", …" if len(ids) > 10 else "")
    return f"member {shown}" if len(ids) == 1 else f"{len(ids)} members ({shown})"
