"""Settings as JSON, which run.json holds, and in what two of them differ.

A class or a function is written by its public name, which says nothing of the file that it lies in:
`core:Truncation`. So files may move, and a run goes on. A package names what is public in `PUBLIC`,
name -> module:qualname (core/__init__.py, tasks/gan/__init__.py); all else is written as
module:qualname.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import BuiltinFunctionType, FunctionType


class RunError(ValueError):
    """What a person asked for cannot be run as it is; the message says what can."""


def describe(value: object) -> object:
    """Return a setting as JSON: the same for the same setting, in any process on any machine."""
    if value is None or isinstance(value, bool | int | float | str):
        return value if not isinstance(value, float) or math.isfinite(value) else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: describe(getattr(value, field.name)) for field in fields(value)}
        return {"is": name_of(type(value))} | named
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((describe(item) for item in value), key=json.dumps)
    if isinstance(value, type | FunctionType | BuiltinFunctionType) and "<" not in name_of(value):
        return name_of(value)
    if hasattr(value, "func") and hasattr(value, "args"):  # functools.partial
        return {
            "is": "partial",
            "of": describe(value.func),
            "args": describe(value.args),
        } | {"keywords": describe(getattr(value, "keywords", {}))}
    raise RunError(
        f"the setting {value!r} cannot be written down, so a resumed run could not be held to it: "
        "use numbers, texts, functions of a module's top level (no lambda, no method), or frozen "
        "dataclasses of these"
    )


def name_of(value: Callable[..., object]) -> str:
    """Return the public name of a class or a function, or where it lies if it has none."""
    where, package = f"{value.__module__}:{value.__qualname__}", value.__module__
    while package := package.rpartition(".")[0]:
        public = getattr(sys.modules.get(package), "PUBLIC", {})
        for name, place in public.items():
            if place == where:
                return f"{package}:{name}"
    return where


def differences(old: object, new: object, name: str = "") -> list[str]:
    """Return one line per setting that differs, named by its path."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        lines = []
        for key in [*old, *(key for key in new if key not in old)]:
            path = f"{name}.{key}" if name else str(key)
            lines += differences(old.get(key, "none"), new.get(key, "none"), path)
        return lines
    return [] if old == new else [f"{name}: {_short(old)} in the run, {_short(new)} now"]


def _short(value: object) -> str:
    return json.dumps(value) if not isinstance(value, Mapping) else str(value.get("is", value))
