# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a manifest says once its profile is in it, as hyper2kvm itself puts it there.

hyper2kvm takes a profile for the defaults, profile_overrides over it, and the manifest over both.
Which stages a manifest enables, and in which format, is therefore known only then. The profile is
YAML, may extend another one, and may come with hyper2kvm: so hyper2kvm's own loader reads it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..manifest.building import merged
from ..manifest.document import ordered
from ..manifest.findings import errors_of
from ..manifest.schema import SCHEMA
from ..manifest.validating import validate
from ..sandbox.run import run
from .errors import ConversionError
from .installation import Installation

_KEYS = ("profile", "profile_overrides", "profiles_directory")
# What a profile says of itself.
_ABOUT = ("name", "description", "extends")
# Its log must not be between the lines of the answer.
_PROGRAM = """
import json, logging, sys
from pathlib import Path
logging.disable(logging.CRITICAL)
from hyper2kvm.profiles import ProfileLoader
name, directory, overrides = sys.argv[1:]
loader = ProfileLoader()
try:
    profile = loader.load_profile(name, custom_profile_path=Path(directory))
    answer = {"profile": loader.apply_overrides(profile, json.loads(overrides))}
except Exception as error:
    answer = {"error": str(error)}
print(json.dumps(answer, default=str))
"""
_TIMEOUT = 60.0


def with_profile(document: dict[str, Any], installation: Installation) -> dict[str, Any]:
    """Return the manifest with its profile's settings in it and the profile left out.

    Args:
        document: The user's manifest, valid; not changed.
        installation: The hyper2kvm that will run.

    Raises:
        ConversionError: The profile can't be loaded, or with it the manifest is not valid.
        SandboxError: bubblewrap is missing.
    """
    name = document.get("profile")
    if not name:
        return document
    profile = _load(name, document, installation)
    own = {key: value for key, value in document.items() if key not in _KEYS}
    settings = {key: value for key, value in profile.items() if key not in _ABOUT}
    complete: dict[str, Any] = ordered(merged(settings, own), SCHEMA)
    # A profile that says nothing of stages leaves it to whoever names them as an option.
    complete.setdefault("pipeline", {})
    errors = errors_of(validate(complete))
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise ConversionError(
            f"With the profile {name} the manifest is not valid: {errors[0].message}{more}",
            action=f"Correct the profile in {document['profiles_directory']}.",
            findings=[finding.as_dict() for finding in errors],
        )
    return complete


def _load(name: str, document: dict[str, Any], installation: Installation) -> dict[str, Any]:
    directory = Path(document["profiles_directory"])
    overrides = json.dumps(document.get("profile_overrides", {}))
    completed = run(
        [str(installation.interpreter), "-I", "-c", _PROGRAM, name, str(directory), overrides],
        readonly=[*installation.directories, *([directory] if directory.is_dir() else [])],
        timeout=_TIMEOUT,
        isolation=installation.isolation,
    )
    try:
        answer = json.loads(completed.stdout)
    except ValueError:
        said = completed.tail[-1] if completed.tail else "nothing"
        raise ConversionError(f"hyper2kvm could not load the profile {name}: {said}.") from None
    if "error" in answer:
        raise ConversionError(
            f"hyper2kvm can't load the profile {name}: {answer['error']}.",
            action=f"Put {name}.yaml into {directory}, or correct it.",
        )
    profile: dict[str, Any] = answer["profile"]
    return profile
