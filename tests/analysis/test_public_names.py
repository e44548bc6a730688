"""A public name of analysis means one thing."""

import ast
from collections import defaultdict
from pathlib import Path

import analysis

SHARED = {"figure", "command", "options"}  # what every figure and every command is called by


def test_no_two_files_have_a_public_function_or_class_of_one_name() -> None:
    """Only the entry points of figures and commands share their names."""
    files = defaultdict(list)
    [root] = analysis.__path__
    for path in Path(root).rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                files[node.name].append(path.name)

    assert {name: found for name, found in files.items() if len(found) > 1}.keys() == SHARED
