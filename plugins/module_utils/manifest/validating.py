# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check a manifest against its schema and against the rules that a schema can't say."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from functools import cache
from typing import Any

from .compiled import Check, compile_schema
from .findings import ERROR, Finding, ManifestError, at, shown
from .patterns import WORDS
from .rules import check_rules
from .schema import SCHEMA

JSONSCHEMA_IMPORT_ERROR: str | None = None
try:
    # Draft202012Validator came with jsonschema 4.0.
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
except ImportError:
    JSONSCHEMA_IMPORT_ERROR = traceback.format_exc()

#: What a module names in missing_required_lib.
JSONSCHEMA_REQUIREMENT = "jsonschema (4.0 or newer)"

_REMEDIES = {
    "disks.boot_order_hint": "Write it for every disk, 0 for the one that boots.",
    "disks.checksum": "Write the SHA-256 of the file, or leave the key out; null is refused by hyper2kvm.",
    "disks.local_path": "Write the absolute path of the disk's file on the conversion host.",
    "disks.bytes": "Write the size of the disk's file in bytes.",
    "vm.firmware": "Write uefi for a VM that vSphere calls efi, bios for the others.",
    "vm.mem_gb": "Round the memory up to whole GiB.",
    # A number to base 60 is what YAML 1.1 makes of six pairs of decimal digits.
    "nics.mac": "Correct it, and put it in quotes: YAML takes some MAC addresses for numbers.",
    "pipeline": "Add a pipeline section: without it hyper2kvm reports success and converts nothing.",
}


def validate(document: Any) -> list[Finding]:
    """Return everything that is wrong with a parsed manifest, its files left aside.

    Raises:
        ManifestError: jsonschema is missing.
    """
    if JSONSCHEMA_IMPORT_ERROR is not None:
        raise ManifestError(f"The Python library {JSONSCHEMA_REQUIREMENT} is missing.")
    findings: list[Finding] = []
    if not _fits()(document):
        findings = [
            finding for error in _validator().iter_errors(document) for finding in _explained(error)
        ]
    if isinstance(document, dict):
        findings += check_rules(document)
    return findings


@cache
def _fits() -> Check:
    return compile_schema(SCHEMA)


@cache
def _validator() -> Any:
    """Return jsonschema's validator of the schema.

    JSON Schema counts 1.0 as an integer; hyper2kvm's loader, like ours, doesn't.
    """
    checker = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _checker, value: isinstance(value, int) and not isinstance(value, bool)
    )
    validator: Any = extend(Draft202012Validator, type_checker=checker)  # type: ignore[no-untyped-call]
    return validator(SCHEMA)


def _explained(error: Any) -> Iterator[Finding]:
    """Turn one error of jsonschema into findings with a sentence that people understand."""
    place = list(error.absolute_path)
    keyword = error.validator
    if keyword == "if":
        for inner in error.context or []:
            yield from _explained(inner)
        return
    if keyword == "required":
        for name in error.validator_value:
            # jsonschema raises one error for each name; only its message tells which.
            if error.message.startswith(repr(name)):
                yield _finding([*place, name], f"{at([*place, name])} is missing.")
        return
    if keyword == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {})
        for name in error.instance:
            if name not in known and not (
                name.startswith("x-") and "patternProperties" in error.schema
            ):
                yield _finding(
                    [*place, name],
                    f"{at([*place, name])} is not a field of the Artifact Manifest v1.0.",
                    f"Correct its name or remove it; known here: {', '.join(known) or 'none'}.",
                )
        return
    if keyword == "dependentRequired":
        needs = {
            name: also for name, also in error.validator_value.items() if name in error.instance
        }
        for name, others in needs.items():
            for other in others:
                if other not in error.instance:
                    yield _finding(
                        [*place, other],
                        f"{at([*place, name])} needs {at([*place, other])}, which is missing.",
                    )
        return
    if keyword == "anyOf" and not place:
        yield _finding(["pipeline"], "pipeline is missing.")
        return
    yield _finding(place, f"{at(place) or 'The manifest'} {_complaint(error, place)}.")


def _complaint(error: Any, place: list[str | int]) -> str:
    value, expected = error.instance, error.validator_value
    # What is in configuration may be a hash or a key: it has no place in a log.
    held = "has a value that" if place[:1] == ["configuration"] else f"is {shown(value)}, which"
    if error.validator == "type":
        kinds = expected if isinstance(expected, list) else [expected]
        names: dict[Any, str] = {
            "integer": "a whole number",
            "object": "an object",
            "array": "a list",
            "string": "a string",
            "boolean": "true or false",
            "number": "a number",
        }
        return f"{held} is not {' or '.join(names[kind] for kind in kinds)}"
    if error.validator == "enum":
        return f"{held} is not one of {', '.join(map(str, expected))}"
    if error.validator == "const":
        return f"{held} is not {shown(expected)}"
    if error.validator == "pattern":
        return f"{held} is not {WORDS.get(expected, f'of the form {expected}')}"
    if error.validator in ("minimum", "exclusiveMinimum"):
        return (
            f"{held} is less than {expected}"
            if error.validator == "minimum"
            else f"{held} is not more than {expected}"
        )
    if error.validator == "maximum":
        return f"{held} is more than {expected}"
    if error.validator in ("minItems", "minLength"):
        return "is empty"
    return f"does not fit: {error.message}"


def _finding(place: list[str | int], message: str, action: str = "") -> Finding:
    field = ".".join(part for part in place if isinstance(part, str))
    if not action:
        action = _REMEDIES.get(
            field, "Correct the field, or build the manifest anew with artifact_manifest."
        )
    return Finding(ERROR, at(place), message, action)
