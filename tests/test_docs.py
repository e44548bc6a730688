"""What README.md, docs/ and examples/ show is what happens."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import core
from core.audits.check import check
from core.directory.run import resolve, resolve_any

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [*PAGES, *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "CHANGELOG"))]
OF_TASKS = [ROOT / "slurm/README.md", *sorted(ROOT.glob("tasks/*/README.md"))]
LONG = ("digits", "runs/big")  # commands about these take minutes or a cluster
OPENERS = r"^```(\w*)\n(.*?)^```"


class Block(NamedTuple):
    """A block of a page: its language ("sh", "python", "py" for a quotation, or "")."""

    language: str
    text: str


def _blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in re.findall(OPENERS, page.read_text(), re.M | re.S)]


def _programs(page: Path) -> Iterator[list[str]]:
    """Yield what a reader of the page would run, in its order, but for what takes minutes."""
    for kind, text in _blocks(page):
        if kind == "python":
            yield [sys.executable, "-c", text]
        for line in text.splitlines() if kind == "sh" else []:
            command = line.split("  #")[0].strip()
            if command and not any(name in command for name in LONG):
                python, *words = shlex.split(command)
                assert python == "python", f"{page.name}: {command} is not run by this test"
                yield [sys.executable, *words]


def _run(words: list[str], where: Path, **environment: str) -> str:
    """Run a program where nothing but the repository can be imported; return what it printed."""
    done = subprocess.run(
        words,
        cwd=where,
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(where),
            "OMP_NUM_THREADS": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _pages_to_run() -> list[object]:
    found: list[object] = []
    for page in PAGES:
        if any(_programs(page)):
            marks = (
                [pytest.mark.slow] if page.stem in ("analysis", "tutorial", "run-directory") else []
            )
            found.append(pytest.param(page, marks=marks, id=page.stem))
    return found


@pytest.mark.parametrize("page", _pages_to_run())
def test_the_blocks_of_a_page_run_in_their_order(page: Path, tmp_path: Path) -> None:
    """In an empty directory, as a reader would type them; every Python block that prints does."""
    for words in _programs(page):
        said = _run(words, tmp_path)

        assert said or "print(" not in words[-1], words[-1]


def test_something_of_each_page_is_run() -> None:
    """A page whose blocks are written another way would pass without being run."""
    ran = {page.stem: len(list(_programs(page))) for page in PAGES}

    assert ran["README"] >= 5
    assert ran["tutorial"] >= 9
    assert ran["analysis"] >= 12
    assert ran["run-directory"] >= 3


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_no_command_hides_in_an_unnamed_block(page: Path) -> None:
    """Only blocks that are called sh or python are run, so others hold no command of ours."""
    for kind, text in _blocks(page):
        assert kind in ("sh", "python", "py"), f"{page.name}: a block called {kind!r}:\n{text}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_quotations_stand_in_the_files_that_they_quote(page: Path) -> None:
    """A block called py is a piece of core/pbt.py or of an example, line by line."""
    sources = [ROOT / "core/pbt.py", *sorted((ROOT / "examples").glob("*.py"))]
    files = ["\n".join(map(str.strip, source.read_text().splitlines())) for source in sources]
    for kind, text in _blocks(page):
        quoted = "\n".join(map(str.strip, text.strip().splitlines()))
        assert kind != "py" or any(quoted in file for file in files), f"{page.name}:\n{text}"


def test_the_readme_quotes_the_whole_loop_of_algorithm_1() -> None:
    """Not less than what stands between the two marks for the formatter, with its indentation."""
    [quoted] = [text for kind, text in _blocks(README) if kind == "py"]
    [loop] = re.findall(r"# fmt: off\n(.*)\n +# fmt: on", (ROOT / "core/pbt.py").read_text(), re.S)

    indent = re.match(" *", loop)
    assert indent
    assert quoted.splitlines() == [line[indent.end() :] for line in loop.splitlines()]


def test_the_readme_is_short() -> None:
    """At most 150 lines and 1,500 words: what is longer is a page of docs/."""
    text = README.read_text()

    assert len(text.splitlines()) <= 150
    assert len(text.split()) <= 1500


def test_the_readme_names_every_page_and_every_example() -> None:
    """A page that the README does not link to is not found."""
    linked = {(ROOT / target).resolve() for target, _ in _links(README)}
    shown = [*PAGES[1:], *(ROOT / "examples").iterdir()]
    missing = [path.name for path in shown if path.is_file() and path not in linked]

    assert not missing


def test_every_public_name_is_explained() -> None:
    """docs/api.md has a row for each name of core, and none for what is private."""
    explained = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/api.md").read_text(), re.M)

    assert sorted(explained) == sorted(core.__all__)


def test_every_preset_that_is_named_exists() -> None:
    """Those of the commands that take minutes, and those of the tables."""
    texts = "".join(page.read_text() for page in [*TEXTS, *OF_TASKS])
    names = set(re.findall(r"(?:tasks\.\w+\.presets|examples\.\w+):\w+", texts))

    assert len(names) >= 20
    for name in names:
        resolve_any(name)


@pytest.mark.parametrize("name", ["make test", "make reproduce", "make check"])
def test_the_commands_of_make_are_those_of_the_makefile(name: str) -> None:
    """A renamed target is noticed."""
    assert name in README.read_text()
    assert f"\n{name.split()[1]}:" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("page", [*TEXTS, *OF_TASKS], ids=lambda page: str(page.relative_to(ROOT)))
def test_no_placeholder_is_left(page: Path) -> None:
    """Every number has been filled in."""
    assert not re.search(r"@[A-Z_]+@", page.read_text())


def _links(page: Path) -> list[tuple[str, str]]:
    """Return the links to other places of the repository: a path ("" for this page), an anchor."""
    found = re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text())
    return [(target, anchor) for target, anchor in found if ":" not in target]


@pytest.mark.parametrize("page", [*TEXTS, *OF_TASKS], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_is_named_is_there(page: Path) -> None:
    """Links lead somewhere: to a file or a folder of the repository."""
    for target, _ in _links(page):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_every_section_that_is_named_is_there(page: Path) -> None:
    """The part of a link behind # is a heading of its page, as GitHub spells it."""
    for target, anchor in _links(page):
        if anchor:
            text = (page.parent / target if target else page).read_text()
            headings = re.findall(r"^#+ (.*)$", text, re.M)
            spelt = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings]
            assert anchor in spelt, f"{target}#{anchor}"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("quickstart", r"PBT: member \d+ is best with \d"),
        ("own_task", r"PBT: squared error [\d.e-]+ of member \d"),
        ("own_rule", r"CopyTheBest\(allowed=4\) +best score, mean of 5 seeds: \d"),
    ],
)
def test_an_example_prints_what_it_is_for(name: str, says: str, tmp_path: Path) -> None:
    """From anywhere, in memory: it leaves no file behind."""
    said = _run([sys.executable, str(ROOT / f"examples/{name}.py")], tmp_path)

    assert re.search(says, said), said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["own_task:pbt", "own_rule:mine"])
def test_the_presets_of_the_examples_keep_the_contract(name: str) -> None:
    """`check` finds no fault in them."""
    findings = list(check(resolve(f"examples.{name}")))

    assert findings
    assert [finding for finding in findings if finding.kept is False] == []


def test_the_quickstart_stays_quick() -> None:
    """About thirty lines: it is read before it is run."""
    assert len((ROOT / "examples/quickstart.py").read_text().splitlines()) <= 40


@pytest.mark.slow
def test_the_example_for_a_cluster_submits_waits_and_verifies(tmp_path: Path) -> None:
    """With processes of this machine in place of Slurm."""
    script = ["sh", str(ROOT / "examples/cluster.sh"), "tasks.toy.presets:pbt", "runs/toy"]

    said = _run(script, tmp_path, CLUSTER="local")

    assert "0 problems" in said


def test_the_licence_is_one_and_the_same_everywhere() -> None:
    """Text, metadata and citation name Apache-2.0; the README says which extra is GPL."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()
    assert "\nlicense: Apache-2.0\n" in (ROOT / "CITATION.cff").read_text()
    assert "ale-py" in " ".join(project["optional-dependencies"]["atari"])
    assert "ale-py, which is **GPL-2.0-only**" in README.read_text()


def test_the_hooks_and_the_workflow_run_what_a_person_runs() -> None:
    """The hooks are the commands of `make check`; the workflow calls .ci/run and no more."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    checked = re.findall(r"@\.venv/bin/(\w+)", (ROOT / "Makefile").read_text().split("check:")[1])

    assert set(re.findall(r"entry: \.venv/bin/(\w+)", hooks)) == {"ruff", "mypy"}
    assert {"ruff", "mypy"} <= set(checked)
    commands = re.findall(r"run: (.*)", (ROOT / ".github/workflows/ci.yml").read_text())
    assert [command.split()[-1] for command in commands] == [".ci/run"]
    assert os.access(ROOT / ".ci/run", os.X_OK)
