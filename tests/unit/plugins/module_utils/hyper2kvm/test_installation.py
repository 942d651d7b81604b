# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.errors import (
    ConversionError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.installation import (
    find_installation,
)


def program(directory: Path, text: str) -> Path:
    path = directory / "bin" / "hyper2kvm"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


# This Python has no hyper2kvm, and says so: that shows which one was asked.
@pytest.mark.parametrize(
    "text",
    [
        f"#!{sys.executable}\n# -*- coding: utf-8 -*-\n",
        f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n",
        f"#!/bin/sh\n'''exec' {sys.executable} \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_the_python_that_the_program_names_is_asked(text: str, tmp_path: Path) -> None:
    executable = program(tmp_path, text)
    with pytest.raises(ConversionError, match=f"{sys.executable}, the Python of {executable}, has"):
        find_installation(str(executable), isolation="none")


def test_with_env_it_is_the_one_beside(tmp_path: Path) -> None:
    executable = program(tmp_path, "#!/usr/bin/env python3\n")
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    with pytest.raises(ConversionError, match=f"{tmp_path}/bin/python3, the Python of"):
        find_installation(str(executable), isolation="none")


def test_the_version_is_the_package_s(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python3"
    executable = program(tmp_path, f"#!{python}\n")
    python.write_text("#!/bin/sh\necho 0.2.1\n")
    python.chmod(0o755)
    installation = find_installation(str(executable), isolation="none")
    assert (installation.version, installation.interpreter) == ("0.2.1", python)
    assert installation.directories == (tmp_path,)


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"conversion_host"):
        find_installation(str(tmp_path / "hyper2kvm"), isolation="none")
