"""HTML in which text cannot become markup: all text that is not `Html` is escaped."""

import base64
import html
import json
import math
import time
from collections.abc import Iterable, Sequence

from core.status.progress import duration


class Html(str):
    """Text that is markup. Only `tag` and `join` make it, so that no text of a run is markup."""


VOID = ("img", "meta", "br")


def tag(name: str, /, *content: str, **attributes: str | bool | None) -> Html:
    """Return an element. The attribute `class_` is class, and `data_x` is data-x.

    An attribute that is None or False is left out.
    """
    said = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{html.escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{join(content)}</{name}>")


def join(parts: Iterable[str]) -> Html:
    """Join parts; each is escaped unless it is markup."""
    return Html(
        "".join(part if isinstance(part, Html) else html.escape(str(part)) for part in parts)
    )


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str = "",
    sortable: bool = False,
    numeric: Sequence[int] | None = None,
    title: str = "",
) -> Html:
    """Return a table; the first cell of each row is its heading.

    Args:
        caption: stands above the table.
        sortable: whether a click on a heading sorts it.
        numeric: the columns that hold numbers, aligned right; None for all but the first.
        title: names the table for screen readers if it has no caption.
    """
    right = range(1, len(head)) if numeric is None else numeric

    def cell(column: int, text: str, name: str) -> Html:
        scope = "row" if name == "th" else None
        return tag(name, text, class_="number" if column in right else None, scope=scope)

    heads = [
        tag(
            "th",
            tag("button", text, type="button") if sortable and text else text,
            scope="col",
            class_="number" if column in right else None,
        )
        for column, text in enumerate(head)
    ]
    body = [
        tag("tr", *(cell(i, text, "td" if i else "th") for i, text in enumerate(row)))
        for row in rows
    ]
    whole = tag(
        "table",
        tag("thead", tag("tr", *heads)),
        tag("tbody", *body),
        class_="sortable" if sortable else None,
    )
    # a wide table scrolls on its own, also with the keyboard; the page and the caption do not move
    said = tag("p", caption, class_="quiet") if caption else ""
    label = caption or title
    return join(
        [said, tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=label)]
    )


def details(summary: str, *content: str, **attributes: str | bool | None) -> Html:
    """Return an element that shows its content when a reader opens it."""
    return tag("details", tag("summary", summary), *content, **attributes)


def data(value: object, id: str) -> Html:
    """Return a value as JSON for a script of the page; it cannot end its own element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    # as JSON's own escapes: a script reads the same text, and the browser sees no tag or comment
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return tag("script", Html(text), type="application/json", id=id)


def uri(kind: str, content: bytes) -> str:
    """Return bytes as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def number(score: float) -> str:
    """Return a score as a table shows it."""
    return f"{score:.5g}" if math.isfinite(score) else "none"


def value(hyper: object) -> str:
    """Return a hyperparameter as a table shows it."""
    return f"{hyper:.4g}" if isinstance(hyper, float) else str(hyper)


def seconds(spent: float) -> str:
    """Return a duration; a short one has a fraction."""
    return f"{spent:.3g} s" if spent < 60 else duration(spent)


def date(when: float) -> str:
    """Return a time, given in seconds since 1970, as a date."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(when))
