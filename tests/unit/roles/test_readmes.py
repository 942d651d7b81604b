# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles' READMEs and descriptions say of their variables is what the roles have."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import role_readme

ROLES = Path(role_readme.__file__).parents[2] / "roles"


@pytest.mark.parametrize("name", ["conversion_host", "migrate"])
def test_the_readme_is_the_descriptions(name: str) -> None:
    role = ROLES / name
    assert (role / "README.md").read_text(encoding="utf-8") == role_readme.readme(role), (
        "make it anew: python -m ansible_collections.hypersdk.hyper2kvm.tests.support.role_readme ."
    )


@pytest.mark.parametrize("name", ["conversion_host", "migrate"])
def test_every_default_is_described(name: str) -> None:
    assert role_readme.problems(ROLES / name) == []
