# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hypothesis strategies for values that fit the manifest's schema.

hypothesis-jsonschema fails with Hypothesis' current releases, into whose
internals it reaches, so this makes values of the keywords that our schema has.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.compiled import (
    Check,
    compile_schema,
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=3,
)


#: Making a strategy takes longer than drawing from it. The schema is kept so that its id stays its own.
_MADE: dict[int, tuple[dict[str, Any], st.SearchStrategy[Any]]] = {}


def fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return a strategy of values that fit the schema."""
    if id(schema) not in _MADE:
        _MADE[id(schema)] = schema, _strategy(schema)
    return _MADE[id(schema)][1]


def _strategy(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type")
    if kinds is None:
        return ANYTHING
    if isinstance(kinds, list):
        return st.one_of([fitting({**schema, "type": kind}) for kind in kinds])
    if kinds == "object":
        conditions = [
            (compile_schema(each["if"]), each["then"]["required"])
            for each in schema.get("allOf", ())
        ]
        names = st.text(max_size=6)
        if "propertyNames" in schema:
            names = fitting({"type": "string", **schema["propertyNames"]})
        return _objects(schema, conditions, names).filter(compile_schema(schema))
    if kinds == "array":
        items = fitting(schema["items"]) if "items" in schema else SCALARS
        return st.lists(items, min_size=schema.get("minItems", 0), max_size=2)
    if kinds == "string":
        if "pattern" in schema:
            return st.from_regex(schema["pattern"]).filter(compile_schema(schema))
        return st.text(min_size=schema.get("minLength", 0), max_size=8)
    if kinds == "integer":
        return st.integers(schema.get("minimum", -10), schema.get("maximum", 2**40))
    if kinds == "number":
        return st.floats(0, 1000, exclude_min="exclusiveMinimum" in schema)
    assert kinds == "boolean", kinds
    return st.booleans()


@st.composite
def _objects(
    draw: st.DrawFn,
    schema: dict[str, Any],
    conditions: list[tuple[Check, list[str]]],
    names: st.SearchStrategy[str],
) -> dict[str, Any]:
    members = schema.get("properties", {})
    required = set(schema.get("required", ()))
    chosen = required | draw(st.sets(st.sampled_from(sorted(members)))) if members else required
    value = {name: draw(fitting(members[name])) for name in sorted(chosen)}
    for condition, needed in conditions:
        if condition(value):
            value |= {name: draw(fitting(members[name])) for name in needed if name not in value}
    rest = schema.get("additionalProperties", True)
    if rest is not False:
        values = fitting(rest) if isinstance(rest, dict) else ANYTHING
        more = draw(st.dictionaries(names, values, max_size=2))
        value |= {name: each for name, each in more.items() if name not in members}
    return value
