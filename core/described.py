"""Settings as JSON, which run.json holds, and in what two of them differ."""

import json
import math
from collections.abc import Mapping
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
        return {"is": _where(type(value))} | named
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((describe(item) for item in value), key=json.dumps)
    if isinstance(value, type | FunctionType | BuiltinFunctionType) and "<" not in _where(value):
        return _where(value)
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


def _where(value: type | FunctionType | BuiltinFunctionType) -> str:
    return f"{value.__module__}:{value.__qualname__}"


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
