# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A schema as nested functions that answer yes or no, fast.

jsonschema explains what is wrong and takes 0.3 s for a manifest of 1,000 disks.
Most manifests are right: this says so in a few milliseconds, and only one that
it refuses goes to jsonschema. It knows the keywords that our schema uses, and a
test shows that both agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]

_ANNOTATIONS = {"$schema", "$id", "title", "description", "then"}
_OBJECT_KEYWORDS = {"properties", "patternProperties", "additionalProperties"}


def compile_schema(schema: dict[str, Any]) -> Check:
    """Return a function that says whether a value fits the schema.

    Raises:
        NotImplementedError: The schema has a keyword that this doesn't know.
    """
    checks: list[Check] = []
    for keyword, expected in schema.items():
        if keyword in _ANNOTATIONS:
            continue
        if keyword in _OBJECT_KEYWORDS:
            continue
        maker = _MAKERS.get(keyword)
        if maker is None:
            raise NotImplementedError(f"The keyword {keyword} of JSON Schema is not known here.")
        checks.append(maker(expected, schema))
    if _OBJECT_KEYWORDS & schema.keys():
        checks.append(_object(schema))
    if len(checks) == 1:
        return checks[0]
    frozen = tuple(checks)

    def every(value: Any) -> bool:
        # Not all(…): a generator costs twice the time of the checks.
        for check in frozen:  # noqa: SIM110
            if not check(value):
                return False
        return True

    return every


def _kind(name: str) -> Check:
    if name == "integer":
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)
    kinds: dict[str, type] = {"object": dict, "array": list, "string": str, "boolean": bool}
    kind = kinds[name]
    return lambda value: isinstance(value, kind)


def _type(expected: Any, _schema: dict[str, Any]) -> Check:
    if isinstance(expected, str):
        return _kind(expected)
    kinds = [_kind(name) for name in expected]
    return lambda value: any(kind(value) for kind in kinds)


def _same(left: Any, right: Any) -> bool:
    # JSON tells true from 1.
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _pattern(expected: str, _schema: dict[str, Any]) -> Check:
    search = re.compile(expected).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _number(test: Callable[[Any, Any], bool]) -> Callable[[Any, dict[str, Any]], Check]:
    def maker(expected: Any, _schema: dict[str, Any]) -> Check:
        return lambda value: (
            not isinstance(value, (int, float)) or isinstance(value, bool) or test(value, expected)
        )

    return maker


def _items(expected: dict[str, Any], _schema: dict[str, Any]) -> Check:
    check = compile_schema(expected)
    return lambda value: not isinstance(value, list) or all(map(check, value))


def _required(expected: list[str], _schema: dict[str, Any]) -> Check:
    names = frozenset(expected)
    return lambda value: not isinstance(value, dict) or names <= value.keys()


def _dependent(expected: dict[str, list[str]], _schema: dict[str, Any]) -> Check:
    return lambda value: (
        not isinstance(value, dict)
        or all(
            other in value for name, others in expected.items() if name in value for other in others
        )
    )


def _some(expected: list[dict[str, Any]], _schema: dict[str, Any]) -> Check:
    checks = [compile_schema(each) for each in expected]
    return lambda value: any(check(value) for check in checks)


def _all(expected: list[dict[str, Any]], _schema: dict[str, Any]) -> Check:
    checks = [compile_schema(each) for each in expected]
    return lambda value: all(check(value) for check in checks)


def _if(expected: dict[str, Any], schema: dict[str, Any]) -> Check:
    condition, consequence = compile_schema(expected), compile_schema(schema["then"])
    return lambda value: not condition(value) or consequence(value)


def _property_names(expected: dict[str, Any], _schema: dict[str, Any]) -> Check:
    check = compile_schema(expected)
    return lambda value: not isinstance(value, dict) or all(map(check, value))


def _object(schema: dict[str, Any]) -> Check:
    known = {name: compile_schema(each) for name, each in schema.get("properties", {}).items()}
    patterns = [
        (re.compile(pattern).search, compile_schema(each))
        for pattern, each in schema.get("patternProperties", {}).items()
    ]
    rest = schema.get("additionalProperties", True)
    other: Check = (lambda _value: bool(rest)) if isinstance(rest, bool) else compile_schema(rest)

    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        for name, member in value.items():
            expected = known.get(name)
            if expected is not None:
                if not expected(member):
                    return False
                continue
            matching = [each for search, each in patterns if search(name)]
            if not all(each(member) for each in matching) or not (matching or other(member)):
                return False
        return True

    return check


_MAKERS: dict[str, Callable[[Any, dict[str, Any]], Check]] = {
    "type": _type,
    "const": lambda expected, _schema: lambda value: _same(value, expected),
    "enum": lambda expected, _schema: lambda value: any(_same(value, each) for each in expected),
    "pattern": _pattern,
    "minLength": lambda expected, _schema: (
        lambda value: not isinstance(value, str) or len(value) >= expected
    ),
    "minItems": lambda expected, _schema: (
        lambda value: not isinstance(value, list) or len(value) >= expected
    ),
    "minimum": _number(lambda value, limit: bool(value >= limit)),
    "maximum": _number(lambda value, limit: bool(value <= limit)),
    "exclusiveMinimum": _number(lambda value, limit: bool(value > limit)),
    "items": _items,
    "required": _required,
    "dependentRequired": _dependent,
    "anyOf": _some,
    "allOf": _all,
    "if": _if,
    "propertyNames": _property_names,
}
